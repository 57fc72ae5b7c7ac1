"""Weights that are int8 before TensorFlow's quantizer sees them: it makes the same file of floats."""

import keras
import numpy as np
import pytest

import tf_wgsef
from tests.convert.same import assert_same_files
from tf_wgsef.convert import _exporter, _two_steps
from tf_wgsef.convert._schema import read_buffer, read_graph

L = keras.layers


def _network(layer=None, part=0, value=0.0):
    """A small network; in two channels of ``layer``, its kernel (0) or bias (1) is ``value``."""
    keras.utils.set_random_seed(0)
    x = i = keras.Input((16, 16, 3))
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(24, 3, padding="same", name="first")(x)))
    y = L.Conv2D(24, 1, name="pointwise")(L.DepthwiseConv2D(3, padding="same", name="depthwise")(x))
    x = L.GlobalAveragePooling2D()(L.Conv2DTranspose(8, 2, strides=2)(L.Add()([x, y])))
    model = keras.Model(i, L.Dense(10, activation="softmax", name="head")(x))
    if layer is not None:
        weights = model.get_layer(layer).get_weights()
        weights[part][..., :2] = value
        model.get_layer(layer).set_weights(weights)
    return model


def _shared():
    keras.utils.set_random_seed(0)
    first, second = keras.Input((6,), name="first"), keras.Input((6,), name="second")
    dense = L.Dense(8, bias_initializer="normal")
    return keras.Model([first, second], L.Multiply()([dense(first), dense(second)]))


def _attention():
    keras.utils.set_random_seed(0)
    x = i = keras.Input((6, 16))
    x = L.LayerNormalization()(L.MultiHeadAttention(2, 8)(x, x) + x)
    return keras.Model(i, L.Dense(5, activation="softmax")(L.Flatten()(x)))


def _embedding(low, high):
    keras.utils.set_random_seed(0)
    tokens, initializer = keras.Input((16,), dtype="int32"), keras.initializers.RandomUniform(low, high)
    x = L.Embedding(500, 100, embeddings_initializer=initializer)(tokens)
    return keras.Model(tokens, L.Dense(3)(L.GlobalAveragePooling1D()(x)))


def _two_embeddings():
    """What comes out of both is brought to one scale, which is not that of the first table."""
    keras.utils.set_random_seed(0)
    tokens = [keras.Input((16,), dtype="int32") for _ in range(2)]
    wide = L.Embedding(500, 10, embeddings_initializer="ones")
    x = L.Concatenate()([L.Embedding(500, 10)(tokens[0]), wide(tokens[1])])
    return keras.Model(tokens, L.Dense(3)(L.GlobalAveragePooling1D()(x)))


class _Product(L.Layer):
    """A matrix for each of the first axis."""

    def build(self, shape):
        self.matrices = self.add_weight(shape=(shape[1], shape[3], 30), initializer="normal")

    def call(self, x):
        return keras.ops.matmul(x, self.matrices)


def _product():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((4, 10, 24)), _Product(), L.Flatten(), L.Dense(3)])


MODELS = {
    "plain": _network,
    "silent channels": lambda: _network("pointwise"),
    "channels of next to nothing": lambda: _network("pointwise", value=1e-8),
    "silent channels of a depthwise convolution": lambda: _network("depthwise"),
    "a bias that outgrows its scale": lambda: _network("pointwise", part=1, value=1e6),
    "a layer that is used twice": _shared,
    "attention": _attention,
    "a product of matrices": _product,
    "an embedding": lambda: _embedding(-0.05, 0.05),
    "an embedding above zero": lambda: _embedding(0.5, 2.0),
    "an embedding below zero": lambda: _embedding(-3.0, -1.0),
    "two embeddings that are joined": _two_embeddings,
    "an embedding of zeros": lambda: _embedding(0.0, 0.0),
}


def _data(model):
    rng = np.random.default_rng(0)
    return {
        one.name: rng.integers(0, 500, (4, *one.shape[1:])).astype("int32")
        if one.dtype == "int32"
        else rng.normal(size=(16, *one.shape[1:])).astype("float32")
        for one in model.inputs
    }


@pytest.mark.parametrize("name", MODELS)
def test_the_file_is_what_tensorflow_makes_of_floats(name, all_are_large, monkeypatch):
    model = MODELS[name]()
    options = {"quantization": "int8", "calibration": _data(model), "force": True}
    mine = tf_wgsef.convert(model, **options)
    monkeypatch.setattr(_two_steps, "quantize_weights", lambda *arguments: None)
    assert_same_files(mine, tf_wgsef.convert(model, **options))


def test_the_quantizer_sees_a_quarter_of_the_float_file(all_are_large, monkeypatch):
    keras.utils.set_random_seed(0)
    model, seen, real = keras.Sequential([keras.Input((512,)), L.Dense(512), L.Dense(512)]), [], None
    real = _exporter.quantized
    monkeypatch.setattr(
        _exporter, "quantized", lambda file, *more: (seen.append(len(file)), real(file, *more))[1]
    )
    tf_wgsef.convert(model, quantization="int8", calibration=np.eye(512))
    assert seen[0] < 0.3 * len(tf_wgsef.convert(model))


def test_layers_that_stay_in_float_keep_their_weights(all_are_large):
    model = _network()
    float_file = tf_wgsef.convert(model)
    mixed = tf_wgsef.convert(
        model, quantization={"*": "int8", "pointwise": "float"}, calibration=_data(model), force=True
    )
    assert _kernel(mixed, "pointwise") == _kernel(float_file, "pointwise")
    assert len(_kernel(mixed, "first")) * 4 == len(_kernel(float_file, "first"))


def _kernel(tflite, layer) -> bytes:
    graph = read_graph(tflite)
    found = [one for one in graph.tensors if f"/{layer}_" in one.name and one.stored and len(one.shape) == 4]
    assert len(found) == 1
    return read_buffer(tflite, found[0].buffer)
