"""int16x8 files are what TensorFlow's converter makes by default, where LiteRT computes that rightly."""

import keras
import numpy as np
import pytest

import tf_wgsef
from tests.convert import tensorflows
from tests.convert.same import assert_same_files
from tf_wgsef.convert import predict, read_contents
from tf_wgsef.convert._integers import rounded
from tf_wgsef.convert._schema import read_graph

L, ops = keras.layers, keras.ops


def _network(prepares=True):
    """One of all operations that are quantized here, none of which is computed over its own input.

    There TensorFlow's calibrator would log other ranges. Two channels have no weights, one of them no bias.

    Args:
        prepares: whether it computes with its input before the first weights: in float where that is float.
    """
    keras.utils.set_random_seed(0)
    normal = {"bias_initializer": "normal"}
    i = keras.Input((12, 12, 3), name="image")
    x = i
    if prepares:
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


@pytest.mark.parametrize("io", ["int16", "float32"])
def test_the_file_is_what_tensorflow_makes(io):
    network = _network(prepares=io == "int16")
    ours = tf_wgsef.convert(network, quantization="int16x8", calibration=_images(), io=io)
    whole = tensorflows.int16_file(network, _images(), io)
    assert_same_files(ours, whole)
    assert ours.record.contents.integer_only == read_contents(whole).integer_only
    for mine, theirs, true in zip(
        predict(ours, _images()).values(),
        predict(whole, _images()).values(),
        network(_images()),
        strict=True,
    ):
        np.testing.assert_allclose(mine, theirs, atol=1e-4 * np.ptp(theirs))
        np.testing.assert_allclose(mine, true, atol=2e-2 * np.ptp(theirs))


def test_a_layer_that_is_used_twice_has_two_biases():
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


def _normalized(x):
    """By a variance that differs between samples by a factor of ten thousand."""
    return L.LayerNormalization(epsilon=1e-6)(x)


class Branch(L.Layer):
    """One of two branches, as the data has it, and here always the second."""

    def call(self, x):
        return ops.cond(ops.max(x) > 1e6, lambda: ops.abs(x), lambda: ops.sin(x))


IN_FLOAT = {  # what TensorFlow does to each: refuses it, or LiteRT computes something else
    "CONV_3D": lambda x: L.Conv3D(2, 2)(L.Reshape((4, 4, 4, 1))(x)),
    "CUMSUM": lambda x: ops.cumsum(x, axis=1),
    "DIV": lambda x: x / (1.0 + ops.abs(x)),
    "ELU": L.ELU(),
    "EXP": L.Activation("softplus"),
    "HARD_SWISH": L.Activation("hard_swish"),
    "IF": Branch(),
    "LOG": L.Activation("mish"),
    "LOG_SOFTMAX": L.Activation("log_softmax"),
    "NEG": lambda x: -x,
    "PADV2": lambda x: ops.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)), constant_values=0.5),
    "PRELU": L.PReLU(alpha_initializer="normal"),
    "RSQRT": _normalized,
    "SQUARE": L.UnitNormalization(),
    "SELECT": L.Activation("selu"),
    "SQUARED_DIFFERENCE": lambda x: ops.var(x, axis=-1),
    "SUM": lambda x: ops.sum(x, axis=(1, 2)),
}


@pytest.mark.parametrize("io", ["int16", "float32"])
@pytest.mark.parametrize("name", IN_FLOAT)
def test_what_has_no_right_integers_is_computed_in_float(name, io):
    keras.utils.set_random_seed(0)
    i = keras.Input((4, 4, 4))
    x = IN_FLOAT[name](L.Conv2D(4, 1)(i))
    model = keras.Model(i, L.Dense(3)(L.Flatten()(x)))
    size = 10 ** np.random.default_rng(1).uniform(-1, 1, (64, 1, 1, 1))
    images = (np.random.default_rng(0).normal(size=(64, 4, 4, 4)) * size).astype("float32")
    tflite = tf_wgsef.convert(model, quantization="int16x8", calibration=images, io=io)
    kinds = [one.kind for one in read_graph(tflite).operations]
    assert name in kinds and "FULLY_CONNECTED" in kinds
    contents = tflite.record.contents
    assert not contents.integer_only
    assert {port.dtype for port in (*contents.inputs, *contents.outputs)} == {io}
    assert {one.dtype for one in contents.weights if one.operator == "FULLY_CONNECTED"} <= {"int8", "int64"}
    true = model.predict(images, batch_size=1, verbose=0)
    np.testing.assert_allclose(predict(tflite, images), true, atol=0.02 * np.ptp(true))


def test_bad_calibration_is_told_of():
    x = _images(40)
    x[39, 0, 0] = np.nan  # among those that are read while the ranges are
    with pytest.raises(tf_wgsef.errors.InputError, match="calibration"):
        tf_wgsef.convert(
            _network(), quantization="int16x8", calibration=(x[i : i + 5] for i in range(0, 40, 5))
        )


def test_halves_are_rounded_away_from_zero():
    values = np.array([0.5, 1.5, -2.5, 0.49999997, 3e5, -3e5], np.float32)
    found = rounded(values, np.ones(1, np.float32), np.int16, 32767)
    assert found.tolist() == [1, 2, -3, 0, 32767, -32767]


ENDS = {
    "an input is an output": lambda i: [i, L.Dense(2)(i)],
    "an output is taken further": lambda i: [(x := L.Dense(2)(i)), L.Dense(3)(x), ops.sin(x)],
    "an output is there twice": lambda i: [(x := L.Dense(2)(i)), x],
    "an output is a constant": lambda i: [(x := L.Dense(2)(i)), ops.zeros_like(x) + 2.0],
    "an output is zero": lambda i: [(x := L.Dense(2)(i)), ops.zeros_like(x)],
    "an output is no float": lambda i: [(x := L.Dense(2)(i)), ops.cast(10 * x, "int32")],
    "an output is made in float": lambda i: ops.sin(i),
    "nothing is computed": lambda i: i,
    "nothing is in float": L.Dense(2),
}


@pytest.mark.parametrize("io", ["int16", "float32"])
@pytest.mark.parametrize("name", ENDS)
def test_inputs_and_outputs_keep_their_names_and_have_their_type(name, io):
    keras.utils.set_random_seed(0)
    i = keras.Input((6,), name="given")
    model = keras.Model(i, ENDS[name](i))
    x = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
    tflite = tf_wgsef.convert(model, quantization="int16x8", calibration=x, io=io)
    contents, plain = tflite.record.contents, tf_wgsef.convert(model)
    assert [one.name for one in contents.inputs] == ["given"]
    types = {one.name: one.dtype.replace("float32", io) for one in plain.record.contents.outputs}
    assert {one.name: one.dtype for one in contents.outputs} == types
    found, true = predict(tflite, x), predict(plain, x)
    for output in types if len(types) > 1 else ():
        error = 1 if types[output] == "int32" else 0.01 * max(1.0, np.ptp(true[output]))
        np.testing.assert_allclose(found[output], true[output], atol=error)
    if len(types) == 1:
        np.testing.assert_allclose(found, true, atol=0.01 * np.ptp(true))


def test_an_embedding_is_int8_and_looked_up_by_integers():
    keras.utils.set_random_seed(0)
    i, table = keras.Input((8,), dtype="int32"), L.Embedding(500, 16)
    x = L.LayerNormalization()(table(i) + table(ops.arange(8)))
    model = keras.Model(i, L.Dense(3)(L.GlobalAveragePooling1D()(x)))
    ids = np.random.default_rng(0).integers(0, 500, (64, 8)).astype("int32")
    tflite = tf_wgsef.convert(model, quantization="int16x8", calibration=ids)
    (stored,) = [one for one in tflite.record.contents.weights if one.operator == "GATHER"]
    assert (stored.dtype, stored.bytes) == ("int8", 500 * 16)
    assert tflite.record.contents.inputs[0].dtype == "int32"
    true = model.predict(ids, verbose=0)
    np.testing.assert_allclose(predict(tflite, ids), true, atol=0.02 * np.ptp(true))


def test_unrolled_recurrence_computes_the_same():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5, 4)), L.LSTM(6, unroll=True), L.Dense(2)])
    x = np.random.default_rng(0).normal(size=(40, 5, 4)).astype("float32")
    record = tf_wgsef.convert(model, quantization="int16x8", calibration=x).record
    assert record.contents.integer_only and record.parity.relative < 0.01


def test_a_constant_that_integers_and_floats_share_is_both():
    """The same tensor: an operand of an ADD of integers, and of a DIV."""
    i = keras.Input((6,))
    constant = np.arange(1, 7, dtype="float32").reshape(1, 6)
    x = L.Dense(6)(i)
    model = keras.Model(i, [x + constant, ops.sin(x) / constant])
    x = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
    tflite = tf_wgsef.convert(model, quantization="int16x8", calibration=x)
    true = predict(tf_wgsef.convert(model), x)
    for name, mine in predict(tflite, x).items():
        np.testing.assert_allclose(mine, true[name], atol=0.01 * np.ptp(true[name]))


@pytest.mark.parametrize("least", [0.0, -1.0])
def test_activations_may_be_next_to_nothing_below_a_fused_bound(least):
    """As in the last layers of an untrained MobileNetV2: LiteRT wants the bound of 6 as an int32."""
    keras.utils.set_random_seed(0)
    i = keras.Input((4, 4, 3))
    x = ops.clip(
        L.Conv2D(8, 3, kernel_initializer="random_normal")(1e-5 * i), least, 6.0 if least == 0 else 1.0
    )
    model = keras.Model(i, L.Dense(2)(L.Flatten()(x)))
    x = np.random.default_rng(0).normal(size=(40, 4, 4, 3)).astype("float32")
    record = tf_wgsef.convert(model, quantization="int16x8", calibration=x).record
    assert record.contents.integer_only and record.parity.relative < 0.02


def test_kernels_and_constants_of_nothing_but_zero_are_zero():
    model = keras.Sequential(
        [keras.Input((4, 4, 3)), L.Conv2D(5, 3, kernel_initializer="zeros"), L.Flatten(), L.Dense(2)]
    )
    x = np.random.default_rng(0).normal(size=(20, 4, 4, 3)).astype("float32")
    tflite = tf_wgsef.convert(model, quantization="int16x8", calibration=x, io="float32")
    assert not predict(tflite, x).any() and tflite.record.contents.integer_only


def _numbers(high, *shape):
    return lambda random: random.integers(0, high, shape).astype("float32")


def _table(column_of_numbers):
    """Rows of a table, whose first column may be a number of something."""

    def draw(random):
        x = (random.normal(size=(64, 4)) * [1e4, 1.0, 1.0, 0.1]).astype("float32")
        x[:, 0] = random.integers(0, 100, 64) if column_of_numbers else x[:, 0]
        return x

    return draw


def _with_gaps(random):
    x = random.normal(size=(64, 5, 3)).astype("float32")
    x[random.random((64, 5)) < 0.4] = -1
    return x


def _normal(*shape):
    return lambda random: random.normal(size=shape).astype("float32")


def _embedded(i, count=500):
    return L.Embedding(count, 8, embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0))(i)


def _looked_up_twice(i):
    """A table of numbers that is no embedding leads to one that is."""
    numbers = ops.take(np.arange(500, dtype="float32"), ops.cast(i, "int32"))
    return L.Flatten()(_embedded(ops.cast(numbers, "int32")))


def _rows_of_two_sizes(i):
    table = np.random.default_rng(1).normal(size=(20, 4))
    table[10:] *= 100
    embedding = L.Embedding(20, 4)
    rows = embedding(i)
    embedding.set_weights([table])
    return L.Flatten()(rows)


def _one_column_is_large(i):
    table = np.random.default_rng(1).normal(size=(50, 16))
    table[:, 0] = 400
    embedding = L.Embedding(50, 16)
    rows = embedding(i)
    embedding.set_weights([table])
    return L.Flatten()(rows[..., 1:])


def _one_of_many(i):
    """The scores of a thousand classes, of which the right one is all but certain."""
    kernel = np.zeros((4, 1000))
    kernel[:, :4] = 20 * np.eye(4)
    dense = L.Dense(1000, kernel_initializer=lambda shape, dtype=None: ops.convert_to_tensor(kernel, dtype))
    return ops.softmax(dense(i))[:, :4]


def _rows_of_padding(random):
    x = 10 * random.normal(size=(32, 8, 16)).astype("float32")
    x[:, 5:] = 0
    return x


def _normalized_columns(i):
    return L.Normalization(mean=np.zeros(4), variance=np.square([1e4, 1.0, 1.0, 0.1]))(i)


def _masked(size):
    """Scores to which a causal mask is added, after a normalization."""

    def build(i):
        h = L.LayerNormalization()(i)
        query, key, value = (L.Dense(16)(h) for _ in range(3))
        scores = ops.matmul(query, ops.transpose(key, (0, 2, 1)))
        scores = scores + np.triu(np.full((8, 8), size, "float32"), 1)
        return i + L.Dense(16)(ops.matmul(ops.softmax(scores), value))

    return build


def _mean_of_many(i):
    return L.Flatten()(L.GlobalAveragePooling2D()(L.Conv2D(2, 1, kernel_initializer="ones")(i)))


# {name: (a network, inputs for it)}: what integers of one scale, or LiteRT's of int16, do not hold
VALUES = {
    "numbers of rows": (lambda i: L.Flatten()(_embedded(i)), _numbers(500, 64, 8)),
    "numbers of rows, shifted": (lambda i: L.Flatten()(_embedded((i + 3) % 20, 20)), _numbers(20, 64, 8)),
    "a table of numbers of rows": (_looked_up_twice, _numbers(500, 64, 8)),
    "a column of numbers": (lambda i: L.Concatenate()([_embedded(i[:, 0], 100), i[:, 1:]]), _table(True)),
    "columns of several sizes": (_normalized_columns, _table(False)),
    "a mark that is compared with": (lambda i: L.LSTM(4, unroll=True)(L.Masking(-1.0)(i)), _with_gaps),
    "a column of another size": (_one_column_is_large, _numbers(50, 64, 6)),
    "one of a thousand": (_one_of_many, lambda random: np.eye(4, dtype="float32")),
    "a gate that is nearly closed": (
        lambda i: L.Dense(8)(i) * ops.sigmoid(L.Dense(8)(i) - 12.0) * 1e5,
        _normal(32, 8),
    ),
    "padding that is normalized": (
        lambda i: L.LayerNormalization(epsilon=1e-6)(L.Dense(16, use_bias=False)(i)),
        _rows_of_padding,
    ),
    "rows of two sizes": (_rows_of_two_sizes, _numbers(20, 64, 6)),
    "a mask of -1e9": (_masked(-1e9), _normal(40, 8, 16)),
    "a mask of -1e4": (_masked(-1e4), _normal(40, 8, 16)),
    "a mask of the least float": (
        lambda i: ops.softmax(L.Dense(6)(i) + ops.where(i > 0, 0.0, np.finfo("float32").min)),
        _normal(40, 6),
    ),
    "a sum that cancels": (
        lambda i: L.ReLU()(L.Dense(6)(i) - 1e5 * L.Dense(6, activation="relu")(i)),
        _normal(40, 6),
    ),
    "the larger of two": (
        lambda i: ops.maximum(L.Dense(6)(i), -1e6 * L.Dense(6, activation="relu")(i)),
        _normal(40, 6),
    ),
    "a clip of large values": (lambda i: ops.clip(1e5 * L.Dense(6)(i), -0.5, 0.5), _normal(40, 6)),
    "an infinite logarithm": (lambda i: ops.maximum(ops.log(ops.relu(i)), L.Dense(6)(i)), _normal(40, 6)),
    "a mean of many": (_mean_of_many, lambda random: random.random((3, 300, 300, 1), dtype="float32")),
}


@pytest.mark.parametrize("io", ["int16", "float32"])
@pytest.mark.parametrize("name", VALUES)
def test_values_that_integers_do_not_hold_are_computed_in_float(name, io):
    if io == "int16" and name == "columns of several sizes":
        pytest.skip("an input of int16 has one scale")
    keras.utils.set_random_seed(0)
    build, draw = VALUES[name]
    x = draw(np.random.default_rng(0))
    i = keras.Input(x.shape[1:])
    model = keras.Model(i, L.Dense(3)(build(i)))
    tflite = tf_wgsef.convert(model, quantization="int16x8", calibration=x, io=io)
    true = predict(tf_wgsef.convert(model), x)
    # All but a few: a product with 1e6 of what rounding takes from below 0 to above it is another one.
    assert (np.abs(predict(tflite, x) - true) < 0.02 * np.ptp(true)).mean() > 0.97
    assert tflite.record.contents.computes_with == "both" or "of another size" in name  # a table of int16


def test_an_input_of_int16_that_cannot_hold_its_numbers_is_refused():
    i = keras.Input((5,), name="rows")
    model = keras.Model(i, L.Dense(3)(L.Flatten()(L.Embedding(40_000, 4)(i))))
    x = np.random.default_rng(0).integers(0, 40_000, (64, 5)).astype("float32")
    with pytest.raises(tf_wgsef.errors.InputError, match="input 'rows' of up to 39.*io=\"float32\""):
        tf_wgsef.convert(model, quantization="int16x8", calibration=x)
    tflite = tf_wgsef.convert(model, quantization="int16x8", calibration=x, io="float32")
    true = predict(tf_wgsef.convert(model), x)
    np.testing.assert_allclose(predict(tflite, x), true, atol=0.02 * np.ptp(true))
