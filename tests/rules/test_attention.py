"""Attention: random dimensions silenced; what stays is counted by hand, and the outputs are the same."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_wgsef
from tests import models


def variables(layer):
    """{"query/kernel": variable, …}"""
    return {"/".join(weight.path.split("/")[-2:]): weight for weight in layer.weights}


def around(layer, *, cross=False, mask=False, causal=False):
    """A model that calls ``layer`` on two sequences, or on one twice."""
    inputs = [keras.Input((5, 6), name="x")]
    if cross:
        inputs.append(keras.Input((7, 4), name="y"))
    query, value = inputs[0], inputs[-1]
    arguments = {"use_causal_mask": True} if causal else {}
    if mask:
        inputs.append(keras.Input((5, value.shape[1]), dtype="bool", name="mask"))
        arguments["attention_mask"] = inputs[-1]
    x = layer(layers.Dense(6, name="before")(query), value, **arguments)
    return models.randomize(keras.Model(inputs, layers.Dense(2, name="after")(x)))


def silence(layer, generator, share=0.4):
    """Zeroes random (head, dimension) cells; returns {projection: which cells are not zero}."""
    found, alive = variables(layer), {}
    for name in ("query", "key", "value"):
        kernel = np.array(keras.ops.convert_to_numpy(found[f"{name}/kernel"]))
        stays = generator.random(kernel.shape[1:]) > share
        stays[0] = False if name == "value" else stays[0]  # a head without any value
        stays[-1, -1] = True
        found[f"{name}/kernel"].assign(kernel * stays)
        if f"{name}/bias" in found and name != "key":  # the keys' bias is the same at every position
            bias = np.array(keras.ops.convert_to_numpy(found[f"{name}/bias"]))
            found[f"{name}/bias"].assign(bias * stays)
        alive[name] = stays
    return alive


def same(model, smaller, seed=1):
    generator = np.random.default_rng(seed)
    x = [
        generator.integers(0, 2, (4, *t.shape[1:])).astype(bool) | np.eye(*t.shape[1:], dtype=bool)
        if t.dtype == "bool"
        else generator.normal(size=(4, *t.shape[1:])).astype("float32")
        for t in model.inputs
    ]
    x = x if len(x) > 1 else x[0]
    before, after = (keras.ops.convert_to_numpy(one(x, training=False)) for one in (model, smaller))
    np.testing.assert_allclose(after, before, atol=1e-5 * np.ptp(before))


CASES = [{}, {"cross": True}, {"mask": True}, {"causal": True}, {"cross": True, "mask": True}]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("seed", [0, 1])
def test_multi_head_attention(case, use_bias, seed):
    layer = layers.MultiHeadAttention(4, 5, value_dim=3, output_shape=6, use_bias=use_bias, name="heads")
    model = around(layer, **case)
    alive = silence(layer, np.random.default_rng(seed))
    result = tf_wgsef.strip(model)
    same(model, result.model)
    heads = alive["value"].any(1)
    products = (alive["query"] & alive["key"])[heads]
    new = result.model.get_layer("heads")
    assert new.num_heads == heads.sum() == 3
    assert new.value_dim == max(2, alive["value"].sum(1).max())
    assert new.key_dim == max(2, products.sum(1).max())


@pytest.mark.parametrize("case", [{}, {"mask": True}, {"causal": True}], ids=str)
@pytest.mark.parametrize("use_bias", [True, False])
def test_group_query_attention(case, use_bias):
    layer = layers.GroupQueryAttention(5, 6, 3, use_bias=use_bias, name="heads")
    model = around(layer, **case)
    alive = silence(layer, np.random.default_rng(3))
    result = tf_wgsef.strip(model)
    same(model, result.model)
    heads = alive["value"].any(1)
    products = (alive["query"].reshape(3, 2, 5).any(1) & alive["key"])[heads]
    new = result.model.get_layer("heads")
    assert new.num_key_value_heads == heads.sum() == 2
    assert new.num_query_heads == 4
    assert new.head_dim == max(2, products.sum(1).max(), alive["value"].sum(1).max())


def test_a_constant_value_goes_into_the_bias_of_the_output():
    layer = layers.MultiHeadAttention(2, 3, name="heads")
    model = around(layer)
    kernel = variables(layer)["value/kernel"]
    value = np.array(keras.ops.convert_to_numpy(kernel))
    value[:, 0] = 0  # the bias of the head stays
    kernel.assign(value)
    result = tf_wgsef.strip(model)
    same(model, result.model)
    assert result.model.get_layer("heads").num_heads == 1


def test_scores_that_are_returned_keep_all_heads():
    inputs = keras.Input((5, 6))
    layer = layers.MultiHeadAttention(2, 3, name="heads")
    x, scores = layer(inputs, inputs, return_attention_scores=True)
    model = models.randomize(keras.Model(inputs, [x, scores]))
    silence(layer, np.random.default_rng(0))
    result = tf_wgsef.strip(model)
    assert result.model.get_layer("heads").num_heads == 2
    assert "heads" in tf_wgsef.graph.build_channel_graph(model).barriers()


def test_channels_around_an_attention_go_with_their_groups():
    model = around(layers.MultiHeadAttention(2, 3, name="heads"))
    groups = tf_wgsef.build_groups(model)
    assert groups.layers == ("before", "heads/attention_output")
    alive = np.arange(groups.num_groups) % 2
    groups.scale(model, alive)
    result = tf_wgsef.strip(model)
    same(model, result.model)
    assert result.kept["before"] == 3
    assert result.model.get_layer("heads").output.shape[-1] == 3


@pytest.mark.parametrize("kind", ["multi-head", "group-query"])
def test_a_gate_goes_with_its_values(kind):
    layer = (
        layers.MultiHeadAttention(3, 4, use_gate=True, name="heads")
        if kind == "multi-head"
        else layers.GroupQueryAttention(4, 6, 3, use_gate=True, name="heads")
    )
    model = around(layer)
    alive = silence(layer, np.random.default_rng(0))
    result = tf_wgsef.strip(model)
    same(model, result.model)
    new = result.model.get_layer("heads")
    heads = new.num_heads if kind == "multi-head" else new.num_key_value_heads
    assert heads == alive["value"].any(1).sum() == 2
