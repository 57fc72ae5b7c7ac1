"""strip against its only true oracle: the model before it."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_wgsef
from tests import models
from tf_wgsef import errors


def outputs(model, seed=1, batch=16):
    result = model(models.random_inputs(model, batch, seed), training=False)
    return [keras.ops.convert_to_numpy(one).astype(np.float64) for one in keras.tree.flatten(result)]


def live_channels(layer):
    """How many output channels of a layer have a weight that is not zero, counted on the kernel itself."""
    if isinstance(layer, layers.Embedding):
        columns = np.array(layer.embeddings)
    elif hasattr(layer, "cell"):
        columns = np.array(layer.cell.kernel)[:, : layer.cell.units]  # of the first gate
    else:
        kernel = layer.pointwise_kernel if hasattr(layer, "pointwise_kernel") else layer.kernel
        columns = np.array(kernel)
        if isinstance(layer, layers.Conv2DTranspose):
            columns = np.moveaxis(columns, -2, -1)
    return int((columns.reshape(-1, columns.shape[-1]) != 0).any(0).sum())


def relative_difference(before, after):
    span = max(one.max() for one in before) - min(one.min() for one in before)
    return max(np.abs(x - y).max() for x, y in zip(before, after, strict=True)) / span


def halved(builder, seed=0):
    """A model with random weights, half of whose groups are zero; and its groups."""
    model = models.randomize(builder(), seed)
    groups = tf_wgsef.build_groups(model)
    alive = np.random.default_rng(seed).permutation(groups.num_groups) < groups.num_groups // 2
    alive[np.unique(groups.layer_of, return_index=True)[1]] = True  # no layer dies
    groups.scale(model, alive.astype(float))
    return model, groups


@pytest.mark.parametrize("name", models.ALL)
def test_half_of_the_groups_go_and_the_outputs_stay(name):
    model, groups = halved(models.ALL[name])
    weights = [w.copy() for w in model.get_weights()]
    before = outputs(model)

    result = tf_wgsef.strip(model)

    assert relative_difference(before, outputs(result.model)) <= 1e-5
    assert result.max_abs_diff <= 1e-5 * result.output_range
    for layer in {name for label in groups.layers for name in label.split("+")}:
        assert result.kept[layer] == live_channels(models.layer_at(model, layer))
    for weight, saved in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(weight, saved)
    assert result.model.count_params() < model.count_params()


@pytest.mark.parametrize("name", models.ALL)
def test_the_result_saves_loads_and_trains_on(name, tmp_path):
    model, _ = halved(models.ALL[name])
    small = tf_wgsef.strip(model).model
    small.save(tmp_path / "small.keras")
    loaded = keras.models.load_model(tmp_path / "small.keras")
    for x, y in zip(outputs(small), outputs(loaded), strict=True):
        np.testing.assert_array_equal(x, y)
    generator = np.random.default_rng(0)
    x = models.random_inputs(loaded, 8)
    y = keras.tree.map_structure(
        lambda t: generator.normal(size=(8, *t.shape[1:])),
        loaded.output if not isinstance(loaded, keras.Sequential) else loaded.outputs[0],
    )
    loaded.compile("sgd", "mse")
    first = loaded.get_weights()[0].copy()
    loaded.fit(x, y, epochs=1, verbose=0)
    assert np.isfinite(loaded.get_weights()[0]).all()
    assert (loaded.get_weights()[0] != first).any()


def test_a_stripped_model_has_nothing_left_to_strip():
    model, _ = halved(models.lenet)
    once = tf_wgsef.strip(model)
    assert once.removed
    assert tf_wgsef.strip(once.model).removed == {}


def test_a_model_without_a_path_left_is_an_error_and_not_an_empty_model():
    model = models.randomize(models.residual())
    groups = tf_wgsef.build_groups(model)
    groups.scale(model, np.zeros(groups.num_groups))
    with pytest.raises(errors.StripError, match="depends on its input.*'stem'"):
        tf_wgsef.strip(model)


def dead_batch_norm(consumer):
    """A BN whose gamma is 0 and beta is not: the channel is the constant max(beta, 0)."""
    model = models.randomize(
        keras.Sequential(
            [
                keras.Input((6, 6, 2)),
                layers.Conv2D(4, 3, name="conv"),
                layers.BatchNormalization(name="bn"),
                layers.ReLU(name="relu"),
                consumer,
                layers.GlobalAveragePooling2D(name="gap"),
                layers.Dense(2, name="logits"),
            ]
        )
    )
    bn = model.get_layer("bn")
    bn.gamma.assign([1.0, 0.0, 0.0, 1.0])
    bn.beta.assign([0.1, 0.7, -0.7, 0.2])
    return model


@pytest.mark.parametrize(
    ("consumer", "stays", "why"),
    [
        (layers.Conv2D(3, 3, padding="valid", name="next"), 2, ""),
        (layers.Conv2D(3, 3, padding="valid", use_bias=False, name="next"), 2, ""),
        (layers.Conv2D(3, 1, padding="same", name="next"), 2, ""),
        (layers.Dense(3, name="next"), 2, ""),
        # At the border 'same' padding mixes zeros in: not exact, so the constant 0.7 stays; 0 goes.
        (layers.Conv2D(3, 3, padding="same", name="next"), 3, "cannot fold it exactly"),
    ],
    ids=["valid", "no_bias", "1x1", "dense", "same"],
)
def test_constants_fold_into_the_next_bias_only_where_that_is_exact(consumer, stays, why):
    model = dead_batch_norm(type(consumer).from_config(consumer.get_config()))
    before = outputs(model)
    result = tf_wgsef.strip(model)
    assert relative_difference(before, outputs(result.model)) <= 1e-5
    assert result.kept["conv"] == stays
    assert why in result.skipped.get("conv", "")


def test_filters_that_nothing_uses_go_without_any_group():
    model = models.randomize(models.lenet())
    kernel = model.get_layer("conv2").kernel
    value = kernel.numpy()
    value[:, :, 2, :] = 0
    kernel.assign(value)
    before = outputs(model)
    result = tf_wgsef.strip(model)
    assert result.removed == {"conv1": 1}
    assert relative_difference(before, outputs(result.model)) <= 1e-5


def test_what_goes_makes_more_go():
    """conv1's filter 0 is used by conv2's filter 0 alone, which is used by nobody."""
    model = models.randomize(models.lenet())
    conv2 = model.get_layer("conv2").kernel.numpy()
    conv2[:, :, 0, 1:] = 0
    model.get_layer("conv2").kernel.assign(conv2)
    dense = model.get_layer("dense1").kernel.numpy()
    dense.reshape((-1, 6, dense.shape[-1]))[:, 0] = 0
    model.get_layer("dense1").kernel.assign(dense)
    assert tf_wgsef.strip(model).removed == {"conv1": 1, "conv2": 1}


def test_a_barrier_keeps_what_it_touches_and_says_which_layer():
    model, _ = halved(models.with_barrier)
    report = tf_wgsef.strip(model).report()
    assert "before (Conv2D): kept 4 of 4: feeds BatchNormalization 'norm': it normalizes axis 1" in report


def test_mixed_precision_is_stripped_in_its_own_policy():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model, _ = halved(models.lenet)
    finally:
        keras.config.set_dtype_policy(policy)
    result = tf_wgsef.strip(model)
    assert result.removed
    assert result.model.get_layer("conv1").compute_dtype == "float16"


def test_frozen_layers_stay_frozen():
    model, _ = halved(models.lenet)
    model.get_layer("conv1").trainable = False
    small = tf_wgsef.strip(model).model
    assert not small.get_layer("conv1").trainable
    assert small.get_layer("conv2").trainable


class Halve(layers.Layer):
    def call(self, x):
        return x / 2


def halving_model():
    return models.randomize(
        keras.Sequential([keras.Input((4,)), layers.Dense(6, name="d"), Halve(), layers.Dense(2)])
    )


def test_a_registered_rule_opens_a_barrier(rules_restored):
    assert tf_wgsef.build_groups(halving_model()).num_groups == 0

    @tf_wgsef.register_rule(Halve)
    class HalveRule(tf_wgsef.LayerRule):
        def forward(self, call, values):
            return [values[0] / 2]

    model = halving_model()
    groups = tf_wgsef.build_groups(model)
    groups.scale(model, np.array([1, 0, 1, 0, 1, 1.0]))
    assert tf_wgsef.strip(model).removed == {"d": 2}


def test_a_wrong_rule_raises_instead_of_returning_another_model(rules_restored):
    @tf_wgsef.register_rule(Halve)
    class WrongRule(tf_wgsef.LayerRule):
        def forward(self, call, values):
            return [np.where(np.arange(len(values[0])) < 1, np.nan, 3.0)]  # claims that it is mostly 3 …

        def backward(self, call, used):
            return [np.zeros_like(used[0])]  # … whatever comes in

    with pytest.raises(tf_wgsef.WGSEFError, match="compute the same"):
        tf_wgsef.strip(halving_model())


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x)


def called_subclass():
    model = Subclassed()
    model(np.zeros((1, 3), "float32"))
    return model


def nan_model():
    model = models.lenet()
    model.get_layer("conv2").bias.assign(np.full(6, np.nan))
    return model


def legacy_model():
    """An object that looks like a Keras 2 model, without installing Keras 2."""
    return type("Sequential", (), {"__module__": "tf_keras.src.engine.sequential"})()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (called_subclass, "a subclass of keras.Model"),
        (lambda: keras.Sequential([layers.Dense(2)]), "whose weights do not exist yet"),
        (legacy_model, "a model of Keras 2"),
        (lambda: "model.keras", "keras.models.load_model"),
        (nan_model, "conv2/bias holds NaN or infinity"),
    ],
    ids=["subclassed", "unbuilt", "tf_keras", "path", "nan"],
)
def test_bad_models_get_one_clear_line(bad, message):
    with pytest.raises(errors.InputError, match=message) as caught:
        tf_wgsef.strip(bad())
    assert "\n" not in str(caught.value)
    assert "Expected" in str(caught.value) and "Received" in str(caught.value)


def assert_stripped_alike(model, removed):
    before = outputs(model)
    result = tf_wgsef.strip(model)
    assert relative_difference(before, outputs(result.model)) <= 1e-5
    assert result.removed == removed
    return result


def silence(layer, *channels):
    """Makes channels of ``layer`` depend on nothing; its bias stays."""
    kernel = keras.ops.convert_to_numpy(layer.kernel).copy()
    kernel[..., list(channels)] = 0
    layer.kernel.assign(kernel)


def test_softmax_in_the_middle_needs_all_its_inputs():
    model = models.randomize(
        keras.Sequential(
            [
                keras.Input((5,)),
                layers.Dense(4, name="hidden"),
                layers.Dense(3, activation="softmax", name="soft"),
                layers.Dense(2, name="logits"),
            ]
        )
    )
    soft, logits = model.get_layer("soft").kernel.numpy(), model.get_layer("logits").kernel.numpy()
    soft[1, 1:] = 0  # hidden unit 1 reaches unit 0 of the softmax only …
    logits[0] = 0  # … which nobody uses, but which the others are divided by
    model.get_layer("soft").kernel.assign(soft)
    model.get_layer("logits").kernel.assign(logits)
    assert_stripped_alike(model, {})


def test_a_new_bias_starts_at_zero_whatever_its_initializer_says():
    model = dead_batch_norm(layers.Conv2D(3, 3, use_bias=False, bias_initializer="ones", name="next"))
    assert_stripped_alike(model, {"conv": 2, "bn": 2})


def test_initializers_with_one_value_per_channel_do_not_stop_it():
    values = keras.initializers.Constant([1.0, 2.0, 3.0, 4.0])
    hidden = layers.Dense(4, bias_initializer=values, name="hidden")
    model = models.randomize(keras.Sequential([keras.Input((5,)), hidden, layers.Dense(3)]))
    silence(hidden, 1)
    assert_stripped_alike(model, {"hidden": 1})


def test_float64_is_folded_and_compared_in_float64():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        hidden = layers.Dense(6, activation="sigmoid", name="hidden")
        model = models.randomize(
            keras.Sequential([keras.Input((5,)), hidden, layers.BatchNormalization(), layers.Dense(3)])
        )
    finally:
        keras.config.set_dtype_policy(policy)
    silence(hidden, 1, 2)
    result = tf_wgsef.strip(model)
    assert result.removed["hidden"] == 2
    assert result.max_abs_diff <= 1e-10 * result.output_range


def called_with_training():
    inputs = keras.Input((5,))
    x = layers.Dense(4, activation="sigmoid", name="hidden")(inputs)
    x = layers.BatchNormalization(name="bn")(x, training=True)
    return models.randomize(keras.Model(inputs, layers.Dense(2)(x)))


def called_with_mask():
    inputs = keras.Input((5, 3))
    x = layers.Dense(4, name="hidden")(layers.Masking()(inputs))
    x = layers.LSTM(3)(layers.BatchNormalization(name="bn")(x))
    return models.randomize(keras.Model(inputs, layers.Dense(2)(x)))


@pytest.mark.parametrize(
    ("build", "why"), [(called_with_training, "training=True"), (called_with_mask, "mask")]
)
def test_calls_with_more_than_tensors_are_barriers(build, why):
    model = build()
    silence(model.get_layer("hidden"), 1)
    assert f"it is called with {why}" in assert_stripped_alike(model, {}).skipped["hidden"]


def test_a_constant_that_a_border_spoils_is_explained():
    model = dead_batch_norm(layers.DepthwiseConv2D(3, padding="same", name="next"))
    result = assert_stripped_alike(model, {"conv": 1, "bn": 1, "next": 1})
    assert "DepthwiseConv2D 'next'" in result.skipped["conv"]


def test_python_lambdas_are_barriers_and_survive():
    inputs = keras.Input((5,))
    x = layers.Dense(4, name="hidden", activation="relu")(inputs)
    x = layers.Dense(4, name="next", activation=lambda t: keras.ops.cumsum(t, -1))(x)
    x = layers.Lambda(lambda t: keras.ops.abs(t))(x)
    model = models.randomize(keras.Model(inputs, layers.Dense(2)(x)))
    groups = tf_wgsef.build_groups(model)
    groups.scale(model, np.array([1, 0, 1, 1]))
    assert_stripped_alike(model, {"hidden": 1})


def test_sizes_that_16_is_too_small_for_and_batches_that_are_fixed():
    inputs = x = keras.Input((None, None, 1))
    for _ in range(4):
        x = layers.MaxPooling2D()(layers.Conv2D(3, 3)(x))
    assert tf_wgsef.strip(models.randomize(keras.Model(inputs, x))).removed == {}
    inputs = keras.Input(batch_shape=(4, 6))
    x = keras.ops.reshape(layers.Dense(6)(inputs), (4, 2, 3))
    assert tf_wgsef.strip(models.randomize(keras.Model(inputs, x))).removed == {}


def test_tables_with_one_row_are_fed_what_they_know():
    inputs, other = keras.Input((6,), dtype="int32"), keras.Input((6, 4))
    x = layers.Dense(5)(layers.Add()([layers.Embedding(1, 4)(inputs), other]))
    assert tf_wgsef.strip(models.randomize(keras.Model([inputs, other], x))).proof.samples


class Noise(layers.Layer):
    def call(self, x):
        return x + keras.random.normal(keras.ops.shape(x))


class OwnInit(keras.Model):
    def __init__(self, units=2):
        inputs = keras.Input((5,))
        super().__init__(inputs, layers.Dense(units)(inputs))


class OwnCall(keras.Model):
    def call(self, x):
        return 2 * super().call(x)


def own_call():
    inputs = keras.Input((5,))
    return OwnCall(inputs, layers.Dense(2)(inputs))


def words():
    inputs = keras.Input((1,), dtype="string")
    table = layers.StringLookup(vocabulary=["a", "b"], output_mode="one_hot")
    return keras.Model(inputs, layers.Dense(2)(table(inputs)))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda: keras.Sequential([keras.Input((4,)), Noise(), layers.Dense(2)]), "the same outputs for"),
        (OwnInit, "get_config"),
        (own_call, "overrides call"),
        (words, "random inputs"),
    ],
    ids=["random", "own_init", "own_call", "strings"],
)
def test_models_that_cannot_be_compared_are_refused_in_one_line(bad, message):
    with pytest.raises(tf_wgsef.WGSEFError, match=message) as caught:
        tf_wgsef.strip(bad())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "bad", [{"seed": -1}, {"seed": "x"}, {"tolerance": "a"}, {"tolerance": float("nan")}]
)
def test_bad_arguments(bad):
    with pytest.raises(errors.InputError, match=next(iter(bad))):
        tf_wgsef.strip(models.lenet(), **bad)


@pytest.mark.skipif(
    tuple(map(int, keras.__version__.split(".")[:2])) < (3, 13),
    reason="Keras 3.12 draws a clone's seeds from its global generator, whose state is not public",
)
def test_strip_leaves_the_random_generators_alone():
    model = models.lenet()
    draws = []
    for use in (lambda: None, lambda: tf_wgsef.strip(model)):
        keras.utils.set_random_seed(3)
        use()
        draws.append(keras.ops.convert_to_numpy(keras.random.normal((3,))))
        draws.append(keras.ops.convert_to_numpy(layers.Dense(2)(np.ones((1, 2)))).ravel())
    np.testing.assert_array_equal(draws[0], draws[2])
    np.testing.assert_array_equal(draws[1], draws[3])


def test_outputs_far_from_zero_are_compared_by_what_float32_can_tell():
    """A regression around 200: one step of float32 there is more than 1e-5 of a range of 1."""
    model = keras.Sequential(
        [
            keras.Input((20,)),
            layers.Dense(64, activation="relu"),
            layers.Dense(64, activation="sigmoid"),
            layers.Dense(1, name="last"),
        ]
    )
    generator = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(generator.normal(0, 0.2, weight.shape))
    groups = tf_wgsef.build_groups(model)
    groups.scale(model, np.arange(groups.num_groups) % 2)
    model.get_layer("last").bias.assign([200.0])
    result = tf_wgsef.strip(model)
    assert sum(result.removed.values()) == 64
    assert result.max_abs_diff < 1e-4
