"""What an attack on strip found: models that it once got wrong, or failed on."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import tf_wgsef
from tests import models
from tf_wgsef.errors import InputError, StripError
from tf_wgsef.strip import prove_equal


def outputs(model, x):
    return [np.asarray(one, dtype=float) for one in keras.tree.flatten(model(x, training=False))]


def same(model, smaller, x):
    for old, new in zip(outputs(model, x), outputs(smaller, x), strict=True):
        np.testing.assert_allclose(new, old, atol=1e-5 * max(1.0, np.ptp(old)))


def test_other_shapes_are_not_equal():
    inputs = keras.Input((4,))
    with pytest.raises(StripError, match="compute the same"):
        prove_equal(
            keras.Model(inputs, layers.Dense(3)(inputs)), keras.Model(inputs, layers.Dense(7)(inputs))
        )


def test_a_small_output_counts_beside_a_large_one():
    inputs = keras.Input((4,))
    small, large = layers.Dense(2, name="small"), layers.Dense(2, name="large")
    one = keras.Model(inputs, [small(inputs), layers.Rescaling(1e6)(large(inputs))])
    other = keras.models.clone_model(one)
    other.set_weights(one.get_weights())
    other.get_layer("small").bias.assign([1.0, 0.0])
    with pytest.raises(StripError, match="compute the same"):
        prove_equal(one, other)


def test_an_identity_that_ends_a_mask_stays():
    inputs = keras.Input((6, 3))
    conv = layers.Conv1D(3, 1, use_bias=False, name="conv")
    model = keras.Model(inputs, layers.Dense(2)(layers.LSTM(4)(conv(layers.Masking()(inputs)))))
    conv.kernel.assign(np.eye(3)[None])
    x = np.random.default_rng(0).normal(size=(4, 6, 3)).astype("float32")
    x[:, 3:] = 0
    same(model, tf_wgsef.strip(model).model, x)


class OwnMask(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, x):
        return x

    def compute_mask(self, x, mask=None):
        return ops.any(ops.not_equal(x, 0.0), -1)


def test_masks_of_ones_own_layers_are_seen():
    inputs = keras.Input((6, 3))
    x = layers.Permute((1, 2))(OwnMask()(inputs))
    model = keras.Model(inputs, layers.LSTM(4)(x))
    x = np.random.default_rng(0).normal(size=(4, 6, 3)).astype("float32")
    x[:, 3:] = 0
    same(model, tf_wgsef.strip(model).model, x)


def test_a_zero_that_says_the_size_stays():
    a, b = keras.Input((None, 4), name="a"), keras.Input((None, 4), name="b")
    zero = layers.Dense(4, kernel_initializer="zeros")(a)
    model = keras.Model([a, b], layers.Dense(2)(layers.Add()([b, zero])))
    x = [np.ones((2, 5, 4), "float32"), np.ones((2, 1, 4), "float32")]
    same(model, tf_wgsef.strip(model).model, x)


def test_a_dtype_that_an_identity_changes_is_kept():
    inputs = keras.Input((6,), dtype="uint8")
    dense = layers.Dense(6, use_bias=False)
    x = dense(inputs)
    model = keras.Model(inputs, x + x)
    dense.kernel.assign(np.eye(6))
    x = np.full((2, 6), 200, "uint8")
    same(model, tf_wgsef.strip(model).model, x)


def test_a_raw_sum_with_zeros_keeps_its_dtype():
    inputs = keras.Input((6,), dtype="uint8")
    model = keras.Model(inputs, inputs + layers.Dense(6, kernel_initializer="zeros")(inputs))
    small = tf_wgsef.strip(model).model
    assert small.outputs[0].dtype == "float32"
    same(model, small, np.full((2, 6), 200, "uint8"))


def test_a_mixed_precision_model_with_a_float_ending_saves(tmp_path):
    inputs = keras.Input((6,))
    hidden = layers.Dense(3, dtype="mixed_float16")(inputs)
    ending = layers.Activation("linear", dtype="float32", name="logits")
    small = tf_wgsef.strip(keras.Model(inputs, ending(hidden))).model
    small.save(tmp_path / "small.keras")
    loaded = keras.models.load_model(tmp_path / "small.keras")
    assert loaded.outputs[0].dtype == "float32" and loaded.output_names == ["logits"]


class Wrapper(keras.Model):
    def __init__(self, base):
        super().__init__()
        self.model, self.head = base, layers.Dense(3)

    def call(self, x):
        return self.head(self.model(x))


def test_a_subclassed_model_around_a_model_is_refused():
    model = Wrapper(models.lenet())
    model(np.zeros((1, 20, 20, 1), "float32"))
    with pytest.raises(InputError, match="subclass"):
        tf_wgsef.strip(model)


@pytest.mark.parametrize("axes", ["de", "d", "e"])
def test_einsum_dense_with_a_bias_of_several_axes(axes):
    inputs = keras.Input((5, 6))
    x = layers.EinsumDense("abc,cde->abde", (5, 3, 4), bias_axes=axes, name="einsum")(inputs)
    model = models.randomize(keras.Model(inputs, layers.Dense(2)(layers.Dense(4)(x))))
    same(model, tf_wgsef.strip(model).model, models.random_inputs(model, 3))


def test_names_of_outputs_stay():
    inputs = keras.Input((6,))
    ends = [
        layers.Activation("linear", name="logits")(layers.Dense(3)(inputs)),
        layers.Dense(2, name="aux")(inputs),
    ]
    model = keras.Model(inputs, ends)
    assert tf_wgsef.strip(model).model.output_names == ["logits", "aux"]


def own_loss(y, z):
    return ops.mean(ops.abs(y - z))


def twice(x):
    return 2 * x


@pytest.mark.parametrize("sequential", [True, False])
def test_functions_of_ones_own(sequential):
    stack = [layers.Dense(8, activation=twice, name="hidden"), layers.Dense(2)]
    if sequential:
        model = keras.Sequential([keras.Input((4,)), *stack])
    else:
        inputs = keras.Input((4,))
        model = keras.Model(inputs, stack[1](stack[0](inputs)))
    model.compile("adam", own_loss)
    result = tf_wgsef.strip(models.randomize(model))
    same(model, result.model, np.ones((2, 4), "float32"))


def test_a_sequential_model_that_returns_states():
    model = keras.Sequential([keras.Input((5, 3)), layers.LSTM(4, return_state=True)])
    model(np.zeros((1, 5, 3), "float32"))
    assert tf_wgsef.strip(model).kept == {model.layers[0].name: 4}


@pytest.mark.parametrize("names", [("zz", "aa"), ("aa", "zz")])
def test_a_nested_model_called_with_a_dict(names):
    a, b = keras.Input((4,), name=names[0]), keras.Input((3,), name=names[1])
    inner = keras.Model([a, b], layers.Dense(5)(layers.Concatenate()([a, b])))
    inputs = keras.Input((4,))
    found = inner({names[0]: layers.Dense(4)(inputs), names[1]: layers.Dense(3)(inputs)})
    model = models.randomize(keras.Model(inputs, layers.Dense(2)(found)))
    groups = tf_wgsef.build_groups(model)
    groups.scale(model, np.arange(groups.num_groups) % 2)
    result = tf_wgsef.strip(model)
    assert result.removed
    same(model, result.model, np.ones((2, 4), "float32"))


def test_states_of_a_stateful_layer_are_left_alone():
    model = keras.Sequential(
        [keras.Input(batch_shape=(7, 5, 3)), layers.LSTM(4, stateful=True), layers.Dense(2)]
    )
    model(np.ones((7, 5, 3), "float32"))
    states = [np.array(state) for state in model.layers[0].states]
    tf_wgsef.strip(model)
    for state, before in zip(model.layers[0].states, states, strict=True):
        np.testing.assert_array_equal(state, before)


def test_inputs_passed_by_name_and_names_that_are_taken():
    inputs = keras.Input((9, 9, 2))
    x = layers.Conv2D(3, 5, strides=2, padding="same", name="c")(inputs=inputs)
    x = layers.Activation("relu", name="c_pad")(x)
    zero = layers.Conv2D(3, 1, kernel_initializer="zeros")(x)
    model = models.randomize(keras.Model(inputs, layers.Flatten()(layers.Add()(inputs=[x, zero]))))
    layer = model.get_layer("c")
    ring = np.zeros((5, 5, 1, 1))
    ring[1:-1, 1:-1] = 1
    layer.kernel.assign(np.asarray(layer.kernel) * ring)
    for weight in model.layers[-3].weights:
        weight.assign(np.zeros(weight.shape))
    same(model, tf_wgsef.strip(model).model, np.random.default_rng(0).normal(size=(2, 9, 9, 2)))


def test_an_attention_with_lora_weights_is_a_barrier():
    layer = layers.MultiHeadAttention(2, 3, name="heads")
    inputs = keras.Input((5, 6))
    model = keras.Model(inputs, layer(inputs, inputs))
    layer.query_dense.enable_lora(2)
    assert "LoRA" in tf_wgsef.graph.build_channel_graph(model).barriers()["heads"]


def test_rounding_alone_is_no_difference():
    """Large terms that cancel: the sum of fewer is rounded by more than 1e-5 of what is left."""
    stack = [keras.Input((64,)), layers.Dense(256, name="wide"), layers.Dense(1, name="sum")]
    model = keras.Sequential(stack)
    generator = np.random.default_rng(0)
    wide, total = model.get_layer("wide"), model.get_layer("sum")
    bias = 1000.0 * generator.normal(size=256)
    kernel = generator.normal(size=256) * (np.arange(256) % 3 > 0)
    wide.kernel.assign(1e-3 * generator.normal(size=(64, 256)))
    wide.bias.assign(bias)
    total.kernel.assign(kernel[:, None])
    total.bias.assign([-(bias * kernel).sum()])
    result = tf_wgsef.strip(model)
    assert result.kept["wide"] == 170
    assert result.proof.relative > 1e-5
    np.testing.assert_array_equal(  # moved by one step, and put back
        result.model.get_layer("wide").bias, bias[kernel != 0].astype("float32")
    )
    with pytest.raises(StripError, match="compute the same"):
        tf_wgsef.strip(model, tolerance=1e-5)  # a limit that is asked for is one


def test_a_reshape_used_twice_keeps_one_size():
    inputs = keras.Input((6,))
    shared = layers.Reshape((1, 7))
    first, second = layers.Dense(7, name="first")(inputs), layers.Dense(7, name="second")(inputs)
    x = layers.Concatenate()([shared(first), shared(second)])
    model = models.randomize(keras.Model(inputs, layers.Dense(2)(x)))
    model.get_layer("first").kernel.assign(np.zeros((6, 7)))
    model.get_layer("first").bias.assign(np.zeros(7))
    same(model, tf_wgsef.strip(model).model, np.ones((2, 6), "float32"))


def shared_by_wrappers():
    dense = layers.Dense(4)
    inputs = keras.Input((5, 4))
    return keras.Model(inputs, layers.TimeDistributed(dense)(layers.TimeDistributed(dense)(inputs)))


def shared_cell():
    cell = layers.GRUCell(4)
    inputs = keras.Input((5, 4))
    return keras.Model(inputs, layers.RNN(cell)(layers.RNN(cell, return_sequences=True)(inputs)))


def shared_with_a_wrapper():
    dense = layers.Dense(4, name="dense")
    inputs = keras.Input((5, 4))
    return keras.Model(inputs, layers.TimeDistributed(dense)(dense(inputs)))


@pytest.mark.parametrize("make", [shared_by_wrappers, shared_cell, shared_with_a_wrapper])
def test_weights_that_two_layers_hold_are_not_torn_apart(make):
    with pytest.raises(StripError, match="shared by calling one layer"):
        tf_wgsef.strip(models.randomize(make()))


class OwnSequential(keras.Sequential):
    pass


def test_a_subclass_of_sequential_stays_one():
    model = OwnSequential([keras.Input((4,)), layers.Dense(3)])
    assert type(tf_wgsef.strip(model).model) is OwnSequential


def test_weights_that_are_frozen_inside_a_layer_stay_frozen():
    inputs = keras.Input((5, 6))
    heads = layers.MultiHeadAttention(2, 3, name="heads")
    model = models.randomize(keras.Model(inputs, heads(inputs, inputs)))
    heads.query_dense.trainable = False
    new = tf_wgsef.strip(model).model.get_layer("heads")
    assert len(new.trainable_weights) == len(heads.trainable_weights) == 6
