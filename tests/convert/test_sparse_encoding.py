"""Compressed weights: TensorFlow's tables, where those are right, and the outputs of the dense file."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_wgsef
from tf_wgsef.convert import predict
from tf_wgsef.convert._schema import read_graph

L = keras.layers


def _network(zeros, block=1):
    """Every layer whose weights are compressed; ``zeros`` of them are zero, ``block`` inputs at a time."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((4, 4, 8)),
            L.Conv2D(16, 1),
            L.DepthwiseConv2D(3),
            L.Conv2D(8, 3, padding="same", activation="relu"),
            L.Conv2DTranspose(4, 2),
            L.Flatten(),
            L.Dense(300),
            L.Dense(320),
            L.Dense(12),
        ]
    )
    rng = np.random.default_rng(0)
    for kernel in (one for one in model.weights if "bias" not in one.path):
        *others, inputs, outputs = kernel.shape
        kept = rng.random((*others, -(-inputs // block), outputs)) >= zeros
        kernel.assign(kernel * np.repeat(kept, block, axis=-2)[..., :inputs, :])
    return model


def _images(count=6):
    return np.random.default_rng(0).normal(size=(count, 4, 4, 8)).astype("float32")


def _of_tensorflow(model, quantization) -> bytes:
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
    if quantization == "float16":
        converter.optimizations.append(tf.lite.Optimize.DEFAULT)
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def _tables(tflite) -> list[str]:
    """Of each compressed tensor its shape, its type, its tables and its values, sorted."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytes(tflite), 0))
    tensors = [one for one in model.subgraphs[0].tensors if one.sparsity is not None]
    return sorted(
        str((one.shape.tolist(), one.type, _plain(one.sparsity), model.buffers[one.buffer].data.tobytes()))
        for one in tensors
    )


def _plain(table):
    """A table of the schema, or a list of them, as what can be compared."""
    if isinstance(table, list):
        return [_plain(one) for one in table]
    if isinstance(table, np.ndarray):
        return table.tolist()
    return (
        {name: _plain(value) for name, value in vars(table).items()} if hasattr(table, "__dict__") else table
    )


@pytest.mark.parametrize(
    ("quantization", "zeros", "block"),
    [("none", 0.95, 1), ("none", 0.6, 1), ("none", 0.9, 4), ("none", 0.5, 4), ("float16", 0.95, 1)],
)
def test_the_tables_are_those_that_tensorflow_makes(quantization, zeros, block):
    model = _network(zeros, block)
    mine, theirs = (
        tf_wgsef.convert(model, sparse=True, quantization=quantization),
        _of_tensorflow(model, quantization),
    )
    # Small ones are left alone: with their tables they would not be smaller.
    assert set(_tables(mine)) <= set(_tables(theirs))
    assert len(_tables(mine)) >= 2
    kinds = [one.kind for one in read_graph(mine).operations]
    assert (kinds.count("DENSIFY") < len(_tables(mine))) == (block == 4)


@pytest.mark.parametrize("quantization", ["none", "float16"])
@pytest.mark.parametrize("block", [1, 4])
@pytest.mark.parametrize("zeros", [0.2, 0.35, 0.5, 0.9, 0.99])
def test_the_file_is_smaller_or_as_it_was_and_computes_the_same(zeros, block, quantization):
    model = _network(zeros, block)
    dense = tf_wgsef.convert(model, quantization=quantization)
    sparse = tf_wgsef.convert(model, quantization=quantization, sparse=True)
    assert len(sparse) <= len(dense)
    assert len(sparse) < 0.6 * len(dense) or zeros < 0.9
    expected = predict(dense, _images())
    np.testing.assert_allclose(predict(sparse, _images()), expected, atol=1e-5 * np.ptp(expected))


def test_a_layer_of_zeros_is_left_alone():
    model = _network(0.9)
    model.layers[5].set_weights([np.zeros_like(one) for one in model.layers[5].get_weights()])
    sparse = tf_wgsef.convert(model, sparse=True)
    assert [one for one in sparse.record.sparse_layers if one.zeros == 1][0].stored is False
    np.testing.assert_allclose(predict(sparse, _images()), model(_images()), atol=1e-5)


def test_weights_that_are_used_twice_are_stored_once():
    keras.utils.set_random_seed(0)
    first, second = (keras.Input((64,), name=name) for name in ("first", "second"))
    dense = L.Dense(64)
    model = keras.Model([first, second], L.Multiply()([dense(first), dense(second)]))
    rng = np.random.default_rng(0)
    dense.kernel.assign(dense.kernel * (rng.random((64, 64)) < 0.1))
    sparse = tf_wgsef.convert(model, sparse=True)
    assert len(_tables(sparse)) == 1 and len(sparse) < 0.4 * len(tf_wgsef.convert(model))
    x = {one.name: rng.normal(size=(5, 64)).astype("float32") for one in (first, second)}
    np.testing.assert_allclose(predict(sparse, x), model(x), atol=1e-5)


def test_weights_inside_a_loop_are_compressed_too():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6, 32)), L.LSTM(48), L.Dense(3)])
    rng = np.random.default_rng(0)
    for one in model.layers[0].weights[:2]:
        one.assign(one * (rng.random(one.shape) < 0.1))
    sparse = tf_wgsef.convert(model, sparse=True)
    assert len(sparse) < 0.6 * len(tf_wgsef.convert(model))
    x = rng.normal(size=(4, 6, 32)).astype("float32")
    np.testing.assert_allclose(predict(sparse, x), model(x), atol=1e-5)


@pytest.mark.parametrize("quantization", ["none", "float16"])
def test_rows_that_four_does_not_divide_are_whole(quantization):
    """TensorFlow's own sparse file of this model is wrong by a third of the range."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((50,)), L.Dense(64), L.Dense(4)])
    rng = np.random.default_rng(0)
    kept = np.repeat(rng.random((13, 64)) < 0.2, 4, axis=0)[:50]
    model.layers[0].kernel.assign(model.layers[0].kernel * kept)
    sparse = tf_wgsef.convert(model, quantization=quantization, sparse=True)
    assert len(_tables(sparse)) == 1
    x = rng.normal(size=(20, 50)).astype("float32")
    np.testing.assert_allclose(predict(sparse, x), model(x), atol=2e-3 if quantization == "float16" else 1e-5)


class _Tied(L.Layer):
    """Looks tokens up in a table, and scores them with the same one."""

    def build(self, shape):
        self.table = self.add_weight(shape=(200, 32), initializer="normal")

    def call(self, tokens):
        rows = keras.ops.take(self.table, tokens, axis=0)
        return keras.ops.matmul(rows, keras.ops.transpose(self.table))


@pytest.mark.parametrize("quantization", ["none", "float16"])
def test_a_table_that_is_also_looked_up_is_left_alone(quantization):
    """LiteRT unpacks it for its fast kernels only: what else reads it finds memory that nobody wrote."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5,), dtype="int32"), _Tied()])
    rng = np.random.default_rng(0)
    table = model.layers[0].table
    table.assign(table * (rng.random((200, 32)) < 0.1))
    x = rng.integers(0, 200, (8, 5)).astype("int32")
    sparse = tf_wgsef.convert(model, quantization=quantization, sparse=True, calibration=x)
    np.testing.assert_allclose(predict(sparse, x), model(x), atol=1e-3 * np.ptp(model(x)))
