"""One training step against its parts: Keras's own step of the plain model, then a NumPy prox."""

import keras
import numpy as np
import pytest

import tf_wgsef
from tests import oracles
from tests.penalties import references
from tests.training.toys import data, live_counts, mlp, sparse_mlp
from tf_wgsef.training import Pool, ProximalState
from tf_wgsef.training._floor import Floor

optimizers = keras.optimizers


def reference_prox(model, factors_of) -> None:
    """Scales each hidden unit (kernel column and bias) of ``mlp`` by its factor, in place."""
    for name in ("h1", "h2"):
        kernel, bias = (keras.ops.convert_to_numpy(w) for w in model.get_layer(name).weights)
        norms = np.sqrt((kernel.astype("float64") ** 2).sum(0) + bias.astype("float64") ** 2)
        factors = factors_of(norms)
        model.get_layer(name).kernel.assign(kernel * factors.astype(kernel.dtype))
        model.get_layer(name).bias.assign(bias * factors.astype(bias.dtype))


def twins(optimizer, **level):
    """A ProximalModel and the plain model with equal weights and an equal optimizer of its own."""
    sparse = sparse_mlp(optimizer(), **level)
    plain = mlp()
    plain.set_weights(sparse.model.get_weights())
    plain.compile(optimizer(), "mse")
    return sparse, plain


def assert_equal_weights(sparse, plain, rtol=2e-5, atol=1e-6):
    for mine, expected in zip(sparse.model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=rtol, atol=atol)


OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.1, momentum=0.9),
    "adam": lambda: optimizers.Adam(0.01),
    "adamw": lambda: optimizers.AdamW(0.01, weight_decay=0.1),
    "rmsprop": lambda: optimizers.RMSprop(0.01),
    "schedule": lambda: optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)),
    "clipnorm": lambda: optimizers.SGD(0.1, clipnorm=0.01),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_the_optimizers_and_then_the_prox_of_the_scheduled_step(name):
    sparse, plain = twins(OPTIMIZERS[name], k=3)
    x, y = data()
    # Epoch 1 of 4, a ramp over the first two, 100 batches in an epoch: half way and 1/200 on with each batch.
    sparse.begin_ramp(4)
    sparse.begin_epoch(1, 100)
    for batch in range(3):
        sparse.train_on_batch(x, y)
        plain.train_on_batch(x, y)
        reference_prox(plain, oracles.scheduled_factors(0.5 + batch / 200, 200, 3))
        assert_equal_weights(sparse, plain)


@pytest.mark.parametrize("jit", [True, False])
def test_the_prox_really_runs_inside_a_compiled_step(jit):
    """A value read lazily once made every step look as if it had updated nothing; no error showed it."""
    sparse, plain = twins(OPTIMIZERS["sgd"], k=1)
    sparse.compile(OPTIMIZERS["sgd"](), "mse", jit_compile=jit)
    x, y = data()
    sparse.begin_ramp(4)
    sparse.begin_epoch(1, 1)
    sparse.train_on_batch(x, y)
    plain.train_on_batch(x, y)
    before, after = (np.linalg.norm(m.get_layer("h1").kernel) for m in (plain, sparse.model))
    assert after < 0.98 * before
    np.testing.assert_allclose(
        sparse.model.get_layer("out").kernel, plain.get_layer("out").kernel, rtol=1e-5, atol=1e-6
    )


def test_the_step_of_group_lasso_is_the_rate_of_the_update_not_the_next_one():
    decay = optimizers.schedules.ExponentialDecay(0.2, 1, 0.5)
    sparse, plain = twins(lambda: optimizers.SGD(decay), k=3, penalty=tf_wgsef.GroupLasso(strength=0.5))
    x, y = data()
    for batch in range(3):
        sparse.train_on_batch(x, y)
        plain.train_on_batch(x, y)
        rate = 0.2 * 0.5**batch
        reference_prox(plain, lambda norms, rate=rate: oracles.lasso_factors(norms, 0.5 * rate, None))
        assert_equal_weights(sparse, plain)


# The defaults of each, at the strength of 1 that a name means.
RIVALS = {
    "group_lasso": references.lasso,
    "group_l0": references.l0,
    "group_mcp": references.mcp(3.0),
    "group_scad": references.scad(3.7),
    "group_transformed_l1": references.transformed_l1(1.0),
    "group_l1_minus_l2": references.L1MinusL2(1.0),
}


@pytest.mark.parametrize("name", RIVALS)
def test_steps_of_a_rival_by_its_name_are_the_optimizers_and_then_its_prox(name):
    sparse, plain = twins(lambda: optimizers.SGD(0.2), penalty=name)
    x, y = data()
    for _ in range(3):
        sparse.train_on_batch(x, y)
        plain.train_on_batch(x, y)
        reference_prox(plain, lambda norms: RIVALS[name].factors(norms, 0.2, None))
        assert_equal_weights(sparse, plain)


def strong_lasso(optimizer):
    sparse = sparse_mlp(optimizer, penalty=tf_wgsef.GroupLasso(strength=0.5))
    return sparse, sparse.model.get_weights()


def test_no_prox_on_the_micro_steps_of_gradient_accumulation():
    accumulate = lambda: optimizers.SGD(0.1, gradient_accumulation_steps=3)  # noqa: E731
    sparse, plain = twins(accumulate, k=3, penalty=tf_wgsef.GroupLasso(strength=0.5))
    start = sparse.model.get_weights()
    x, y = data()
    for _ in range(2):
        logs = sparse.train_on_batch(x, y, return_dict=True)
        plain.train_on_batch(x, y)
        for now, before in zip(sparse.model.get_weights(), start, strict=True):
            np.testing.assert_array_equal(now, before)
        assert logs["live_groups"] == 14
    sparse.train_on_batch(x, y)
    plain.train_on_batch(x, y)
    reference_prox(plain, lambda norms: oracles.lasso_factors(norms, 0.5 * 0.1, None))
    assert_equal_weights(sparse, plain)


def test_no_prox_on_a_step_that_the_loss_scale_skipped(mixed_float16):
    sparse, start = strong_lasso(optimizers.LossScaleOptimizer(optimizers.SGD(0.1), initial_scale=1e30))
    x, y = data()
    sparse.train_on_batch(x, y)
    for now, before in zip(sparse.model.get_weights(), start, strict=True):
        np.testing.assert_array_equal(now, before)
    sparse.optimizer.dynamic_scale.assign(1.0)
    sparse.train_on_batch(x, y)
    norms = [np.linalg.norm(w[0]) for w in (start, sparse.model.get_weights())]
    assert norms[1] < 0.95 * norms[0]


def test_mixed_precision_takes_keras_own_step_with_loss_scaling(mixed_float16):
    sparse, plain = twins(OPTIMIZERS["sgd"], k=3)
    assert isinstance(sparse.optimizer, optimizers.LossScaleOptimizer)
    x, y = data()
    sparse.begin_ramp(4)
    sparse.begin_epoch(1, 100)
    for batch in range(2):
        sparse.train_on_batch(x, y)
        plain.train_on_batch(x, y)
        reference_prox(plain, oracles.scheduled_factors(0.5 + batch / 200, 200, 3))
        assert_equal_weights(sparse, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: optimizers.SGD(0.1, momentum=0.9),
        lambda: optimizers.Adam(0.05),
        lambda: optimizers.AdamW(0.05, weight_decay=0.1),
        lambda: optimizers.Adam(0.05, use_ema=True, ema_overwrite_frequency=2),
    ],
    ids=["momentum", "adam", "adamw", "ema"],
)
def test_dead_groups_stay_exactly_zero_whatever_the_optimizer_holds(optimizer):
    sparse = sparse_mlp(optimizer())
    x, y = data()
    for _ in range(3):
        sparse.train_on_batch(x, y)  # fills the slots of all groups, those that die among them
    sparse.freeze()
    dead = {
        name: keras.ops.convert_to_numpy(sparse.model.get_layer(name).kernel) == 0 for name in ("h1", "h2")
    }
    start = sparse.model.get_weights()
    for _ in range(4):
        logs = sparse.train_on_batch(x, y, return_dict=True)
        assert logs["live_groups"] == 7
        for name, where in dead.items():
            layer = sparse.model.get_layer(name)
            kernel, bias = (keras.ops.convert_to_numpy(w) for w in layer.weights)
            assert not kernel[where].any() and not bias[where.all(axis=0)].any()
    assert live_counts(sparse.model, ("h1", "h2")) == {"h1": 4, "h2": 3}
    moved = [
        np.abs(now - before).max() for now, before in zip(sparse.model.get_weights(), start, strict=True)
    ]
    assert min(moved) > 1e-4  # the survivors train on


def test_live_groups_counts_what_is_zero_for_another_reason_too():
    """A group that may stay but is zero already is not alive."""
    sparse = sparse_mlp(optimizers.SGD(0.0))
    kernel = sparse.model.get_layer("h1").kernel
    kernel.assign(keras.ops.convert_to_numpy(kernel) * (np.arange(8) < 2))
    x, y = data()
    assert sparse.train_on_batch(x, y, return_dict=True)["live_groups"] == 2 + 6
    sparse.freeze()
    assert sparse.train_on_batch(x, y, return_dict=True)["live_groups"] == 2 + 3


@pytest.mark.parametrize(
    ("epoch", "batch", "steps", "expected"),
    [(0, 0, 4, 0.0), (0, 2, 4, 0.125), (3, 1, 4, 0.8125), (4, 0, 4, 1.0), (9, 3, 4, 1.0), (2, 7, 0, 0.5)],
)
def test_progress(epoch, batch, steps, expected):
    one = {"frozen": 0.0, "kept": 0.0, "live": 0.0, "mask": None}
    values = {"epoch": epoch + 5.0, "batch": float(batch), "steps": float(steps)}
    state = ProximalState(**values, ramp_start=5.0, ramp_epochs=4.0, **one)
    assert float(state.progress) == pytest.approx(expected)


@pytest.mark.parametrize(
    "norms", [np.arange(1.0, 10.0), np.zeros(9), np.ones(9)], ids=["distinct", "zero", "ties"]
)
def test_a_floor_lifts_so_many_of_each_layer_and_no_more(norms):
    groups = tf_wgsef.build_groups(mlp((4, 5)))
    pool = Pool(np.arange(9), groups.layer_of, k=6.0, floor=2)
    norms = norms.copy()
    norms[-1] = 7.0  # something to lift above
    lifted = keras.ops.convert_to_numpy(Floor(pool).lift(keras.ops.array(norms, "float32")))
    assert np.bincount(groups.layer_of[lifted != norms.astype("float32")], minlength=2).tolist() == [2, 2]
    for layer in (0, 1):
        inside = groups.layer_of == layer
        up = lifted[inside] > 1e3
        assert norms[inside][up].min() >= norms[inside][~up].max()
