"""TensorFlow's own operators in a file: only on demand, and never said to be proven."""

import json

import keras
import numpy as np
import pytest

import tf_wgsef
from tests.cli.test_cli import call
from tf_wgsef.convert import predict
from tf_wgsef.errors import ConversionError, InputError


@pytest.fixture(scope="module")
def model():
    x = keras.Input((4,))
    return keras.Model(x, keras.ops.linalg.det(keras.layers.Reshape((2, 2))(keras.layers.Dense(4)(x))))


def test_they_are_refused_by_name_unless_asked_for(model):
    with pytest.raises(ConversionError, match="MatrixDeterminant.*allow_flex=True") as caught:
        tf_wgsef.convert(model)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("quantization", ["none", "float16", "dynamic"])
def test_a_file_that_cannot_be_run_here_is_proven_by_nothing(model, quantization):
    options = {"quantization": quantization, "allow_flex": True}
    with pytest.raises(ConversionError, match="FlexMatrixDeterminant, which LiteRT lacks.*force=True"):
        tf_wgsef.convert(model, **options)
    tflite = tf_wgsef.convert(model, force=True, **options)
    record = tflite.record
    assert record.contents.flex == ("FlexMatrixDeterminant",)
    assert record.parity is None and record.accuracy is None
    assert "Nothing is proven" in record.problem
    assert "compared with the Keras model: not at all" in tflite.report() and "FORCED" in tflite.report()
    json.dumps(record.to_dict(), allow_nan=False)
    with pytest.raises(InputError, match="that LiteRT can run"):
        predict(tflite, np.zeros((1, 4), np.float32))


class Powers(keras.layers.Layer):
    def call(self, x):
        return keras.ops.fori_loop(0, 3, lambda _, sum_: sum_ * keras.ops.linalg.det(x)[:, None, None], x)


def test_one_inside_a_loop_is_found_too():
    model = keras.Sequential([keras.Input((2, 2)), Powers()])
    record = tf_wgsef.convert(model, allow_flex=True, force=True).record
    assert "WHILE" in record.contents.operators and record.contents.flex == ("FlexMatrixDeterminant",)
    assert record.parity is None


def test_a_model_that_needs_none_is_proven_as_ever():
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    plain, allowed = tf_wgsef.convert(model), tf_wgsef.convert(model, allow_flex=True)
    assert allowed == plain and allowed.record == plain.record


@pytest.mark.parametrize("quantization", ["int8", "int16x8", {"*": "int8", "head": "float"}])
def test_a_calibrated_file_cannot_have_them(model, quantization):
    with pytest.raises(InputError, match="'dynamic' with allow_flex=True"):
        tf_wgsef.convert(model, quantization=quantization, calibration=np.ones((8, 4)), allow_flex=True)


def test_the_command_writes_one_only_by_force(model, tmp_path, capsys):
    model.save(tmp_path / "m.keras")
    command = ["convert", tmp_path / "m.keras", "--output", tmp_path / "m.tflite", "--allow-flex"]
    assert call(*command) == 1 and not (tmp_path / "m.tflite").exists()
    assert "FlexMatrixDeterminant" in capsys.readouterr().err
    assert call(*command, "--force", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["max_abs_diff"] is None and "Nothing is proven" in values["problem"]
