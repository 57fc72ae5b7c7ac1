"""int16x8 files are what TensorFlow's converter makes by default, with less memory."""

import keras
import numpy as np
import pytest

import tf_wgsef
from tests.convert.same import assert_same_files
from tf_wgsef.convert import _entrances, _exporter, predict
from tf_wgsef.convert._int16_steps import fits_int16
from tf_wgsef.convert._integers import rounded
from tf_wgsef.convert._schema import read_graph

L = keras.layers


@pytest.fixture(scope="module")
def network():
    """One of all operations that are quantized here, none of which is computed over its own input.

    There TensorFlow's calibrator would log other ranges. Two channels have no weights, one of them no bias.
    """
    keras.utils.set_random_seed(0)
    normal = {"bias_initializer": "normal"}
    i = keras.Input((12, 12, 3), name="image")
    x = L.Rescaling(0.3)(i)
    x = L.Concatenate()([L.Rescaling(1.0, offset=-0.4)(x), x, i])
    a = L.Conv2D(8, 3, padding="same", activation="relu", **normal)(x)
    b = L.DepthwiseConv2D(3, padding="same", **normal)(a)
    x = L.Concatenate()([L.Add()([a, b]), a, b])
    x = L.AveragePooling2D(2)(L.ZeroPadding2D(1)(x))
    empty = L.Conv2D(8, 3, name="empty", **normal)
    x = L.MaxPooling2D(2)(empty(x))
    kernel, bias = empty.get_weights()
    kernel[..., 2:4], bias[3] = 0, 0
    empty.set_weights([kernel, bias])
    x = L.Multiply()([L.Activation("sigmoid")(x), L.Activation("tanh")(x)])
    flat = L.Dense(4, use_bias=False, name="flat")(L.Flatten()(x))
    return keras.Model(i, [L.Dense(5, activation="softmax", **normal)(L.GlobalAveragePooling2D()(x)), flat])


def _images(count=20):
    return np.random.default_rng(0).normal(size=(count, 12, 12, 3)).astype("float32")


def _through():
    """Its input is an output too, so TensorFlow renames it twice."""
    i = keras.Input((3,))
    return keras.Model(i, [i, L.Dense(2)(i)])


def test_calibrating_once_gives_the_same_file(network, monkeypatch):
    through, x = _through(), np.eye(3)
    cases = [(network, _images(), "int16"), (through, x, "int16"), (through, x, "float32")]

    def convert():
        return [tf_wgsef.convert(m, quantization="int16x8", calibration=x, io=io) for m, x, io in cases]

    once = convert()
    monkeypatch.setattr(_entrances, "calibrate_once", lambda converter: None)
    monkeypatch.setattr(_exporter, "tidied", lambda tflite: tflite)
    assert once == convert()


@pytest.mark.parametrize("io", ["int16", "float32"])
def test_two_steps_are_what_tensorflow_makes(network, io, in_two_steps_and_whole, monkeypatch):
    options = {"quantization": "int16x8", "calibration": _images(), "io": io}
    monkeypatch.setattr(_entrances, "calibrate_once", None)  # so TensorFlow's own way fails
    steps, whole = in_two_steps_and_whole(network, **options)
    assert_same_files(steps, whole)
    assert steps.record.contents.integer_only == whole.record.contents.integer_only
    for mine, theirs, true in zip(
        predict(steps, _images()).values(),
        predict(whole, _images()).values(),
        network(_images()),
        strict=True,
    ):
        np.testing.assert_allclose(mine, theirs, atol=1e-4 * np.ptp(theirs))
        np.testing.assert_allclose(mine, true, atol=2e-2 * np.ptp(theirs))


def test_a_layer_that_is_used_twice_has_two_biases(all_are_large):
    keras.utils.set_random_seed(0)
    first, second = keras.Input((6,), name="first"), keras.Input((6,), name="second")
    shared = L.Dense(8, bias_initializer="normal")
    model = keras.Model([first, second], L.Multiply()([shared(first), shared(second)]))
    x = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
    data = {"first": x, "second": 50 * x}
    tflite = tf_wgsef.convert(model, quantization="int16x8", calibration=data)
    assert tflite.record.contents.integer_only
    true = model(data).numpy()
    np.testing.assert_allclose(predict(tflite, data), true, atol=2e-2 * np.ptp(true))


def test_other_operations_are_left_to_tensorflow(all_are_large, monkeypatch):
    i = keras.Input((3, 4))
    summed = keras.Model(i, keras.ops.sum(L.Dense(2)(i), axis=1))
    assert not fits_int16(read_graph(tf_wgsef.convert(summed)))
    options = {"quantization": "int16x8", "calibration": np.eye(12).reshape(12, 3, 4), "force": True}
    large = tf_wgsef.convert(summed, **options)
    monkeypatch.undo()
    assert large == tf_wgsef.convert(summed, **options)


def test_bad_calibration_is_told_of(network, all_are_large):
    x = _images(40)
    x[39, 0, 0] = np.nan  # among those that are read while the ranges are
    with pytest.raises(tf_wgsef.errors.InputError, match="calibration"):
        tf_wgsef.convert(network, quantization="int16x8", calibration=(x[i : i + 5] for i in range(0, 40, 5)))


def test_halves_are_rounded_away_from_zero():
    values = np.array([0.5, 1.5, -2.5, 0.49999997, 3e5, -3e5], np.float32)
    found = rounded(values, np.ones(1, np.float32), np.int16, 32767)
    assert found.tolist() == [1, 2, -3, 0, 32767, -32767]
