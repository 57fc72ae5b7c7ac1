"""TensorFlow's converter has two entrances; a file does not tell which one it came by."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_wgsef
from tests.convert import models
from tests.convert.same import assert_same_files
from tf_wgsef.convert import _metadata, predict
from tf_wgsef.convert._schema import read_buffer, read_graph
from tf_wgsef.convert._write_model import write_model
from tf_wgsef.errors import ConversionError

L = keras.layers


def _equal_layers():
    """A convolution and a dense layer of equal weights, which are tensors of two shapes."""
    keras.utils.set_random_seed(0)
    convolution, dense = L.Conv2D(64, 1, activation="tanh"), L.Dense(64)
    model = keras.Sequential([keras.Input((1, 1, 64)), convolution, L.Flatten(), dense])
    dense.set_weights([convolution.get_weights()[0].reshape(64, 64), np.zeros(64)])
    return model


def _gelu():
    """An operation that TensorFlow keeps as one, a composite, with the right flag."""
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((8,)), L.Dense(8, activation="gelu"), L.LayerNormalization()])


def _flex():
    x = keras.Input((2, 2))
    return keras.Model(x, keras.ops.linalg.det(x))


def _loop():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((6, 4)), L.LSTM(3), L.Dense(2)])


BUILDERS = {**models.BUILDERS, "equal layers": _equal_layers, "gelu": _gelu, "loop": _loop}


@pytest.fixture
def without_the_direct_entrance(monkeypatch):
    """``without_the_direct_entrance()``: from then on TensorFlow is one that has dropped it."""
    return lambda: monkeypatch.delattr(tf.compat.v1.lite, "toco_convert")


@pytest.mark.parametrize("quantization", ["none", "float16", "dynamic"])
@pytest.mark.parametrize("name", BUILDERS)
def test_both_give_the_same_file(name, quantization, without_the_direct_entrance):
    model = BUILDERS[name]()
    direct = tf_wgsef.convert(model, quantization=quantization)
    without_the_direct_entrance()
    other = tf_wgsef.convert(model, quantization=quantization)
    assert_same_files(direct, other)
    assert len(direct) == pytest.approx(len(other), abs=64)


def test_both_let_operations_of_tensorflow_in_where_asked(without_the_direct_entrance):
    model, options = _flex(), {"allow_flex": True, "force": True}
    direct = tf_wgsef.convert(model, **options)
    assert direct.record.contents.flex
    with pytest.raises(ConversionError, match="MatrixDeterminant"):
        tf_wgsef.convert(model)
    without_the_direct_entrance()
    assert_same_files(direct, tf_wgsef.convert(model, **options))
    with pytest.raises(ConversionError, match="MatrixDeterminant"):
        tf_wgsef.convert(model)


@pytest.mark.parametrize("quantization", ["none", "dynamic", "int8", "int16x8"])
def test_equal_constants_are_stored_once(quantization, all_are_large, monkeypatch):
    model, x = _equal_layers(), np.random.default_rng(0).normal(size=(32, 1, 1, 64)).astype("float32")
    shared = tf_wgsef.convert(model, quantization=quantization, calibration=x)
    kernels = {one.buffer for one in read_graph(shared).tensors if one.shape in ((64, 64), (64, 1, 1, 64))}
    assert len(kernels) == 1
    monkeypatch.setattr(_metadata, "share_constants", lambda model: None)
    twice = tf_wgsef.convert(model, quantization=quantization, calibration=x)
    assert len(twice) > len(shared) + 4000 or quantization == "int16x8"  # where they are shared before
    assert_same_files(shared, twice)
    np.testing.assert_array_equal(predict(shared, x), predict(twice, x))


def test_what_no_tensor_holds_is_not_shared():
    """An entry of the metadata that looks like a constant stays an entry of its own."""
    from ai_edge_litert import schema_py_generated as schema

    dense = L.Dense(8)
    tflite = tf_wgsef.convert(keras.Sequential([keras.Input((8,)), dense]))
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytes(tflite), 0))
    kernel = next(one for one in model.subgraphs[0].tensors if model.buffers[one.buffer].data is not None)
    entry = schema.MetadataT()
    entry.name, entry.buffer = "like a constant", len(model.buffers)
    model.buffers.append(schema.BufferT())
    model.buffers[-1].data = model.buffers[kernel.buffer].data
    model.metadata.append(entry)
    content = bytes(model.buffers[-1].data)
    told = _metadata.write_metadata(write_model(model), {})
    assert read_buffer(told, read_graph(told).metadata["like a constant"]) == content
