"""Quantization layer by layer, and what only a calibrated file has."""

import keras
import numpy as np
import pytest

import tf_wgsef
from tf_wgsef.convert import accuracy
from tf_wgsef.convert._schema import read_graph
from tf_wgsef.errors import InputError

L = keras.layers


def types_of(tflite):
    """{kind: types of its weights, in order}, of the operations that have weights."""
    graph, found = read_graph(tflite), {}
    for operation in graph.operations:
        if operation.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            found.setdefault(operation.kind, []).append(graph.tensors[operation.inputs[1]].dtype)
    return found


@pytest.mark.parametrize(
    ("quantization", "conv", "dense", "io"),
    [
        ({"*": "int8", "dense*": "float"}, "int8", "float32", "int8"),
        ({"dense*": "float", "*": "int8"}, "int8", "float32", "float32"),
        ({"*": "float", "dense*": "int8"}, "float32", "int8", "float32"),
        ({"*": "int8", "conv*": "float", "depth*": "float"}, "float32", "int8", "int8"),
        ({"*": "int8", "dense*": "int8"}, "int8", "int8", "int8"),
    ],
)
def test_each_layer_is_what_its_pattern_says(digits, quantization, conv, dense, io):
    model, (x, _), test = digits
    tflite = tf_wgsef.convert(model, quantization=quantization, calibration=x, io=io, test=test)
    expected = {"CONV_2D": [conv], "DEPTHWISE_CONV_2D": [conv], "FULLY_CONNECTED": [dense]}
    assert types_of(tflite) == expected
    contents = tflite.record.contents
    assert [port.dtype for port in (*contents.inputs, *contents.outputs)] == [io, io]
    assert contents.integer_only == (conv == dense == "int8")
    assert tflite.record.accuracy >= tflite.record.keras_accuracy - 0.02
    assert tflite.record.accuracy == accuracy(tflite, *test)


def test_names_that_look_like_another_ones_second_call_are_told_apart():
    """TensorFlow calls the scope of `conv` conv_1, which is another layer's name here."""
    inner = keras.Sequential([keras.Input((8, 8, 4)), L.Conv2D(5, 1, name="conv")], name="inner")
    names = ("conv", "conv_1", "conv_1_1", "conv_2")
    x = i = keras.Input((8, 8, 3))
    for count, name in enumerate(names):
        x = L.Conv2D(4 + (count == 2), 3, padding="same", name=name)(x)
        if count == 1:
            x = L.Conv2D(4, 1, name="shared")(x)
            x = inner(x)
    model = keras.Model(i, x)
    data = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32")
    order = ("conv", "conv_1", "shared", "inner/conv", "conv_1_1", "conv_2")
    for name in ("conv", "conv_1", "conv_1_1"):
        quantization = {"*": "int8", name: "float"}
        found = types_of(tf_wgsef.convert(model, quantization=quantization, calibration=data))["CONV_2D"]
        floats = [one for one, dtype in zip(order, found, strict=True) if dtype == "float32"]
        # A name without a path fits wherever it is found.
        assert floats == (["conv", "inner/conv"] if name == "conv" else [name])


def test_scales_are_per_channel(digits):
    model, (x, _), _ = digits
    graph = read_graph(tf_wgsef.convert(model, quantization="int8", calibration=x))
    first = next(one for one in graph.operations if one.kind == "CONV_2D")
    assert len(graph.tensors[first.inputs[1]].scales) == 16


def _nan_late():
    x = np.random.default_rng(0).normal(size=(16, 8, 8, 1)).astype("float32")
    yield x
    yield np.where(x > 1, np.nan, x)


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        (_nan_late, "Expected finite `calibration` for input 'image'"),
        (lambda: iter([np.zeros((16, 8, 8, 1)), np.zeros((4, 3))]), r"Received: shape=\(4, 3\)"),
    ],
)
def test_bad_calibration_far_into_a_stream_is_one_clear_line(digits, calibration, message):
    with pytest.raises(InputError, match=message) as caught:
        tf_wgsef.convert(digits[0], quantization="int8", calibration=calibration())
    assert "\n" not in str(caught.value)
