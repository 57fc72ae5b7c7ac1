"""fit meets the level: read off the weights by a loop, whatever the model, the optimizer and the mode."""

import subprocess
import sys
import unittest

import keras
import numpy as np
import pytest
from keras import layers

import tf_wgsef
from tests import models
from tests.training.toys import At, EachEpoch, data, interrupt, live_counts, mlp, sparse_mlp
from tf_wgsef.errors import InputError
from tf_wgsef.training import ProximalModel, preset_level

optimizers = keras.optimizers


def fit(sparse, epochs=4, model=None, **options):
    x, y = data(model)
    return sparse.fit(x, y, **{"batch_size": 8, "epochs": epochs, "verbose": 0, **options})


def sgd():
    return optimizers.SGD(0.05, momentum=0.9)


def clipped_sgd():
    """For models whose plain training diverges at this rate (the decoder's)."""
    return optimizers.SGD(0.05, momentum=0.9, clipnorm=1.0)


def adam():
    return optimizers.Adam(0.01)


def adamw():
    return optimizers.AdamW(0.01, weight_decay=0.05)


def rmsprop():
    return optimizers.RMSprop(0.003)


MODELS = [
    ("lenet", adam, dict(sparsity=0.75), {"conv1": 1, "conv2": 1, "dense1": 2}),
    ("lenet", sgd, dict(k={"conv1": 3, "dense1": 4}), {"conv1": 3, "conv2": 6, "dense1": 4}),
    ("batch_norm_chain", adamw, dict(sparsity=0.5, scope="global"), 7),
    ("batch_norm_chain", rmsprop, dict(sparsity=0.5, round_to=4), {"conv1": 4, "conv2": 4}),
    ("residual", sgd, dict(k=2), {"stem+outer": 2, "inner": 2}),
    ("residual", adam, dict(k=3, skip=["inner"]), {"stem+outer": 3, "inner": 5}),
    ("dense_concat", rmsprop, dict(k=4, scope="global"), 4),
    ("separable", adamw, dict(sparsity=0.5), {"stem": 2, "pointwise": 3}),
    ("two_heads", adam, dict(sparsity=0.5), {"hidden": 3}),
    ("with_barrier", adam, dict(k=1), {"between": 1}),
]


@pytest.mark.parametrize(
    ("name", "optimizer", "level", "expected"), MODELS, ids=[f"{m[0]}-{m[1].__name__}" for m in MODELS]
)
def test_the_level_is_met_to_the_unit(name, optimizer, level, expected):
    model = models.ALL[name]()
    sparse = tf_wgsef.sparsify(model, **level)
    sparse.compile(optimizer(), "mse")
    fit(sparse, 3, model)
    if isinstance(expected, int):
        counts = live_counts(model, sparse.groups.layers)
        assert sum(counts.values()) == expected
        assert min(counts.values()) >= 1  # no layer dies
    else:
        counts = live_counts(model, expected)
        assert counts == expected
    assert {k: v for k, v in sparse.live_groups().items() if k in counts} == {
        k: v for k, v in counts.items() if k in sparse.groups.layers
    }


OTHER_KINDS = ["channel", "filter_shape", "spatial", "depth", "block", "element", "head"]
SAMPLED = [("residual" if kind != "head" else "attention", kind, "layer") for kind in OTHER_KINDS]
SWEPT = [
    pytest.param(name, kind, scope, marks=pytest.mark.slow)
    for name in ("residual", "separable", "attention", "recurrent")
    for kind in OTHER_KINDS
    for scope in ("layer", "global")
    if (name, kind, scope) not in SAMPLED
]


@pytest.mark.parametrize(("name", "kind", "scope"), [*SAMPLED, *SWEPT])
def test_the_level_is_met_for_every_group_kind(name, kind, scope):
    model = models.ALL[name]()
    groups = tf_wgsef.build_groups(model, kind=kind)
    if not groups.num_groups:
        assert kind in ("spatial", "depth", "head")  # of these, not every model has some
        return
    sparse = tf_wgsef.sparsify(model, sparsity=0.5, groups=kind, scope=scope)
    sparse.compile(clipped_sgd(), "mse")
    fit(sparse, 2, model)
    alive = np.asarray(sparse.groups.norms(model)) > 0
    for pool in sparse.level.pools:
        assert alive[pool.groups].sum() == pool.k


def test_a_batch_norm_without_gamma_is_silenced_with_its_group():
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv"),
            keras.layers.BatchNormalization(scale=False, name="bn"),
            keras.layers.ReLU(),
            keras.layers.Conv2D(4, 3, padding="same", name="behind"),  # its border would see a constant
            keras.layers.GlobalAveragePooling2D(),
        ]
    )
    sparse = tf_wgsef.sparsify(model, sparsity=0.5)
    sparse.compile(adam(), "mse")
    fit(sparse, 3, model)
    assert tf_wgsef.strip(sparse).kept["conv"] == 4


MODES = {
    "eager": (adam, dict(run_eagerly=True), dict(sparsity=0.5)),
    "jit": (sgd, dict(jit_compile=True), dict(sparsity=0.5, scope="global")),
    "no_jit": (rmsprop, dict(jit_compile=False), dict(k=2)),
    "steps_per_execution": (adam, dict(steps_per_execution=4), dict(k=5, scope="global")),
    "accumulation": (lambda: optimizers.Adam(0.01, gradient_accumulation_steps=2), {}, dict(k=2)),
    "ema": (lambda: optimizers.Adam(0.01, use_ema=True), {}, dict(sparsity=0.5)),
    "ema_overwrite": (
        lambda: optimizers.SGD(0.1, momentum=0.9, use_ema=True, ema_overwrite_frequency=3),
        {},
        dict(k=5, scope="global"),
    ),
    "clipnorm": (lambda: optimizers.SGD(0.1, global_clipnorm=0.1), {}, dict(sparsity=0.75)),
    "cosine": (lambda: optimizers.AdamW(optimizers.schedules.CosineDecay(0.01, 16)), {}, dict(k=1)),
    "ridge": (sgd, {}, dict(sparsity=0.5, penalty=tf_wgsef.WGSEF(1, strength=0.1, debias=False))),
    "lasso": (sgd, {}, dict(sparsity=0.5, penalty="group_lasso")),
}


@pytest.mark.parametrize("mode", MODES)
def test_the_level_is_met_in_every_mode_of_keras(mode):
    optimizer, compiled, level = MODES[mode]
    sparse = sparse_mlp(optimizer(), compiled=compiled, **level)
    fit(sparse)
    counts = live_counts(sparse.model, ("h1", "h2"))
    if level.get("scope") == "global":
        assert sum(counts.values()) == sparse.level.pools[0].k
        assert min(counts.values()) >= 1
    else:
        assert list(counts.values()) == [pool.k for pool in sparse.level.pools]


def test_the_level_is_met_in_mixed_precision_set_when_the_model_was_made(mixed_float16):
    model = mlp()
    keras.config.set_dtype_policy("float32")
    sparse = tf_wgsef.sparsify(model, sparsity=0.5)
    sparse.compile(adam(), "mse")
    assert isinstance(sparse.optimizer, optimizers.LossScaleOptimizer)
    fit(sparse)
    assert live_counts(model, ("h1", "h2")) == {"h1": 4, "h2": 3}
    assert all(w.dtype == "float32" for w in sparse.weights if "seed" not in w.path)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [clipped_sgd, adam, adamw, rmsprop], ids=lambda f: f.__name__)
@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("name", models.ALL)
def test_the_level_is_met_to_the_unit_everywhere(name, scope, optimizer):
    model = models.ALL[name]()
    sparse = tf_wgsef.sparsify(model, sparsity=0.5, scope=scope)
    sparse.compile(optimizer(), "mse")
    fit(sparse, 4, model)
    alive = np.zeros(sparse.groups.num_groups, bool)
    for member, variable in zip(sparse.groups.members, sparse.groups.variables(model), strict=True):
        entries = np.moveaxis(np.array(variable), member.axes[0], 0).reshape(len(member.ids), -1)
        for group, entry in zip(member.ids, entries, strict=True):
            alive[group] |= group >= 0 and bool((entry != 0).any())
    for pool in sparse.level.pools:
        assert alive[pool.groups].sum() == pool.k


def test_no_layer_dies_under_a_global_level_even_a_much_weaker_one():
    model = mlp((8, 16))
    kernel = model.get_layer("h1").kernel
    kernel.assign(kernel * 1e-3)
    sparse = tf_wgsef.sparsify(model, k=6, scope="global")
    sparse.compile(optimizers.SGD(1e-3), "mse")
    fit(sparse)
    assert live_counts(model, ("h1", "h2")) == {"h1": 1, "h2": 5}


@pytest.mark.parametrize("seed", range(3))
def test_global_counts_are_multiples_and_none_of_them_is_dead(seed):
    """The prox knows no blocks of 4; the choice once took groups that it had zeroed, which stayed zero."""
    keras.utils.set_random_seed(seed)
    model = mlp((16, 16, 24), activation="relu")
    sparse = tf_wgsef.sparsify(model, k=24, scope="global", round_to=4)
    sparse.compile(optimizers.SGD(0.05), "mse")
    history = fit(sparse, batch_size=2)
    counts = live_counts(model, ("h1", "h2", "h3"))
    assert sum(counts.values()) == 24
    assert all(count % 4 == 0 and count for count in counts.values())
    assert history.history["live_groups"][-1] == 24


def test_models_with_frozen_layers_several_outputs_and_class_weights():
    model = models.two_heads()
    model.get_layer("hidden").trainable = False
    sparse = tf_wgsef.sparsify(model, sparsity=0.5)
    sparse.compile(adam(), {"y": "mse", "z": "mae"}, loss_weights={"y": 1.0, "z": 0.5})
    start = model.get_layer("hidden").kernel.numpy()
    fit(sparse, 3, model)
    now = model.get_layer("hidden").kernel.numpy()
    assert live_counts(model, sparse.groups.layers) == {"shared": 3, "hidden": 3}
    # The prox may scale what does not train, and nothing else may touch it.
    factors = (now * start).sum(axis=0) / (start * start).sum(axis=0)
    np.testing.assert_allclose(now, start * factors, atol=1e-6)

    classes = np.random.default_rng(0).integers(0, 2, 32)
    sparse = sparse_mlp()
    sparse.compile(adam(), "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, _ = data()
    history = sparse.fit(x, classes, 8, 2, 0, class_weight={0: 1.0, 1: 5.0}, sample_weight=None)
    assert {"accuracy", "live_groups"} <= set(history.history)
    assert live_counts(sparse.model, ("h1", "h2")) == {"h1": 4, "h2": 3}


def test_a_second_fit_trains_the_survivors_on():
    sparse = sparse_mlp(sgd())
    fit(sparse)
    first = sparse.model.get_weights()
    seen = EachEpoch(lambda model: live_counts(model.model, ("h1", "h2")))
    fit(sparse, 3, callbacks=seen)
    assert seen.found == [{"h1": 4, "h2": 3}] * 3
    for now, before in zip(sparse.model.get_weights(), first, strict=True):
        np.testing.assert_array_equal((now == 0), (before == 0))
        assert (now != before).any()


def test_a_custom_loop_meets_the_level_with_train_on_batch():
    sparse = sparse_mlp()
    x, y = data()
    sparse.begin_ramp(4)
    for epoch in range(4):
        sparse.begin_epoch(epoch, 4)
        for start in range(0, 32, 8):
            sparse.train_on_batch(x[start : start + 8], y[start : start + 8])
    assert live_counts(sparse.model, ("h1", "h2")) == {"h1": 4, "h2": 3}


def test_freeze_keeps_the_largest_groups():
    sparse = sparse_mlp(k=2)
    kernel = np.ones((4, 8), "float32") * np.array([3, 1, 5, 2, 4, 0.5, 0.1, 0.2], "float32")
    sparse.model.get_layer("h1").kernel.assign(kernel)
    sparse.freeze()
    np.testing.assert_array_equal(sparse.model.get_layer("h1").kernel, kernel * np.isin(kernel, [5, 4]))
    assert sparse.frozen


@pytest.mark.parametrize(
    ("compiled", "options"),
    [({}, {}), (dict(steps_per_execution=3), {}), ({}, dict(validation_split=0.25))],
    ids=["plain", "steps_per_execution", "validation"],
)
def test_live_groups_in_history_is_what_is_alive_at_the_end_of_each_epoch(compiled, options):
    sparse = sparse_mlp(optimizers.SGD(0.05), compiled=compiled)
    seen = EachEpoch(lambda model: sum(live_counts(model.model, ("h1", "h2")).values()))
    history = fit(sparse, 6, callbacks=[seen], batch_size=2, **options)
    assert history.history["live_groups"] == seen.found
    assert seen.found[-1] == 7 < seen.found[0]


def test_live_groups_is_true_when_the_penalty_takes_more_than_the_level_and_a_warning_says_so():
    sparse = sparse_mlp(optimizers.SGD(0.1), penalty=tf_wgsef.GroupLasso(strength=100.0))
    seen = EachEpoch(lambda model: sum(live_counts(model.model, ("h1", "h2")).values()))
    with unittest.TestCase().assertLogs("absl", "WARNING") as logged:
        history = fit(sparse, callbacks=[seen])
    assert history.history["live_groups"] == seen.found
    assert "Only 0 of the 7 groups that the level keeps are not zero" in logged.output[0]


def test_live_groups_is_in_the_progress_bar(capsys):
    fit(sparse_mlp(), verbose=2)
    assert "live_groups: 7.0000" in capsys.readouterr().out


@pytest.mark.parametrize("frozen", [False, True])
def test_an_interrupt_keeps_the_weights_says_so_and_training_goes_on(frozen):
    sparse = sparse_mlp(sgd())
    at = {}

    def stop(model):
        at["weights"] = model.model.get_weights()
        raise KeyboardInterrupt

    with (
        unittest.TestCase().assertLogs("absl", "WARNING") as logged,
        pytest.raises(KeyboardInterrupt),
    ):
        fit(sparse, callbacks=[At(10 if frozen else 3, stop)])
    alive = sum(live_counts(sparse.model, ("h1", "h2")).values())
    assert (alive == 7) == frozen
    assert f"interrupted with {alive} of 14 groups alive. The weights are kept in .model" in logged.output[0]
    for now, before in zip(sparse.model.get_weights(), at["weights"], strict=True):
        np.testing.assert_array_equal(now, before)
    fit(sparse)
    assert live_counts(sparse.model, ("h1", "h2")) == {"h1": 4, "h2": 3}


def test_a_loss_of_nan_is_an_error_that_names_the_variable_not_a_wrong_choice():
    sparse = sparse_mlp(optimizers.SGD(1e30))
    with pytest.raises(InputError, match="mlp/h1/kernel holds NaN or infinity.*lower learning rate"):
        fit(sparse)
    assert not sparse.frozen


def test_nan_after_the_choice_is_an_error_too():
    sparse = sparse_mlp()
    fit(sparse)
    sparse.compile(optimizers.SGD(1e30), "mse")
    with pytest.raises(InputError, match="holds NaN or infinity"):
        fit(sparse)


LOAD_PLAIN = """
import sys, keras, numpy as np
model = keras.models.load_model("model.keras")
np.save("y.npy", model.predict(np.load("x.npy"), verbose=0))
assert not [name for name in sys.modules if name.startswith("tf_wgsef")]
assert type(model).__name__ == "Sequential", type(model)
"""


def test_the_wrapped_model_is_a_plain_keras_file(tmp_path):
    sparse = sparse_mlp()
    fit(sparse)
    x, _ = data()
    sparse.model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", x)
    subprocess.run([sys.executable, "-c", LOAD_PLAIN], cwd=tmp_path, check=True)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), sparse.predict(x, verbose=0), rtol=1e-6)


def test_saving_and_loading_in_the_middle_of_the_ramp_and_training_on(tmp_path):
    sparse = sparse_mlp(sgd(), scope="global", ramp=0.6)
    with pytest.raises(KeyboardInterrupt):
        fit(sparse, 10, callbacks=[At(14, interrupt)])
    sparse.save(tmp_path / "sparse.keras")
    loaded = keras.models.load_model(tmp_path / "sparse.keras")
    x, _ = data()
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), sparse.predict(x, verbose=0))
    assert loaded.optimizer.iterations == 14
    assert not loaded.frozen
    seen = EachEpoch(lambda model: model.frozen)
    fit(loaded, 10, initial_epoch=4, callbacks=[seen])
    assert seen.found == [False, False, True, True, True, True]  # the ramp ends at epoch 6, as it would have
    assert sum(live_counts(loaded.model, ("h1", "h2")).values()) == 7


def test_a_loaded_model_keeps_its_zeros_while_it_trains(tmp_path):
    sparse = sparse_mlp(sgd())
    fit(sparse)
    zeros = [w == 0 for w in sparse.model.get_weights()]
    sparse.save(tmp_path / "sparse.keras")
    loaded = keras.models.load_model(tmp_path / "sparse.keras")
    fit(loaded, 1)
    for now, zero in zip(loaded.model.get_weights(), zeros, strict=True):
        np.testing.assert_array_equal(now == 0, zero)


def test_weights_are_saved_once():
    sparse = sparse_mlp()
    paths = [id(weight) for weight in sparse.weights]
    assert len(paths) == len(set(paths))
    store = {}
    sparse.save_own_variables(store)
    assert sum(np.size(value) for value in store.values()) < 30  # its state, not the model's weights again


def test_a_sparse_model_can_be_sparsified_further():
    sparse = sparse_mlp()
    fit(sparse)
    further = tf_wgsef.sparsify(sparse, k=1)
    further.compile(adam(), "mse")
    fit(further)
    assert live_counts(further.model, ("h1", "h2")) == {"h1": 1, "h2": 1}


class OwnStep(keras.Model):
    def train_step(self, data):
        return {"loss": 0.0}


def own_step():
    inputs = keras.Input((4,))
    return OwnStep(inputs, layers.Dense(2)(layers.Dense(8)(inputs)))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x)


def nan_model():
    model = mlp()
    model.get_layer("h2").bias.assign(np.full(6, np.nan))
    return model


def other_groups(model):
    groups = tf_wgsef.build_groups(mlp((5, 6)))
    return ProximalModel(model, groups, preset_level(groups, k=1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tf_wgsef.sparsify(own_step(), k=1), "OwnStep.train_step would not be called"),
        (lambda: tf_wgsef.sparsify(Subclassed(), k=1), "a subclass of keras.Model"),
        (lambda: tf_wgsef.sparsify(keras.Sequential([layers.Dense(2)]), k=1), "weights do not exist yet"),
        (lambda: tf_wgsef.sparsify("model.keras", k=1), "keras.models.load_model"),
        (lambda: tf_wgsef.sparsify(nan_model(), k=1), "mlp/h2/bias holds NaN or infinity"),
        (lambda: other_groups(mlp()), "Build the groups from this"),
        (lambda: ProximalModel(mlp()), "neither. Use tf_wgsef.sparsify"),
        (lambda: ProximalModel(mlp(), tf_wgsef.build_groups(mlp())), "or neither. Received: no level"),
    ],
)
def test_bad_models_get_one_clear_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_what_keras_says_about_wrong_use_still_comes_from_keras():
    x, y = data()
    with pytest.raises(ValueError, match="call `compile"):
        tf_wgsef.sparsify(mlp(), k=1).fit(x, y)
    sparse = tf_wgsef.sparsify(mlp(), k=1)
    sparse.compile("adam")
    with pytest.raises(ValueError, match="No loss to compute"):
        sparse.fit(x, y, verbose=0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'epoch'"):
        sparse.fit(x, y, epoch=3)


def test_losses_and_metrics_by_the_names_of_outputs():
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(6, "tanh", name="h")(inputs)
    outputs = [keras.layers.Dense(2, name="a")(hidden), keras.layers.Dense(1, name="b")(hidden)]
    sparse = tf_wgsef.sparsify(keras.Model(inputs, outputs), sparsity=0.5)
    sparse.compile("adam", {"a": "mse", "b": "mae"}, metrics={"b": ["mse"]})
    x, y = data()
    history = sparse.fit(x, {"a": y, "b": y[:, :1]}, epochs=2, verbose=0).history
    assert {"a_loss", "b_loss", "b_mse"} <= set(history)
    assert sparse.live_groups() == {"h": 3}


@pytest.mark.parametrize("every", [1, 8])
def test_what_is_outside_goes_as_early_whatever_the_accumulation(every):
    """Nothing is learned, so the prox alone moves the weights; at 0.8 of the ramp its budget is the level."""
    sparse, batches = tf_wgsef.sparsify(mlp(), sparsity=0.5), 400
    sparse.compile(
        keras.optimizers.SGD(0.0, gradient_accumulation_steps=None if every == 1 else every), "mse"
    )
    norms = []

    def note(batch, logs):
        if batch == 0.9 * batches:
            norms.append(np.asarray(sparse.groups.norms(sparse.model)))

    x, y = data(samples=batches)
    start = np.asarray(sparse.groups.norms(sparse.model))
    watch = keras.callbacks.LambdaCallback(on_train_batch_end=note)
    sparse.fit(x, y, batch_size=1, epochs=2, callbacks=[watch], verbose=0)
    left = norms[0] / start
    gone = np.asarray(sparse.groups.norms(sparse.model)) == 0
    assert gone.sum() == 7 and left[gone].max() < 0.1, left


def test_a_loop_of_train_on_batch_is_told_that_the_ramp_stands_still(caplog):
    sparse = sparse_mlp()
    x, y = data()
    for _ in range(2):
        sparse.train_on_batch(x, y)
    assert [record.getMessage() for record in caplog.records if "stands still" in record.getMessage()][
        1:
    ] == []
    assert "begin_epoch" in caplog.text
