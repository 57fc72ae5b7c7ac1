"""The methods that are compared: each leads a network to the moment after its cut."""

import dataclasses
from collections.abc import Callable

import keras

from tf_wgsef.baselines import feature_layers, plain_convolutions, slimming, with_sparse_connections
from tf_wgsef.penalties import (
    WGSEF,
    GroupL0,
    GroupL1MinusL2,
    GroupLasso,
    GroupMCP,
    GroupPenalty,
    GroupSCAD,
    GroupTransformedL1,
)
from tf_wgsef.strip import strip
from tf_wgsef.training import SparseProx
from tf_wgsef.workflows.compare import _until_cut


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to choose the groups that stay.

    Attributes:
        label: what tables and pictures call it.
        source: the paper.
        until_cut: (model, run, train) → the model after the cut, the other groups zero. ``train(model)``
            fits it for the epochs before the cut and notes its accuracy; see ``Trainer``.
        strength: λ where the method has one and the user gives none.
        check: raises InputError for a model that the method cannot train to a level.
        no_shape: why the method cannot leave a number of groups per layer; empty if it can.
        strips: whether what is zero is stripped after the cut.
        finish: makes of the trained network the one that is measured.
    """

    label: str
    source: str
    until_cut: Callable
    strength: float | None = None
    check: Callable[[keras.Model, float], object] | None = None
    no_shape: str = ""
    strips: bool = True
    finish: Callable[[keras.Model], keras.Model] = lambda model: model


def _penalty(label: str, source: str, penalty: Callable[[float], GroupPenalty]) -> Method:
    """A penalty with a strength in place of a budget; the level is met by the choice at the cut."""
    train = _until_cut.proximal(lambda strength: {"penalty": penalty(strength)})
    return Method(label, source, train, strength=0.01)


def _group_lasso(strength: float) -> GroupLasso:
    return GroupLasso(strength=strength, scale_by_size=False)


METHODS = {
    "wgsef": Method("WGSEF", "debiased: ours, after arXiv:2212.12921", _until_cut.proximal(lambda _: {})),
    "wgsef_plain": _penalty(
        "WGSEF, plain",
        "Refael et al. 2022, arXiv:2212.12921",
        lambda strength: WGSEF(1, strength=strength, debias=False),
    ),
    "wgsef_hspg": Method(
        "WGSEF, half-space steps",
        "Chen et al. 2020, arXiv:2009.12078",
        _until_cut.proximal(lambda _: {"update": "hspg"}),
    ),
    "ssl": _penalty(
        "SSL group lasso",
        "Wen et al. 2016, arXiv:1608.03665",
        _group_lasso,
    ),
    "group_l0": _penalty("group ℓ0", "hard threshold", lambda strength: GroupL0(strength=strength)),
    "group_mcp": _penalty(
        "group MCP", "Huang, Breheny & Ma 2012", lambda strength: GroupMCP(strength=strength)
    ),
    "group_scad": _penalty(
        "group SCAD", "Fan & Li 2001, on norms", lambda strength: GroupSCAD(strength=strength)
    ),
    "group_transformed_l1": _penalty(
        "group transformed ℓ1",
        "Zhang & Xin 2018, on norms",
        lambda strength: GroupTransformedL1(strength=strength),
    ),
    "group_l1_minus_l2": _penalty(
        "group ℓ1−ℓ2", "Lou & Yan 2018, on norms", lambda strength: GroupL1MinusL2(strength=strength)
    ),
    "slimming": Method(
        "network slimming",
        "Liu et al. 2017, arXiv:1708.06519",
        _until_cut.slimmed,
        strength=1e-4,
        check=lambda model, level: slimming(model, 0.0),
        no_shape="network slimming has one threshold for the whole model",
    ),
    "sparse_group_lasso": Method(
        "sparse group lasso",
        "Simon et al. 2013, J. Comput. Graph. Stat. 22",
        _until_cut.proximal(
            lambda strength: {
                "penalty": _group_lasso(strength),
                # Simon et al. leave the shares of the two parts to the user; this one is ours, and not tuned.
                "update": SparseProx(elementwise=0.01 * strength),
            }
        ),
        strength=0.01,
    ),
    "prox_sgd": Method(
        "ProxSGD, group lasso",
        "Yang et al. 2020, ICLR, openreview HygpthEtvr",
        _until_cut.proximal(
            lambda strength: {"penalty": _group_lasso(strength), "update": "mixed", "metric": "group"},
            _until_cut.prox_sgd,
        ),
        strength=1e-4,
    ),
    "ffr": Method(
        "feature flow, magnitude cut",
        "Wu et al. 2021, arXiv:2106.02914",
        _until_cut.feature_flow,
        strength=1e-3,
        check=lambda model, level: feature_layers(model),
    ),
    "implicit": Method(
        "implicit (Adam, L2), cut by gamma",
        "after Mehta et al. 2019, arXiv:1811.12495",
        _until_cut.implicit,
        strength=1e-4,
        check=lambda model, level: slimming(model, 0.0),
    ),
    "sparse_connections": Method(
        "sparse connections, grouped",
        "after Changpinyo et al. 2017, arXiv:1702.06257",
        _until_cut.connected,
        check=lambda model, level: with_sparse_connections(model, 1 - level, grouped=True),
        no_shape="it removes a share of each layer's connections, and no filter",
        strips=False,
    ),
    "sparse_connections_incremental": Method(
        "sparse connections, grown, masked",
        "Changpinyo et al. 2017, arXiv:1702.06257",
        _until_cut.grown,
        check=lambda model, level: with_sparse_connections(model, 1 - level),
        no_shape="it removes a share of each layer's connections, and no filter",
        strips=False,
        finish=lambda model: strip(plain_convolutions(model)).model,
    ),
    "gradual": Method(
        "gradual removal",
        "after HESSO, Chen et al. 2024, arXiv:2409.09085",
        _until_cut.proximal(lambda _: {"update": "gradual"}),
    ),
    "magnitude": Method("magnitude cut", "control", _until_cut.magnitude),
    "random": Method("random cut", "control", _until_cut.random),
    "narrow": Method("narrow from scratch", "control", _until_cut.narrow, strips=False),
    "dense": Method("nothing removed", "control", _until_cut.dense, strips=False),
}
"""Methods by name."""
