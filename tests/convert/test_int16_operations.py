"""Each operation that int16x8 files of large models are made of, against what TensorFlow makes of it."""

import keras
import numpy as np
import pytest

import tf_wgsef
from tests.convert.same import assert_same_files
from tf_wgsef.convert._int16_steps import fits_int16
from tf_wgsef.convert._schema import read_graph

L, ops = keras.layers, keras.ops


def _convolved(x):
    """Another tensor of the shape of ``x``, of about twice the size."""
    kernel = keras.initializers.RandomNormal(stddev=1.0, seed=5)
    return L.Conv2D(4, 1, kernel_initializer=kernel, bias_initializer="normal")(x)


OPERATIONS = {
    "ABS": ops.abs,
    "ADD": lambda x: _convolved(x) + _convolved(x),
    "BATCH_MATMUL": lambda x: ops.matmul(x, ops.transpose(x, (0, 1, 3, 2))),
    "CONCATENATION": lambda x: L.Concatenate()([x, _convolved(x)]),
    "EXP": ops.exp,
    "GATHER": lambda x: ops.take(x, [0, 2], axis=1),
    "GELU": L.Activation("gelu"),
    "LEAKY_RELU": L.LeakyReLU(),
    "LOG": lambda x: ops.log(ops.exp(x)),
    "MAXIMUM": lambda x: L.Maximum()([x, _convolved(x)]),
    "MEAN": L.GlobalAveragePooling2D(),
    "MINIMUM": lambda x: L.Minimum()([x, _convolved(x)]),
    "MIRROR_PAD": lambda x: ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect"),
    "PACK": lambda x: ops.stack([x, _convolved(x)], axis=1),
    "REDUCE_MAX": L.GlobalMaxPooling2D(),
    "RELU": lambda x: L.ReLU()(L.Concatenate()([x, _convolved(x)])),
    "RELU6": lambda x: L.ReLU(6.0)(L.Concatenate()([x, 20 * x])),
    "RESIZE_BILINEAR": L.UpSampling2D(2, interpolation="bilinear"),
    "REVERSE_V2": lambda x: ops.flip(x, axis=1),
    "SPLIT": lambda x: ops.split(x, 2, axis=-1),
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
def test_it_is_quantized_as_tensorflow_does(name, in_two_steps_and_whole):
    model, kind = _model(name), name.split()[0]
    float_file = read_graph(tf_wgsef.convert(model))
    assert kind in [one.kind for one in float_file.operations] and fits_int16(float_file)
    steps, whole = in_two_steps_and_whole(model, quantization="int16x8", calibration=_images())
    assert_same_files(steps, whole)
    assert _settings(steps) == _settings(whole)
    assert steps.record.contents.integer_only and steps.record.parity.relative < 0.05


def test_unrolled_recurrence_computes_the_same(all_are_large):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5, 4)), L.LSTM(6, unroll=True), L.Dense(2)])
    x = np.random.default_rng(0).normal(size=(40, 5, 4)).astype("float32")
    assert fits_int16(read_graph(tf_wgsef.convert(model)))
    record = tf_wgsef.convert(model, quantization="int16x8", calibration=x).record
    assert record.contents.integer_only and record.parity.relative < 0.01


@pytest.mark.parametrize("io", ["int16", "float32"])
def test_an_output_that_is_a_constant_is_left_to_tensorflow(io, all_are_large):
    keras.utils.set_random_seed(0)
    i = keras.Input((4,))
    x = L.Dense(8)(i)
    model = keras.Model(i, [x, ops.zeros_like(x) + 2.0])
    data = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
    record = tf_wgsef.convert(model, quantization="int16x8", calibration=data, io=io).record
    assert record.parity.relative < 0.05
