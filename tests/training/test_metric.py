"""The prox in the metric of an adaptive optimizer: its scales, its formula, its use in training."""

import keras
import numpy as np
import pytest
from keras import optimizers
from scipy import optimize

import tf_wgsef
from tests.training.toys import data, live_counts, mlp, sparse_mlp
from tf_wgsef.errors import InputError
from tf_wgsef.penalties import WGSEF, GroupLasso
from tf_wgsef.training import Level, Pool
from tf_wgsef.training._optimizer_state import OptimizerState
from tf_wgsef.training._pools import Pools

# Without momentum a step is rate · gradient / scale.
ADAPTIVE = {
    "adam": lambda: optimizers.Adam(0.01, beta_1=0.0),
    "amsgrad": lambda: optimizers.Adam(0.01, beta_1=0.0, amsgrad=True),
    "adamw": lambda: optimizers.AdamW(0.01, beta_1=0.0, weight_decay=0.0),
    "nadam": lambda: optimizers.Nadam(0.01, beta_1=0.0),
    "adamax": lambda: optimizers.Adamax(0.01, beta_1=0.0),
    "rmsprop": lambda: optimizers.RMSprop(0.01),
    "centered": lambda: optimizers.RMSprop(0.01, centered=True),
    "adagrad": lambda: optimizers.Adagrad(0.01),
    "adadelta": lambda: optimizers.Adadelta(0.01),
}


@pytest.mark.parametrize("wrapped", [False, True], ids=["alone", "loss_scale"])
@pytest.mark.parametrize("name", ADAPTIVE)
def test_scales_are_what_the_optimizer_divides_by(name, wrapped):
    generator = np.random.default_rng(0)
    variables = [keras.Variable(generator.normal(size=shape), name="same") for shape in ((3, 4), (5,))]
    inner = ADAPTIVE[name]()
    optimizer = optimizers.LossScaleOptimizer(inner, initial_scale=1.0) if wrapped else inner
    optimizer.build(variables)
    for _ in range(3):
        gradients = [generator.normal(size=v.shape).astype("float32") for v in variables]
        before = [keras.ops.convert_to_numpy(v) for v in variables]
        deltas = [v for v in inner.variables if "delta_var" in v.path]
        deltas_before = [keras.ops.convert_to_numpy(v) for v in deltas]
        optimizer.apply(gradients, variables)
    scales = OptimizerState(optimizer).scales(variables)
    for number, (variable, old, gradient, scale) in enumerate(
        zip(variables, before, gradients, scales, strict=True)
    ):
        moved = old - keras.ops.convert_to_numpy(variable)
        expected = 0.01 * gradient / moved
        if name == "adadelta":  # its own numerator is of the step before
            after = keras.ops.convert_to_numpy(deltas[number])
            expected = expected * np.sqrt((deltas_before[number] + 1e-7) / (after + 1e-7))
        np.testing.assert_allclose(keras.ops.convert_to_numpy(scale), expected, rtol=2e-3)


def solver(norms_of, penalty, metric, *, in_penalty, k=2.0):
    """The solver of one layer with ``len(norms_of)`` groups."""
    count = len(norms_of)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(count, name="a"), keras.layers.Dense(1)])
    groups = tf_wgsef.build_groups(model)
    level = Level((Pool(np.arange(count), np.zeros(count, int), k),))
    metric = keras.ops.convert_to_tensor(np.asarray(metric, "float32"))
    return Pools(groups, level, penalty).solver(metric=metric, metric_in_penalty=in_penalty)


NORMS = np.array([3.0, 1.0, 2.0, 0.5, 1.5, 0.0], "float32")
METRIC = np.array([0.1, 4.0, 1.0, 9.0, 0.5, 2.0], "float32")


def factors(step_size, penalty, in_penalty, metric=METRIC):
    made = solver(NORMS, penalty, metric, in_penalty=in_penalty).prox(keras.ops.array(NORMS), step_size)
    return keras.ops.convert_to_numpy(made)


def nearest(value, step):
    """argmin over x >= 0 of step · value(x) + ½ Σ D (x - t)², by SciPy from several starts."""

    def objective(x):
        return step * value(x) + 0.5 * float(np.sum(METRIC * (x - NORMS) ** 2))

    starts = [NORMS + 0.01, 0.5 * NORMS + 0.1, np.full(6, 0.3)]
    found = [
        optimize.minimize(objective, s, bounds=[(0, None)] * 6, method="L-BFGS-B", tol=1e-14) for s in starts
    ]
    return min(found, key=lambda one: one.fun).x


def test_group_lasso_in_the_metric():
    found = factors(0.6, GroupLasso(), False) * NORMS
    np.testing.assert_allclose(found, nearest(np.sum, 0.6), atol=2e-4)


@pytest.mark.parametrize("step", [0.3, 2.0])
def test_wgsef_with_its_ridge_in_the_metric(step):
    def envelope(x):
        return float(keras.ops.convert_to_numpy(WGSEF(2, debias=False).value(np.maximum(x, 0)[None])[0]))

    found = factors(step, WGSEF(2, debias=False), False) * NORMS
    np.testing.assert_allclose(found, nearest(envelope, step), atol=5e-3)
    assert np.abs(found - NORMS).max() > 0.1


@pytest.mark.parametrize("step", [0.3, 0.8])
def test_without_the_ridge_the_penalty_is_the_envelope_in_the_metric(step):
    def envelope(x):
        scaled = np.sqrt(METRIC) * np.maximum(x, 0)
        return float(keras.ops.convert_to_numpy(WGSEF(2).value(scaled[None])[0]))

    found = factors(step, WGSEF(2), True) * NORMS
    np.testing.assert_allclose(found, nearest(envelope, step), atol=5e-3)


def test_at_the_end_it_is_the_projection_in_the_metric():
    best = np.argsort(-(METRIC * NORMS**2))[:2]
    np.testing.assert_array_equal(np.flatnonzero(factors(1.0, WGSEF(2), True)), np.sort(best))
    assert set(best) != set(np.argsort(-NORMS)[:2])


def test_a_uniform_metric_is_the_euclidean_one():
    same = np.full(6, 3.0)
    np.testing.assert_allclose(
        factors(0.4, WGSEF(2), True, same), factors(0.4, WGSEF(2), True, same / 3), atol=1e-6
    )


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "adagrad"])
def test_the_level_is_met(name, jit):
    sparse = sparse_mlp(ADAPTIVE[name](), metric="group", compiled=dict(jit_compile=jit))
    sparse.fit(*data(), batch_size=8, epochs=4, verbose=0)
    assert live_counts(sparse.model, ("h1", "h2")) == {"h1": 4, "h2": 3}


def test_curvature_decides_as_well_as_norms():
    """Two units of one norm: the one that the loss moves more has the larger scale, and stays."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="h", use_bias=False)])
    model.add(keras.layers.Dense(1, use_bias=False, name="out"))
    model.get_layer("h").kernel.assign(np.eye(2))
    model.get_layer("out").kernel.assign([[1.0], [30.0]])
    kept = {}
    for metric in ("euclidean", "group"):
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        copy.get_layer("h").kernel.assign([[1.05, 0.0], [0.0, 1.0]])  # the first is a little larger
        copy.get_layer("out").trainable = False
        sparse = tf_wgsef.sparsify(copy, k=1, metric=metric)
        sparse.compile(optimizers.Adam(1e-6), "mse")
        x = np.random.default_rng(0).normal(size=(64, 2)).astype("float32")
        sparse.fit(x, np.zeros((64, 1)), epochs=2, batch_size=8, verbose=0)
        kept[metric] = np.flatnonzero(sparse._norms() > 0).tolist()
    assert kept == {"euclidean": [0], "group": [1]}


def test_saved_and_loaded_it_is_the_same(tmp_path):
    sparse = sparse_mlp(optimizers.Adam(0.01), metric="group")
    sparse.fit(*data(), batch_size=8, epochs=2, verbose=0)
    sparse.save(tmp_path / "sparse.keras")
    assert keras.models.load_model(tmp_path / "sparse.keras").metric == "group"


def test_a_metric_that_cannot_be():
    with pytest.raises(InputError, match="`metric` to be one of"):
        tf_wgsef.sparsify(mlp(), sparsity=0.5, metric="diagonal")
    sparse = sparse_mlp(optimizers.SGD(0.01), metric="group")
    with pytest.raises(InputError, match="Adadelta, Adagrad, Adam, .*Received: SGD"):
        sparse.fit(*data(), epochs=2, verbose=0)


def test_weights_that_the_optimizer_does_not_update_have_no_metric():
    """Layers that are not trainable are pruned too, but no optimizer knows a scale of theirs."""
    model = mlp()
    model.get_layer("h1").trainable = False
    sparse = tf_wgsef.sparsify(model, sparsity=0.5, metric="group")
    sparse.compile(optimizers.Adam(0.01), "mse")
    with pytest.raises(InputError, match="holds nothing for .*h1/kernel"):
        sparse.fit(*data(), epochs=2, verbose=0)
