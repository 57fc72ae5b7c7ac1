"""The promise in one table: the preset level is met, for every kind of groups, optimizer and scope.

CI trains one optimizer and scope of each model and kind in turn; ``pytest -m slow`` all of them.
"""

import math

import keras
import numpy as np
import pytest
from keras import layers, optimizers

import tf_wgsef
from tests.training.toys import data
from tf_wgsef.groups import REMOVED_BY_STRIP


def convolutions():
    return keras.Sequential(
        [
            keras.Input((10, 10, 3)),
            layers.Conv2D(24, 3, activation="relu", name="first"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, use_bias=False, name="second"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(40, activation="relu", name="third"),
            layers.Dense(3, name="out"),
        ]
    )


def residual():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(24, 3, padding="same", name="stem")(inputs)
    for number in range(4):
        y = layers.Conv2D(20, 3, padding="same", name=f"in{number}")(x)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        x = layers.Add()([x, layers.Conv2D(24, 1, name=f"back{number}")(y)])
    x = layers.GlobalAveragePooling2D()(layers.ReLU()(x))
    return keras.Model(inputs, layers.Dense(3, name="out")(x))


def encoder():
    inputs = keras.Input((6, 4))
    x = layers.Dense(16, name="embed")(inputs)
    for number in range(3):
        y = layers.LayerNormalization()(x)
        y = layers.MultiHeadAttention(6, 4, name=f"attention{number}")(y, y)
        x = layers.Add()([x, y])
        y = layers.Dense(48, activation="gelu", name=f"wide{number}")(layers.LayerNormalization()(x))
        x = layers.Add()([x, layers.Dense(16, name=f"narrow{number}")(y)])
    return keras.Model(inputs, layers.Dense(3, name="out")(layers.GlobalAveragePooling1D()(x)))


KINDS = {
    convolutions: ("filter", "channel", "filter_shape", "spatial", "block", "element"),
    residual: ("filter", "channel", "depth", "filter_shape", "block", "element"),
    encoder: ("filter", "channel", "head", "depth", "block", "element"),
}
OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    "adam": lambda: optimizers.Adam(1e-3),
    "rmsprop": lambda: optimizers.RMSprop(1e-3),
    "lion": lambda: optimizers.Lion(1e-4),
}
SCOPES = ("layer", "global")


def cells(kinds) -> list:
    """One way of each (model, kind) for CI, in turn, all others marked as slow."""
    ways = [(name, scope) for name in OPTIMIZERS for scope in SCOPES]
    found = []
    for number, (build, kind) in enumerate((b, k) for b in KINDS for k in KINDS[b] if k in kinds):
        for way, (name, scope) in enumerate(ways):
            marks = () if way == (3 * number) % len(ways) else (pytest.mark.slow,)
            label = f"{build.__name__}-{kind}-{name}-{scope}"
            found.append(pytest.param(build, kind, name, scope, marks=marks, id=label))
    return found


def trained(build, name, **level):
    keras.utils.set_random_seed(0)
    model = build()
    sparse = tf_wgsef.sparsify(model, **level)
    sparse.compile(OPTIMIZERS[name](), "mse", jit_compile=False)
    x, y = data(model)
    sparse.fit(x, y, batch_size=8, epochs=4, verbose=0)
    return sparse


def alive_per_layer(sparse) -> np.ndarray:
    """Counts groups with any weight that is not zero, entry by entry, without norms."""
    groups, alive = sparse.groups, np.zeros(sparse.groups.num_groups, bool)
    for member, variable in zip(groups.members, groups.variables(sparse.model), strict=True):
        value = keras.ops.convert_to_numpy(variable)
        shape = [value.shape[a] if a in member.axes else 1 for a in range(value.ndim)]
        ids = np.broadcast_to(np.asarray(member.ids).reshape(shape), value.shape)
        alive[np.unique(ids[(value != 0) & (ids >= 0)])] = True
    return np.bincount(groups.layer_of[alive], minlength=len(groups.layers))


@pytest.mark.parametrize(("build", "kind", "name", "scope"), cells(sum(KINDS.values(), ())))
def test_as_many_groups_stay_as_asked(build, kind, name, scope):
    sparse = trained(build, name, groups=kind, sparsity=0.6, scope=scope)
    counts, sizes = alive_per_layer(sparse), sparse.groups.sizes
    if scope == "layer":
        assert counts.tolist() == [max(1, size - math.ceil(0.6 * size)) for size in sizes.tolist()]
    else:
        assert counts.sum() == sizes.sum() - math.ceil(0.6 * sizes.sum())
        assert counts.min() >= 1


@pytest.mark.parametrize(("build", "kind", "name", "scope"), cells(REMOVED_BY_STRIP))
def test_the_cost_that_stays_is_within_the_budget_and_used(build, kind, name, scope):
    dense = tf_wgsef.profile(build()).macs
    share = 0.9 if kind in ("head",) else 0.7
    sparse = trained(build, name, groups=kind, budget={"macs": share}, scope=scope)
    used = tf_wgsef.profile(tf_wgsef.strip(sparse).model).macs
    assert used <= share * dense
    if used >= 0.98 * share * dense:
        return
    alive = sparse._norms() > 0
    for group in np.flatnonzero(~alive):  # then no further group fits
        more = alive.copy()
        more[group] = True
        assert sparse._costs.total(more) > share * dense
