"""Nested models and compound layers as one flat list of calls."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_wgsef
from tests import models
from tf_wgsef.graph import build_channel_graph


def same(model, smaller):
    x = models.random_inputs(model, 4)
    before, after = (keras.tree.flatten(one(x, training=False)) for one in (model, smaller))
    for old, new in zip(before, after, strict=True):
        np.testing.assert_allclose(np.asarray(new), np.asarray(old), atol=1e-5)


def halve(model, seed=0):
    """Zeroes half of the groups of ``model``; returns (the result of strip, alive groups per layer)."""
    models.randomize(model)
    groups = tf_wgsef.build_groups(model)
    alive = np.random.default_rng(seed).random(groups.num_groups) < 0.5
    alive[np.searchsorted(groups.layer_of, np.arange(len(groups.layers)))] = True
    groups.scale(model, alive.astype("float32"))
    counts = {
        name: int(alive[groups.layer_of == number].sum())
        for number, label in enumerate(groups.layers)
        for name in label.split("+")
    }
    return tf_wgsef.strip(model), counts


def test_layers_are_named_by_their_path():
    graph = build_channel_graph(models.nested())
    names = [call.name for call in graph.calls if call.inputs]
    assert names[0] == "stem"
    assert "tail/twice/block/inner" in names
    assert names.count("tail/twice/block/inner") == 2


def test_a_nested_model_that_is_an_output_and_is_used_again():
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(6, name="d")], name="inner")
    block = keras.Model(x := keras.Input((4,)), layers.Dense(5, name="e")(inner(x)), name="block")
    inputs = keras.Input((4,))
    found = block(inputs)
    model = keras.Model(inputs, [found, layers.Dense(2, name="logits")(found)])
    result, counts = halve(model)
    same(model, result.model)
    assert result.kept["block/inner/d"] == counts["block/inner/d"] < 6
    assert result.kept["block/e"] == 5  # an output


def test_models_and_layers_of_the_same_name_at_every_depth():
    def wrap(layer_or_model, width):
        x = keras.Input((width,))
        return keras.Model(x, layers.ReLU(name="same")(layer_or_model(x)), name="again")

    inner = wrap(layers.Dense(7, name="dense"), 3)
    middle = wrap(inner, 3)
    inputs = keras.Input((3,))
    model = keras.Model(inputs, layers.Dense(2, name="logits")(middle(inputs)))
    result, counts = halve(model)
    same(model, result.model)
    assert result.kept["again/again/dense"] == counts["again/again/dense"] < 7


def test_an_input_that_is_returned_and_a_tensor_returned_twice():
    x = keras.Input((4,))
    hidden = layers.Dense(6, activation="relu", name="hidden")(x)
    block = keras.Model(x, [x, hidden, hidden], name="block")
    inputs = keras.Input((4,))
    first, second, third = block(inputs)
    joint = layers.Concatenate(name="joint")([first, second, layers.Dense(6, name="side")(third)])
    model = keras.Model(inputs, layers.Dense(2, name="logits")(joint))
    result, counts = halve(model)
    same(model, result.model)
    assert result.kept["block/hidden"] == counts["block/hidden"] < 6


def test_a_branch_inside_a_nested_model_disappears():
    x = keras.Input((4,))
    y = layers.Dense(4, name="branch")(layers.Dense(5, activation="relu", name="wide")(x))
    block = keras.Model(x, layers.Add(name="add")([x, y]), name="block")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2)(block(layers.Dense(4, name="stem")(inputs))))
    models.randomize(model)
    for weight in block.get_layer("branch").weights:
        weight.assign(np.zeros(weight.shape))
    result = tf_wgsef.strip(model)
    same(model, result.model)
    assert {"block/wide", "block/branch", "block/add"} <= set(result.vanished)
    assert not result.model.get_layer("block").weights


def test_an_output_of_a_nested_model_that_nobody_needs_any_more():
    x = keras.Input((4,))
    ends = [layers.Dense(5, name=name)(x) for name in ("one", "two")]
    block = keras.Model(x, ends, name="block")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2, name="logits")(layers.Add()(block(inputs))))
    models.randomize(model)
    for weight in block.get_layer("two").weights:
        weight.assign(np.zeros(weight.shape))
    result = tf_wgsef.strip(model)
    same(model, result.model)
    assert "block/two" in result.vanished
    assert [layer.name for layer in result.model.get_layer("block").layers if layer.weights] == ["one"]


@pytest.mark.parametrize("bias", [True, False])
def test_a_shared_attention_has_one_bias_for_both_uses(bias):
    shared = layers.MultiHeadAttention(2, 3, use_bias=bias, name="heads")
    a, b = keras.Input((4, 6), name="a"), keras.Input((4, 6), name="b")
    x = layers.Concatenate()([shared(a, a), shared(b, b)])
    model = models.randomize(keras.Model([a, b], layers.Dense(2)(x)))
    kernel = shared.value_dense.kernel
    value = np.asarray(kernel).copy()
    value[:, 0] = 0  # with a bias, its values are constants
    kernel.assign(value)
    result = tf_wgsef.strip(model)
    same(model, result.model)
    assert result.model.get_layer("heads").num_heads == (2 if bias else 1)


def test_a_subclassed_model_inside_is_a_barrier_with_a_reason():
    class Own(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = layers.Dense(4)

        def call(self, x):
            return self.dense(x)

    inputs = keras.Input((3,))
    model = keras.Model(inputs, layers.Dense(2)(Own(name="own")(layers.Dense(5, name="before")(inputs))))
    graph = build_channel_graph(models.randomize(model))
    assert graph.barriers() == {"own": "it is a model whose graph cannot be read"}
    assert tf_wgsef.build_groups(model).num_groups == 0


def test_a_mask_that_reaches_a_nested_model():
    x = keras.Input((5, 6))
    gate = layers.Dense(6, activation="sigmoid", name="gate")(x)
    block = keras.Model(x, layers.Multiply(name="product")([x, gate]), name="block")
    tokens = keras.Input((5,), dtype="int32")
    found = block(layers.Embedding(3, 6, mask_zero=True, name="embedding")(tokens))
    model = keras.Model(tokens, layers.Dense(2)(layers.GlobalAveragePooling1D()(found)))
    assert "mask" in build_channel_graph(model).barriers()["block/product"]
    same(model, tf_wgsef.strip(models.randomize(model)).model)
    without = keras.Model(y := keras.Input((5, 6)), layers.Dense(2)(block(y)))
    assert build_channel_graph(without).barriers() == {}


def test_a_nested_model_built_for_any_size_knows_the_size_it_is_given():
    def net(size):
        x = keras.Input((size, size, 4))
        y = layers.Conv2D(4, 3, padding="same", name="conv")(x)
        y = layers.Conv2D(4, 3, strides=2, padding="same", name="half")(layers.Add()([x, y]))
        y = keras.ops.maximum(1.0 - layers.MaxPooling2D(2)(y), layers.Conv2D(4, 1, strides=4)(x))
        y = layers.Conv2D(4, 1, name="last")(
            layers.Concatenate()([y, keras.ops.concatenate([y, y + 1.0], axis=-1)])
        )
        block = keras.Model(x, y, name="block")
        inputs = keras.Input((16, 16, 4))
        return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(block(inputs))))

    expected = 16 * 16 * 144 + 8 * 8 * 144 + 4 * 4 * 16 + 4 * 4 * 12 * 4 + 8
    assert tf_wgsef.profile(net(None)).macs == tf_wgsef.profile(net(16)).macs == expected
    model = models.randomize(net(None))
    assert tf_wgsef.build_groups(model, kind="depth").num_groups == 1
    for weight in model.get_layer("block").get_layer("conv").weights:
        weight.assign(np.zeros(weight.shape))
    result = tf_wgsef.strip(model)
    assert "block/conv" in result.vanished
    same(model, result.model)


def test_parts_of_compound_layers_count_once_in_the_profile():
    for name in ("recurrent", "attention", "nested", "matched"):
        model = models.ALL[name]()
        assert tf_wgsef.profile(model).parameters == model.count_params(), name
