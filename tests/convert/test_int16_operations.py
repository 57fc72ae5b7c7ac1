"""Each operation that int16x8 files are made of, against what TensorFlow makes of it."""

import keras
import numpy as np
import pytest

import tf_wgsef
from tests.convert import tensorflows
from tests.convert.same import assert_same_files
from tf_wgsef.convert._schema import read_graph

L, ops = keras.layers, keras.ops


def _convolved(x):
    """Another tensor of the shape of ``x``, of about twice the size."""
    kernel = keras.initializers.RandomNormal(stddev=1.0, seed=5)
    return L.Conv2D(4, 1, kernel_initializer=kernel, bias_initializer="normal")(x)


def _steps(*shape):
    """A constant of a shape, between -1 and 1."""
    return np.linspace(-1, 1, np.prod(shape), dtype=np.float32).reshape(shape)


OPERATIONS = {
    "ABS": ops.abs,
    "ADD": lambda x: _convolved(x) + _convolved(x),
    "BATCH_MATMUL": lambda x: ops.matmul(x, ops.transpose(x, (0, 1, 3, 2))),
    "BATCH_MATMUL of a constant": lambda x: ops.matmul(x, _steps(6, 4, 4)),
    "CONCATENATION": lambda x: L.Concatenate()([x, _convolved(x)]),
    "CONCATENATION with a constant": lambda x: ops.concatenate([x, ops.zeros_like(x) + 0.5], axis=-1),
    "GATHER": lambda x: ops.take(x, [0, 2], axis=1),
    "GELU": L.Activation("gelu"),
    "LEAKY_RELU": L.LeakyReLU(),
    "MAXIMUM": lambda x: L.Maximum()([x, _convolved(x)]),
    "MEAN": L.GlobalAveragePooling2D(),
    "MINIMUM": lambda x: L.Minimum()([x, _convolved(x)]),
    "MIRROR_PAD": lambda x: ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect"),
    "PACK": lambda x: ops.stack([x, _convolved(x)], axis=1),
    "REDUCE_MAX": L.GlobalMaxPooling2D(),
    "REDUCE_MIN": lambda x: ops.min(x, axis=(1, 2)),
    "RELU": lambda x: L.ReLU()(L.Concatenate()([x, _convolved(x)])),
    "RELU6": lambda x: L.ReLU(6.0)(L.Concatenate()([x, 20 * x])),
    "RESIZE_BILINEAR": L.UpSampling2D(2, interpolation="bilinear"),
    "RESIZE_NEAREST_NEIGHBOR": lambda x: ops.image.resize(x, (9, 9), interpolation="nearest"),
    "REVERSE_V2": lambda x: ops.flip(x, axis=1),
    "SLICE": lambda x: ops.roll(x, 1, axis=1),
    "SPLIT": lambda x: ops.split(x, 2, axis=-1),
    "SPLIT_V": lambda x: ops.split(x, [1, 3], axis=-1),
    "STRIDED_SLICE": L.Cropping2D(1),
    "SUB": lambda x: L.Subtract()([x, _convolved(x)]),
    "SUB from a constant": lambda x: 1.0 - x,
    "TILE": L.UpSampling2D(2),
    "TRANSPOSE": L.Permute((3, 1, 2)),
    "TRANSPOSE_CONV": L.Conv2DTranspose(3, 2, strides=2, use_bias=False),
    "TRANSPOSE_CONV with a bias": L.Conv2DTranspose(3, 3, strides=2, bias_initializer="normal"),
    "UNPACK": lambda x: ops.unstack(x, axis=1),
}


def _model(name):
    keras.utils.set_random_seed(0)
    i = keras.Input((6, 6, 4))
    return keras.Model(i, OPERATIONS[name](L.Conv2D(4, 1, bias_initializer="normal")(i)))


def _images():
    return np.random.default_rng(0).normal(size=(20, 6, 6, 4)).astype("float32")


def _settings(tflite):
    """Version and options of each operation."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytes(tflite), 0))
    return [
        (model.operatorCodes[one.opcodeIndex].version, _listed(one.builtinOptions))
        for one in model.subgraphs[0].operators
    ]


def _listed(options):
    found = {} if options is None else vars(options)
    return {name: np.asarray(value).tolist() for name, value in found.items()}


@pytest.mark.parametrize("name", OPERATIONS)
def test_it_is_quantized_as_tensorflow_does(name):
    model, kind = _model(name), name.split()[0]
    assert kind in [one.kind for one in read_graph(tf_wgsef.convert(model)).operations]
    ours = tf_wgsef.convert(model, quantization="int16x8", calibration=_images())
    theirs = tensorflows.int16_file(model, _images())
    assert_same_files(ours, theirs)
    assert _settings(ours) == _settings(theirs)
    assert ours.record.contents.integer_only and ours.record.parity.relative < 0.05
