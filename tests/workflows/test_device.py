"""The channel step, from times whose steps are known."""

import math

import keras
import pytest

from tf_wgsef.convert import read_contents
from tf_wgsef.workflows import channel_step
from tf_wgsef.workflows._device import file_of_any_weights


@pytest.mark.parametrize("step", [4, 8, 16])
def test_a_staircase_shows_its_step(step):
    times = {count: 5 + 10 * math.ceil(count / step) for count in (1, 4, 8, 16, 32)}
    assert channel_step(times) == step


def test_no_staircase_no_step():
    assert channel_step({count: 2.0 * count for count in (1, 4, 8, 16, 32)}) is None
    assert channel_step(dict.fromkeys((1, 4, 8, 16, 32), 5.0)) is None


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float32"])
def test_inputs_of_any_type_calibrate_an_int8_file(dtype):
    inputs = keras.Input((4,), dtype=dtype)
    x = keras.layers.Embedding(9, 6)(inputs) if dtype == "int32" else keras.layers.Rescaling(1 / 255)(inputs)
    outputs = keras.layers.Dense(3)(keras.layers.Flatten()(x))
    file = file_of_any_weights(keras.Model(inputs, outputs), "int8")
    assert read_contents(file).metadata["quantization"] == "int8"
