"""Ways to the cut: each trains a network, and leaves it with the groups that go at zero."""

from collections.abc import Callable

import keras
import numpy as np

from tf_wgsef.baselines import (
    SparseConnections2D,
    feature_layers,
    inactive_filters,
    largest_gammas,
    remove_slimming,
    select_by_gamma,
    slimming,
    with_feature_flow,
    with_sparse_connections,
)
from tf_wgsef.groups import build_groups
from tf_wgsef.strip import strip
from tf_wgsef.training import ProxSGD, sparsify

_ADAM_RATE = 1e-3
_STEPS = 4
"""In so many steps sparse connections grow."""


def proximal(options: Callable[[float | None], dict], optimizer: Callable | None = None) -> Callable:
    """``sparsify`` with the options that a strength gives."""

    def until_cut(model, run, train):
        sparse = sparsify(
            model, groups=run.kinds, ramp=run.ramp, **run.sparsify_level, **options(run.strength)
        )
        train(sparse, optimizer=None if optimizer is None else lambda cosine: optimizer(run))
        if not sparse.frozen:
            sparse.freeze()
        return sparse.model

    return until_cut


def prox_sgd(run) -> ProxSGD:
    """ProxSGD with the steps of its authors, whatever the recipe's learning rate."""
    return ProxSGD(global_clipnorm=run.clip, weight_decay=run.weight_decay or None)


def magnitude(model, run, train):
    """Dense training, then the cut to the groups of the largest norms."""
    train(model)
    return _cut(model, run)


def narrow(model, run, train):
    """The network in the shape that the level leaves of it, with weights of its own, from scratch."""
    small = keras.models.clone_model(strip(_cut(model, run)).model)
    train(small)
    return small


def random(model, run, train):
    """Dense training, then a cut that does not look at the weights."""
    train(model)
    generator = np.random.default_rng(run.seed)
    return _cut(model, run, lambda groups: generator.uniform(0.5, 1, groups.num_groups))


def slimmed(model, run, train):
    """ℓ1 on batch norm's gammas, then the cut of the smallest ones of the whole model."""
    train(slimming(model, run.strength))
    groups = build_groups(model, kind=run.kinds)
    groups.scale(model, select_by_gamma(groups, model, run.level))
    return remove_slimming(model)


def feature_flow(model, run, train):
    """Training with the features' path penalised, both terms alike, then the magnitude cut."""
    layers, align = feature_layers(model)
    train(with_feature_flow(model, layers, length=run.strength, curvature=run.strength, align=align))
    return _cut(model, run)


def implicit(model, run, train):
    """Adam and L2 in the gradient, then the cut of the smallest gammas; of norms where a layer has none.

    Notes what share of the filters was inactive by itself, by both criteria, before the cut.
    """
    weights = [variable for variable in model.trainable_variables if variable.regularizer is None]
    for variable in weights:
        variable.regularizer = keras.regularizers.L2(run.strength)

    def adam(cosine):
        return keras.optimizers.Adam(cosine(_ADAM_RATE), global_clipnorm=run.clip)

    train(model, optimizer=adam)
    for variable in weights:
        variable.regularizer = None
    found = inactive_filters(model, train.images, batch_size=500).values()
    for criterion in ("by_activation", "by_gamma"):
        share = np.concatenate([getattr(one, criterion) for one in found]).mean()
        train.note(f"inactive_{criterion}", float(share))

    def sizes(groups):
        gammas = largest_gammas(groups, model)
        return np.where(gammas < 0, keras.ops.convert_to_numpy(groups.norms(model)), gammas)

    return _cut(model, run, sizes)


def connected(model, run, train):
    """A share of the connections from the start, as a grouped convolution; nothing is cut."""
    sparse = with_sparse_connections(model, 1 - run.level, grouped=True, seed=run.seed)
    train(sparse)
    return sparse


def grown(model, run, train):
    """Masked connections, few at first and the level's share in the last quarter of the time to the cut."""
    share = 1 - run.level
    sparse = with_sparse_connections(model, share / _STEPS, seed=run.seed)
    train(sparse, callbacks=[_Grow(share, run.first)])
    return sparse


class _Grow(keras.callbacks.Callback):
    """Adds connections at the start of epochs, in ``_STEPS`` steps."""

    def __init__(self, share: float, epochs: int):
        super().__init__()
        self._share, self._epochs = share, epochs

    def on_epoch_begin(self, epoch, logs=None):
        step = min(-(-_STEPS * (epoch + 1) // self._epochs), _STEPS)
        for layer in self.model.layers:
            if isinstance(layer, SparseConnections2D):
                layer.grow(self._share * step / _STEPS)


def dense(model, run, train):
    """Nothing removed."""
    train(model)
    return model


def _cut(model, run, sizes: Callable | None = None):
    """Zeroes the groups that the level does not keep, of the largest sizes; norms if None."""
    sparse = sparsify(model, groups=run.kinds, **run.sparsify_level)
    if sizes is None:
        sparse.freeze()
        return sparse.model
    budget = sparse.level.budget
    costs = None if budget is None else budget.costs(model, sparse.groups)
    stays = sparse.level.select(sparse.groups, sizes(sparse.groups), costs)
    sparse.groups.scale(model, stays.astype("float32"))
    return model
