"""Options of layers, and ways to use them, that random normal inputs alone would not tell apart."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import tf_wgsef
from tests import models
from tf_wgsef.errors import StripError


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def padded(*shape):
    """Sequences of different lengths, 0 behind their ends, one of them empty."""
    x = normal(*shape)
    for row, length in enumerate(np.linspace(0, shape[1], shape[0]).astype(int)):
        x[row, length:] = 0
    return x


def attention_in_rows_that_are_masked():
    inputs = keras.Input((8, 4))
    steps = layers.Masking()(inputs)
    outputs = layers.MultiHeadAttention(2, 3, dropout=0.1, name="attention")(steps, steps)
    model = models.randomize(keras.Model(inputs, layers.Dense(2)(outputs)))
    value = model.get_layer("attention").value_dense
    value.kernel.assign(ops.concatenate([ops.zeros_like(value.kernel[:, :1]), value.kernel[:, 1:]], 1))
    return model, padded(6, 8, 4)


def mask_as_an_argument():
    inputs = keras.Input((16, 8))
    mask = ops.any(ops.not_equal(inputs, 0.0), axis=-1)
    x = layers.LSTM(8, return_sequences=True)(inputs, mask=mask)
    branch = layers.Conv1D(8, 3, padding="same", name="branch")
    x = layers.Add()([x, branch(x)])
    model = models.randomize(keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x))))
    for weight in model.get_layer("branch").weights:
        weight.assign(ops.zeros_like(weight))
    return model, padded(6, 16, 8)


def a_relu_that_only_the_first_use_can_do_without():
    start = [keras.Input((8, 8, 6)), layers.ReLU(), layers.Conv2D(6, 3, padding="same", name="inner")]
    block = keras.Sequential(start, name="block")
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu")(inputs)
    return models.randomize(keras.Model(inputs, block(block(x)))), normal(4, 8, 8, 3)


def each_use_takes_another_output():
    start = keras.Input((6,))
    encoder = keras.Model(start, [layers.Dense(4)(start), layers.Dense(5)(start)], name="encoder")
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    model = keras.Model([a, b], layers.Concatenate()([encoder(a)[0], encoder(b)[1]]))
    return models.randomize(model), [normal(4, 6), normal(4, 6, seed=1)]


def batch_renormalization():
    norm = layers.BatchNormalization(renorm=True, name="norm")
    stack = [layers.Conv2D(6, 3, name="conv"), norm, layers.ReLU(), layers.Conv2D(2, 3)]
    return models.randomize(keras.Sequential([keras.Input((8, 8, 3)), *stack])), normal(4, 8, 8, 3)


def one_model_at_two_sizes():
    start = keras.Input((None, None, 3))
    features = layers.Conv2D(6, 3, padding="same", name="features")(start)
    encoder = keras.Model(start, layers.Reshape((-1, 6))(features), name="encoder")
    a, b = keras.Input((8, 8, 3)), keras.Input((4, 4, 3))
    joint = layers.Concatenate(axis=1)([encoder(a), encoder(b)])
    model = keras.Model([a, b], layers.Dense(2)(joint))
    return models.randomize(model), [normal(4, 8, 8, 3), normal(4, 4, 4, 3)]


def a_layer_that_is_a_barrier_in_one_use():
    lstm, a, b = layers.LSTM(8, name="lstm"), keras.Input((5, 3)), keras.Input((5, 3))
    joint = layers.Concatenate()([lstm(a), lstm(b, training=True)])
    return models.randomize(keras.Model([a, b], layers.Dense(2)(joint))), [normal(4, 5, 3), normal(4, 5, 3)]


def a_model_that_is_a_barrier_in_one_use():
    inner = keras.Sequential([keras.Input((5,)), layers.Dense(8, "relu", name="hidden")], name="inner")
    a, b = keras.Input((5,)), keras.Input((5,))
    joint = layers.Concatenate()([inner(a), inner(b, training=True)])
    return models.randomize(keras.Model([a, b], layers.Dense(2)(joint))), [normal(4, 5), normal(4, 5)]


def a_mask_for_a_nested_model():
    steps = keras.Input((16, 8))
    branch = layers.Conv1D(8, 3, padding="same", name="branch")(steps)
    inner = keras.Model(steps, layers.GlobalAveragePooling1D()(layers.Add()([steps, branch])), name="inner")
    inputs = keras.Input((16, 8))
    mask = ops.any(ops.not_equal(inputs, 0.0), axis=-1)
    model = models.randomize(keras.Model(inputs, layers.Dense(2)(inner(inputs, mask=mask))))
    for weight in inner.get_layer("branch").weights:
        weight.assign(ops.zeros_like(weight))
    return model, padded(6, 16, 8)


def an_equation_that_leaves_the_channels_out():
    inputs = keras.Input((6, 9))
    x = layers.EinsumDense("ab...,bc->ac...", output_shape=(4,))(layers.Dense(9, "relu")(inputs))
    return models.randomize(keras.Model(inputs, layers.Dense(2)(x))), normal(4, 6, 9)


MODELS = [
    attention_in_rows_that_are_masked,
    mask_as_an_argument,
    a_relu_that_only_the_first_use_can_do_without,
    each_use_takes_another_output,
    batch_renormalization,
    one_model_at_two_sizes,
    a_layer_that_is_a_barrier_in_one_use,
    a_model_that_is_a_barrier_in_one_use,
    a_mask_for_a_nested_model,
    an_equation_that_leaves_the_channels_out,
]


@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
@pytest.mark.parametrize("zeroed", [False, True])
def test_outputs_stay_the_same(build, zeroed):
    model, x = build()
    if zeroed:
        groups = tf_wgsef.build_groups(model)
        groups.scale(model, (np.arange(groups.num_groups) % 2).astype("float32"))
    before = model.predict(x, verbose=0)
    small = tf_wgsef.strip(model).model
    np.testing.assert_allclose(small.predict(x, verbose=0), before, rtol=1e-4, atol=1e-5)
    assert tf_wgsef.profile(small).parameters <= tf_wgsef.profile(model).parameters


def test_a_noise_shape_that_counts_channels_keeps_them():
    stack = [layers.Dense(8, name="d"), layers.Dropout(0.2, noise_shape=(None, 1, 8)), layers.Dense(3)]
    model = models.randomize(keras.Sequential([keras.Input((10, 4)), *stack]))
    half = np.arange(8) < 4
    for weight in model.get_layer("d").weights:
        weight.assign(weight * half)
    small = tf_wgsef.strip(model).model
    small(normal(2, 10, 4), training=True)
    assert small.get_layer("d").units == 8
    assert "noise_shape" in tf_wgsef.strip(model).skipped["d"]


def test_a_vocabulary_that_was_adapted_is_kept():
    lookup = layers.IntegerLookup(output_mode="one_hot")
    lookup.adapt(np.array([[3], [5], [7]]))
    inputs = keras.Input((1,), dtype="int64")
    model = keras.Model(inputs, layers.Dense(3)(lookup(inputs)))
    x = np.array([[3], [7], [9]])
    small = tf_wgsef.strip(model).model
    np.testing.assert_allclose(small.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6)


def test_lora_inside_attention_is_said():
    inputs = keras.Input((5, 4))
    model = keras.Model(inputs, layers.MultiHeadAttention(2, 3, name="attention")(inputs, inputs))
    model.get_layer("attention").query_dense.enable_lora(2)
    with pytest.raises(StripError, match="LoRA"):
        tf_wgsef.strip(model)


@pytest.mark.parametrize(("axes", "pairs"), [(None, 48 * 48), ((1,), 48 * 6), ((2,), 48 * 8)])
def test_attention_along_an_axis_multiplies_along_it_only(axes, pairs):
    inputs = keras.Input((6, 8, 4))
    attention = layers.MultiHeadAttention(2, 3, attention_axes=axes, name="a")
    model = keras.Model(inputs, attention(inputs, inputs))
    macs = {row.name: row.macs for row in tf_wgsef.profile(model).layers}
    assert macs["a/scores"] == macs["a/mean"] == pairs * 2 * 3
