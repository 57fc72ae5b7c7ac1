"""Every optimizer that Keras exports: Keras's own step and then the prox; what is dead stays dead."""

import inspect

import keras
import numpy as np
import pytest

import tf_wgsef
from tests import oracles
from tests.training.toys import data, live_channels, live_counts, mlp, sparse_mlp
from tf_wgsef.errors import InputError

optimizers = keras.optimizers
schedules = keras.optimizers.schedules

WRAPPERS = ("Optimizer", "LossScaleOptimizer", "MultiOptimizer")


def exported() -> dict:
    """The optimizers in ``keras.optimizers``, those to come too."""
    found = inspect.getmembers(optimizers, inspect.isclass)
    return {
        name: one for name, one in found if issubclass(one, optimizers.Optimizer) and name not in WRAPPERS
    }


def with_rate(one, rate=0.01, **options):
    return lambda: one(learning_rate=rate, **options)


def one_for_each_layer():
    return optimizers.MultiOptimizer(
        optimizers.OptimizerMap(optimizers.SGD(0.05, momentum=0.9), {"mlp/h1/.*": optimizers.Adam(0.01)})
    )


PLAIN = {name: with_rate(one) for name, one in exported().items()}
VARIANTS = {
    "momentum": with_rate(optimizers.SGD, 0.05, momentum=0.9),
    "nesterov": with_rate(optimizers.SGD, 0.05, momentum=0.9, nesterov=True),
    "centered": with_rate(optimizers.RMSprop, momentum=0.9, centered=True),
    "amsgrad": with_rate(optimizers.Adam, amsgrad=True),
    "loss_scale": lambda: optimizers.LossScaleOptimizer(optimizers.Adam(0.01)),
    "clipnorm": with_rate(optimizers.SGD, 0.1, clipnorm=0.01),
    "global_clipnorm": with_rate(optimizers.SGD, 0.1, global_clipnorm=0.1),
    "clipvalue": with_rate(optimizers.SGD, 0.1, clipvalue=0.01),
    "sgd_decay": with_rate(optimizers.SGD, 0.1, weight_decay=0.5),
    "adamw_decay": with_rate(optimizers.AdamW, weight_decay=0.5),
    "ema_overwrite": with_rate(
        optimizers.SGD, 0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2
    ),
}
if hasattr(optimizers, "MultiOptimizer"):  # since Keras 3.15
    VARIANTS["several"] = one_for_each_layer
    VARIANTS["loss_scale_of_several"] = lambda: optimizers.LossScaleOptimizer(one_for_each_layer())
ALL = {**PLAIN, **VARIANTS}


def test_the_table_holds_what_keras_has():
    assert {"SGD", "RMSprop", "Adam", "AdamW", "Adadelta", "Adagrad", "Adamax", "Adafactor", "Nadam"} < set(
        PLAIN
    )
    assert {"Ftrl", "Lion", "Lamb", "Muon"} < set(PLAIN)


def scale_groups(model, factors_of) -> None:
    """Scales each hidden unit (kernel column and bias) of ``mlp`` by its factor, in place."""
    for name in ("h1", "h2"):
        kernel, bias = (keras.ops.convert_to_numpy(w) for w in model.get_layer(name).weights)
        norms = np.sqrt((kernel.astype("float64") ** 2).sum(0) + bias.astype("float64") ** 2)
        factors = factors_of(norms).astype("float32")
        model.get_layer(name).kernel.assign(kernel * factors)
        model.get_layer(name).bias.assign(bias * factors)


def twins(make, compiled=None, **level):
    """A ProximalModel and the plain model with equal weights and an equal optimizer of its own."""
    sparse = sparse_mlp(make(), compiled=compiled, **level)
    plain = mlp()
    plain.set_weights(sparse.model.get_weights())
    plain.compile(make(), "mse", **(compiled or {}))
    return sparse, plain


def assert_equal_weights(sparse, plain):
    """To 1e-5: the prox is solved in float32, the oracle in float64."""
    for mine, expected in zip(sparse.model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_steps_are_keras_own_and_then_the_prox(name):
    """In the second half of a ramp of 2 epochs with 100 batches each."""
    sparse, plain = twins(ALL[name], dict(run_eagerly=True), k=3)
    x, y = data()
    sparse.begin_ramp(4)
    sparse.begin_epoch(1, 100)
    for batch in range(3):
        sparse.train_on_batch(x, y)
        plain.train_on_batch(x, y)
        scale_groups(plain, oracles.scheduled_factors(0.5 + batch / 200, 200, 3))
        assert_equal_weights(sparse, plain)


RATES = [0.2, 0.1, 0.05, 0.025]
HALVES = schedules.ExponentialDecay(0.2, 1, 0.5)
# An optimizer, and the rate of its update after each batch, None where it makes none. (Schedules count
# batches, not updates.)
SCHEDULED = {
    "plain": (lambda: optimizers.SGD(HALVES), RATES),
    "loss_scale": (lambda: optimizers.LossScaleOptimizer(optimizers.SGD(HALVES)), RATES),
    "accumulation": (lambda: optimizers.SGD(HALVES, gradient_accumulation_steps=2), [None, 0.1, None, 0.025]),
    "loss_scale_of_accumulation": (
        lambda: optimizers.LossScaleOptimizer(optimizers.SGD(HALVES, gradient_accumulation_steps=2)),
        [None, 0.1, None, 0.025],
    ),
    "pieces": (
        lambda: optimizers.SGD(schedules.PiecewiseConstantDecay([1], [0.2, 0.05])),
        [0.2, 0.2, 0.05, 0.05],
    ),
}


@pytest.mark.parametrize("eager", [True, False], ids=["eager", "graph"])
@pytest.mark.parametrize("name", SCHEDULED)
def test_the_step_of_group_lasso_is_the_rate_of_the_update(name, eager):
    make, rates = SCHEDULED[name]
    sparse, plain = twins(make, dict(run_eagerly=eager), k=3, penalty=tf_wgsef.GroupLasso(strength=0.5))
    x, y = data()
    for rate in rates:
        sparse.train_on_batch(x, y)
        plain.train_on_batch(x, y)
        if rate is not None:
            scale_groups(plain, lambda norms, rate=rate: oracles.lasso_factors(norms, 0.5 * rate, None))
        assert_equal_weights(sparse, plain)


@pytest.mark.skipif("several" not in ALL, reason="this Keras has no MultiOptimizer")
def test_group_lasso_under_several_optimizers_is_refused_since_it_would_have_several_steps():
    sparse = sparse_mlp(one_for_each_layer(), penalty="group_lasso")
    x, y = data()
    with pytest.raises(InputError, match="Received: a MultiOptimizer of 2.*penalty='wgsef'"):
        sparse.fit(x, y, verbose=0)


class AfterTheChoice(keras.callbacks.Callback):
    """Collects after each batch which units are alive, once the survivors are chosen."""

    def __init__(self):
        super().__init__()
        self.found = []

    def on_train_batch_end(self, batch, logs=None):
        if self.model.frozen:
            alive = [live_channels(self.model.model, name) for name in ("h1", "h2")]
            self.found.append((tuple(np.concatenate(alive)), int(logs["live_groups"])))


def assert_dead_groups_stay_dead(optimizer, compiled=None):
    """Half of the units are alive after every batch from the choice on, always the same; nothing is NaN."""
    sparse, seen = sparse_mlp(optimizer, compiled=compiled), AfterTheChoice()
    x, y = data()
    sparse.fit(x, y, batch_size=8, epochs=4, verbose=0, callbacks=[seen])
    assert live_counts(sparse.model, ("h1", "h2")) == {"h1": 4, "h2": 3}
    before = sparse.model.get_weights()
    sparse.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[seen])
    assert len(seen.found) == 16
    assert len(set(seen.found)) == 1
    assert seen.found[0][1] == 7
    kernels = [
        (now, start) for now, start in zip(sparse.model.get_weights(), before, strict=True) if now.ndim > 1
    ]
    # Biases are in what was seen above; that of a live unit may be 0 by chance (Lion's steps are all alike).
    for weight, start in kernels:
        np.testing.assert_array_equal(weight == 0, start == 0)
    assert all((now != start).any() for now, start in kernels)  # the survivors train on
    for variable in (*sparse.variables, *sparse.optimizer.variables):
        assert np.isfinite(keras.ops.convert_to_numpy(variable)).all()


ACCUMULATED = {
    "ema_accumulated": with_rate(
        optimizers.SGD, 0.1, use_ema=True, ema_overwrite_frequency=1, gradient_accumulation_steps=2
    ),
    "accumulated_past_the_epoch": with_rate(optimizers.Adam, gradient_accumulation_steps=3),
}


@pytest.mark.parametrize("name", [*ALL, *ACCUMULATED])
def test_the_level_is_met_and_what_is_dead_stays_dead(name):
    """The units' tanh has a gradient at 0, and their slots are full when they die: both would revive them."""
    assert_dead_groups_stay_dead({**ALL, **ACCUMULATED}[name](), dict(run_eagerly=True))


MODES = {"graph": dict(jit_compile=False), "jit": dict(jit_compile=True)}
SAMPLED = [("Ftrl", "graph"), ("ema_accumulated", "graph"), ("Muon", "jit")]
SWEPT = [
    pytest.param(name, mode, marks=pytest.mark.slow)
    for name in (*ALL, *ACCUMULATED)
    for mode in MODES
    if (name, mode) not in SAMPLED
]


@pytest.mark.parametrize(("name", "mode"), [*SAMPLED, *SWEPT])
def test_what_is_dead_stays_dead_in_compiled_steps(name, mode):
    assert_dead_groups_stay_dead({**ALL, **ACCUMULATED}[name](), MODES[mode])


@pytest.mark.slow
@pytest.mark.parametrize("name", PLAIN)
def test_weight_decay_revives_nothing(name):
    assert_dead_groups_stay_dead(exported()[name](0.01, weight_decay=0.3), dict(run_eagerly=True))


class Updates(keras.callbacks.Callback):
    """Collects for each batch whether the optimizer updated anything, and whether the weights changed."""

    def __init__(self):
        super().__init__()
        self.found = []

    def on_train_begin(self, logs=None):
        self.made, self.weights = 0, self.model.model.get_weights()

    def on_train_batch_end(self, batch, logs=None):
        made, weights = int(self.model.optimizer.iterations), self.model.model.get_weights()
        same = all(np.array_equal(now, before) for now, before in zip(weights, self.weights, strict=True))
        self.found.append((made > self.made, not same))
        self.made, self.weights = made, weights


@pytest.mark.parametrize(
    "compiled", [dict(run_eagerly=True), dict(jit_compile=False)], ids=["eager", "graph"]
)
def test_fit_skips_the_prox_where_the_loss_scale_overflows_and_meets_the_level(mixed_float16, compiled):
    """The scale doubles with every update, so that one step after another overflows and is skipped."""
    inner = optimizers.SGD(0.05, momentum=0.9)
    optimizer = optimizers.LossScaleOptimizer(inner, initial_scale=2.0**14, dynamic_growth_steps=1)
    sparse, seen = sparse_mlp(optimizer, compiled=compiled), Updates()
    x, y = data()
    sparse.fit(x, y, batch_size=4, epochs=4, verbose=0, callbacks=[seen])
    in_the_ramp = seen.found[:16]
    assert set(in_the_ramp) == {(True, True), (False, False)}
    assert live_counts(sparse.model, ("h1", "h2")) == {"h1": 4, "h2": 3}
