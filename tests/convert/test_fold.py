"""Batch normalization that is folded as values: the same operations and outputs, the model untouched."""

import keras
import numpy as np
import pytest

import tf_wgsef
from tests.convert.same import assert_same_operations
from tf_wgsef.convert._flat import flat_model
from tf_wgsef.convert._fold import folded_values
from tf_wgsef.convert._schema import read_buffer, read_graph

L = keras.layers
IMAGE = (12, 12, 6)


def _before(*layers, **options):
    """A batch normalization behind some layers."""
    return lambda x: L.BatchNormalization(**options)(_chain(layers, x))


def _chain(layers, x):
    for layer in layers:
        x = layer(x)
    return x


def _nested(x):
    i = keras.Input(x.shape[1:])
    return keras.Model(i, L.BatchNormalization()(L.Conv2D(4, 3)(i)), name="inner")(x)


def _used_twice(x):
    layer = L.Conv2D(6, 3, padding="same")
    return L.BatchNormalization()(layer(layer(x)))


def _read_twice(x):
    y = L.Conv2D(6, 3)(x)
    return L.Concatenate()([y, L.BatchNormalization()(y)])


def _rows(layer):
    return lambda x: L.BatchNormalization()(layer(L.Reshape((144, 6))(x)))


# name: (layers, variables that take other values)
CASES = {
    "a convolution": (_before(L.Conv2D(8, 3)), 5),
    "no bias": (_before(L.Conv2D(8, 3, use_bias=False)), 4),
    "no factors": (_before(L.Conv2D(8, 3), scale=False), 4),
    "no offsets": (_before(L.Conv2D(8, 3), center=False, epsilon=1e-5), 5),
    "depthwise": (_before(L.DepthwiseConv2D(3, depth_multiplier=2)), 5),
    "transposed": (_before(L.Conv2DTranspose(5, 3, strides=2)), 5),
    "dense": (_before(L.Flatten(), L.Dense(7)), 5),
    "in one dimension": (_rows(L.Conv1D(5, 3)), 5),
    "in a model inside": (_nested, 5),
    "behind an activation": (_before(L.Conv2D(8, 3, activation="relu")), 0),
    "behind a pooling": (_before(L.Conv2D(8, 3), L.MaxPooling2D()), 0),
    "along another axis": (_before(L.Conv2D(8, 3), axis=1), 0),
    "a layer that is used twice": (_used_twice, 0),
    "a tensor that is read twice": (_read_twice, 0),
}


def _model(name):
    keras.utils.set_random_seed(0)
    i = keras.Input(IMAGE)
    model = keras.Model(i, CASES[name][0](i))
    rng = np.random.default_rng(0)
    model.set_weights(
        [one + rng.uniform(0.1, 0.5, one.shape).astype(one.dtype) for one in model.get_weights()]
    )
    return model


def _images():
    return np.random.default_rng(1).normal(size=(24, *IMAGE)).astype("float32")


@pytest.mark.parametrize("name", CASES)
def test_operations_and_outputs_stay(name, in_two_steps_and_whole):
    model = _model(name)
    weights, inputs = model.get_weights(), model.layers[-1].input
    steps, whole = in_two_steps_and_whole(model, calibration=_images())
    assert_same_operations(read_graph(steps), read_graph(whole))
    assert steps.record.parity.relative < 1e-5
    np.testing.assert_allclose(
        *(tf_wgsef.convert.predict(one, _images()) for one in (steps, whole)), rtol=1e-4, atol=1e-4
    )
    for before, after in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert model.layers[-1].input is inputs  # it was not applied again


@pytest.mark.parametrize("name", CASES)
def test_what_is_folded(name):
    values = {variable.path: value for variable, value in folded_values(flat_model(_model(name)))}
    assert len(values) == CASES[name][1]


@pytest.mark.parametrize("epsilon", [1e-2, 1e-3, 1.001e-5, 1e-6])
def test_the_factors_that_are_left_are_exactly_one(epsilon, all_are_large):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(IMAGE), L.Conv2D(8, 3), L.BatchNormalization(epsilon=epsilon)])
    rng = np.random.default_rng(0)
    model.set_weights(
        [one + rng.uniform(0.1, 0.5, one.shape).astype(one.dtype) for one in model.get_weights()]
    )
    kernel = next(value for variable, value in folded_values(flat_model(model)) if "kernel" in variable.path)
    tflite = tf_wgsef.convert(model)
    stored = next(one for one in read_graph(tflite).tensors if one.shape == (8, 3, 3, 6))
    assert read_buffer(tflite, stored.buffer) == kernel.transpose(3, 0, 1, 2).tobytes()


class _Transposed(L.Layer):
    """The other half of a tied autoencoder."""

    def __init__(self, dense):
        super().__init__()
        self.dense = dense

    def call(self, x):
        return keras.ops.matmul(x, keras.ops.transpose(self.dense.kernel))

    def compute_output_shape(self, shape):
        return (*shape[:-1], self.dense.kernel.shape[0])


class _Again(L.Layer):
    """A layer that applies another one, which nobody sees."""

    def __init__(self, dense):
        super().__init__()
        self.dense = dense

    def call(self, x):
        return self.dense(x)


# What reads the kernel of a layer behind its batch normalization: it must not get the folded one.
READERS = {
    "a tied layer": lambda dense: _Transposed(dense),
    "a layer with a layer inside": lambda dense: _Again(dense),
    "a raw operation": lambda dense: lambda x: keras.ops.matmul(x, dense.kernel),
    "a raw operation by keyword": lambda dense: lambda x: keras.ops.matmul(x1=x, x2=dense.kernel),
    "a function": lambda dense: L.Lambda(lambda x: keras.ops.matmul(x, dense.kernel), output_shape=(6,)),
    "an activation": lambda dense: L.Dense(6, activation=lambda x: keras.ops.matmul(x, dense.kernel)),
}


@pytest.mark.parametrize("name", READERS)
def test_kernels_that_something_else_reads_are_left_alone(name, all_are_large):
    keras.utils.set_random_seed(0)
    i, dense, norm = keras.Input((6,)), L.Dense(6), L.BatchNormalization()
    model = keras.Model(i, READERS[name](dense)(norm(dense(i))))
    norm.moving_variance.assign(np.full(6, 0.3))
    assert not list(folded_values(flat_model(model)))
    x = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
    record = tf_wgsef.convert(model, quantization="dynamic", calibration=x).record
    assert record.parity.relative < 0.03


class _Scale(L.Layer):
    """A layer that cannot say how it was made."""

    def __init__(self, table):
        super().__init__()
        self.table = table

    def call(self, x):
        return x * self.table


def test_a_model_whose_graph_cannot_be_read_is_converted_as_it_is(all_are_large):
    keras.utils.set_random_seed(0)
    i = keras.Input(IMAGE)
    x = _Scale(np.arange(4, dtype="float32"))(L.BatchNormalization()(L.Conv2D(4, 3)(i)))
    model = keras.Model(i, L.Dense(2)(L.Flatten()(x)))
    assert not list(folded_values(flat_model(model)))
    assert tf_wgsef.convert(model, calibration=_images()).record.parity.relative < 1e-5


def test_lora_and_mixed_precision_are_left_alone(all_are_large):
    lora = keras.Sequential([keras.Input((8,)), L.Dense(6), L.BatchNormalization()])
    lora.layers[0].enable_lora(2)
    lora.layers[0].lora_kernel_b.assign(np.ones((2, 6)))
    assert not list(folded_values(flat_model(lora)))
    assert tf_wgsef.convert(lora).record.parity.relative < 1e-5
    half = keras.Sequential([keras.Input((8,)), L.Dense(6, dtype="float64"), L.BatchNormalization()])
    assert not list(folded_values(flat_model(half)))
