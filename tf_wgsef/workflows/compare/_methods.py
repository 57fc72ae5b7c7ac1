"""The methods that are compared: each leads a network to the moment after its cut."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

from tf_wgsef.baselines import remove_slimming, select_by_gamma, slimming
from tf_wgsef.groups import build_groups
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
from tf_wgsef.training import SparseProx, sparsify


@dataclasses.dataclass(frozen=True)
class Method:
    """A way to choose the groups that stay.

    Attributes:
        label: what tables and pictures call it.
        source: the paper.
        until_cut: (model, run, train) → the model after the cut, the other groups zero. ``train(model)``
            fits it for the epochs before the cut and notes its accuracy.
        strength: λ where the method has one and the user gives none.
        check: raises InputError for a model that the method cannot train.
        no_shape: why the method cannot leave a number of groups per layer; empty if it can.
    """

    label: str
    source: str
    until_cut: Callable
    strength: float | None = None
    check: Callable[[keras.Model], object] = lambda model: None
    no_shape: str = ""


def _proximal(options: Callable[[float | None], dict]) -> Callable:
    """``sparsify`` with the options that a strength gives."""

    def until_cut(model, run, train):
        sparse = sparsify(
            model, groups=run.groups, ramp=run.ramp, **run.sparsify_level, **options(run.strength)
        )
        train(sparse)
        if not sparse.frozen:
            sparse.freeze()
        return sparse.model

    return until_cut


def _magnitude(model, run, train):
    """Dense training, then the cut to the groups of the largest norms."""
    train(model)
    cut = sparsify(model, groups=run.groups, **run.sparsify_level)
    cut.freeze()
    return cut.model


def _narrow(model, run, train):
    """The network in the shape that the level leaves of it, with weights of its own, from scratch."""
    cut = sparsify(model, groups=run.groups, **run.sparsify_level)
    cut.freeze()
    narrow = keras.models.clone_model(strip(cut).model)
    train(narrow)
    return narrow


def _random(model, run, train):
    """Dense training, then a cut that does not look at the weights."""
    train(model)
    cut = sparsify(model, groups=run.groups, **run.sparsify_level)
    norms = np.random.default_rng(run.seed).uniform(0.5, 1, cut.groups.num_groups)
    budget = cut.level.budget
    costs = None if budget is None else budget.costs(model, cut.groups)
    stays = cut.level.select(cut.groups, norms, costs)
    cut.groups.scale(model, stays.astype("float32"))
    return model


def _slimming(model, run, train):
    """ℓ1 on batch norm's gammas, then the cut of the smallest ones of the whole model."""
    train(slimming(model, run.strength))
    groups = build_groups(model, kind=run.groups)
    groups.scale(model, select_by_gamma(groups, model, run.level))
    return remove_slimming(model)


def _penalty(label: str, source: str, penalty: Callable[[float], GroupPenalty]) -> Method:
    """A penalty with a strength in place of a budget; the level is met by the choice at the cut."""
    return Method(label, source, _proximal(lambda strength: {"penalty": penalty(strength)}), strength=0.01)


def _dense(model, run, train):
    train(model)
    return model


METHODS = {
    "wgsef": Method("WGSEF", "debiased: ours, after arXiv:2212.12921", _proximal(lambda _: {})),
    "wgsef_plain": _penalty(
        "WGSEF, plain",
        "Refael et al. 2022, arXiv:2212.12921",
        lambda strength: WGSEF(1, strength=strength, debias=False),
    ),
    "wgsef_hspg": Method(
        "WGSEF, half-space steps",
        "Chen et al. 2020, arXiv:2009.12078",
        _proximal(lambda _: {"update": "hspg"}),
    ),
    "ssl": _penalty(
        "SSL group lasso",
        "Wen et al. 2016, arXiv:1608.03665",
        lambda strength: GroupLasso(strength=strength, scale_by_size=False),
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
        _slimming,
        strength=1e-4,
        check=lambda model: slimming(model, 0.0),
        no_shape="network slimming has one threshold for the whole model",
    ),
    "sparse_group_lasso": Method(
        "sparse group lasso",
        "Simon et al. 2013, J. Comput. Graph. Stat. 22",
        _proximal(
            lambda strength: {
                "penalty": GroupLasso(strength=strength, scale_by_size=False),
                # Simon et al. leave the shares of the two parts to the user; this one is ours, and not tuned.
                "update": SparseProx(elementwise=0.01 * strength),
            }
        ),
        strength=0.01,
    ),
    "gradual": Method(
        "gradual removal",
        "after HESSO, Chen et al. 2024, arXiv:2409.09085",
        _proximal(lambda _: {"update": "gradual"}),
    ),
    "magnitude": Method("magnitude cut", "control", _magnitude),
    "random": Method("random cut", "control", _random),
    "narrow": Method("narrow from scratch", "control", _narrow),
    "dense": Method("nothing removed", "control", _dense),
}
"""Methods by name."""
