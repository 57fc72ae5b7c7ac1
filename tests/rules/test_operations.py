"""Raw operations that look element-wise but are not must stay barriers."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_wgsef
from tf_wgsef.graph import build_channel_graph


@pytest.mark.parametrize(
    ("operation", "reason"),
    [
        (lambda x: x * np.arange(1.0, 7.0, dtype="float32"), "its own number"),
        (lambda x: keras.ops.sum(x, axis=-1, keepdims=True) * x, "it runs over the channels"),
        (lambda x: keras.ops.max(x, axis=None, keepdims=True) + x, "it runs over the channels"),
        (lambda x: keras.ops.cumsum(x, axis=-1), "no rule"),
        (lambda x: keras.ops.flip(x), "it reverses the channels"),
        (lambda x: keras.ops.transpose(x), "it moves the channels"),
        (lambda x: keras.ops.squeeze(keras.ops.expand_dims(x, 1)), "it squeezes every axis"),
        (lambda x: x[:, 0], "fixed slices"),
        (lambda x: keras.ops.split(x, 3, axis=-1)[2], "several of its parts are not used"),
        (lambda x: keras.ops.pad(x, 1, constant_values=2.0), "it pads the channels"),
    ],
    ids=["per_channel", "sum", "all", "cumsum", "flip", "transpose", "squeeze", "pick", "split", "pad"],
)
def test_what_mixes_channels_is_a_barrier(operation, reason):
    inputs = keras.Input(batch_shape=(2, 4))
    x = layers.Dense(6, name="hidden")(inputs)
    x = keras.ops.reshape(operation(x), (1, -1))
    model = keras.Model(inputs, layers.Dense(2)(x))
    assert reason in " ".join(build_channel_graph(model).barriers().values())
    assert tf_wgsef.build_groups(model).num_groups == 0


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: keras.ops.softmax(x),
        lambda x: x + x[:, :1],
        lambda x: x[:, 1:4],
        layers.Activation("softmax"),
        layers.Softmax(),
        layers.LayerNormalization(),
        layers.GroupNormalization(1),
        layers.Rescaling([1.0] * 6),
        layers.Normalization(mean=0.0, variance=1.0),
    ],
)
def test_what_needs_its_channels_keeps_them(operation):
    inputs = keras.Input((4,))
    x = layers.Dense(6, name="hidden")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(operation(x)))
    assert not build_channel_graph(model).barriers()
    assert tf_wgsef.build_groups(model).num_groups == 0


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (lambda: layers.SpectralNormalization(layers.Dense(5)), "take that layer out"),
        (lambda: layers.GroupNormalization(2, axis=1), "it normalizes axis 1"),
        (lambda: layers.BatchNormalization(axis=1), "it normalizes axis 1"),
        (lambda: layers.Masking([0.0, 1.0] * 3), "its mask value is no number"),
        (lambda: layers.Rescaling(np.ones((4, 1))), "each position"),
        (lambda: layers.Permute((2, 1)), "it moves the channels"),
        (lambda: layers.Reshape((8, 3)), "it cuts pixels apart"),
        (lambda: layers.MaxPooling1D(2, data_format="channels_first"), "channels_first"),
    ],
)
def test_layers_that_are_not_covered_say_why(layer, reason):
    inputs = keras.Input((4, 3))
    x = layers.Dense(6, name="hidden")(inputs)
    model = keras.Model(inputs, layers.Flatten()(layer()(x)))
    assert reason in " ".join(build_channel_graph(model).barriers().values())
    assert tf_wgsef.build_groups(model).num_groups == 0


class LayerScale(layers.Layer):
    """Somebody's own layer with the name of one of Keras's."""

    def call(self, x):
        return keras.ops.cumsum(x, -1)


def test_a_class_is_known_by_name_only_if_it_is_keras_own():
    inputs = keras.Input((4,))
    x = LayerScale()(layers.Dense(6)(inputs))
    model = keras.Model(inputs, layers.Dense(2)(x))
    assert list(build_channel_graph(model).barriers().values()) == ["no rule"]
