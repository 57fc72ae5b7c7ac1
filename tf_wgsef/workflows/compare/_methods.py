"""The methods that are compared: each leads a network to the moment after its cut."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np

from tf_wgsef.penalties import WGSEF, GroupLasso
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
    """

    label: str
    source: str
    until_cut: Callable
    strength: float | None = None


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


def _dense(model, run, train):
    train(model)
    return model


METHODS = {
    "wgsef": Method("WGSEF", "debiased: ours, after arXiv:2212.12921", _proximal(lambda _: {})),
    "wgsef_plain": Method(
        "WGSEF, plain",
        "Refael et al. 2022, arXiv:2212.12921",
        _proximal(lambda strength: {"penalty": WGSEF(1, strength=strength, debias=False)}),
        strength=0.01,
    ),
    "wgsef_hspg": Method(
        "WGSEF, half-space steps",
        "Chen et al. 2020, arXiv:2009.12078",
        _proximal(lambda _: {"update": "hspg"}),
    ),
    "ssl": Method(
        "SSL group lasso",
        "Wen et al. 2016, arXiv:1608.03665",
        _proximal(lambda strength: {"penalty": GroupLasso(strength=strength, scale_by_size=False)}),
        strength=0.01,
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
