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
        (lambda x: keras.ops.softmax(x), "no rule"),
        (lambda x: keras.ops.sum(x, axis=-1, keepdims=True) * x, "no rule"),
        (lambda x: x + x[:, :1], "no rule"),
    ],
    ids=["per_channel", "softmax", "sum", "slice"],
)
def test_what_mixes_channels_is_a_barrier(operation, reason):
    inputs = keras.Input((4,))
    x = layers.Dense(6, name="hidden")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(operation(x)))
    assert reason in " ".join(build_channel_graph(model).barriers().values())
    assert tf_wgsef.build_groups(model).num_groups == 0
