"""Blocks that share or hide layers: one layer used twice, models within models."""

import keras
from keras import layers

from tests.random_models._blocks import keep_shape
from tests.random_models._merges import merge_any, merge_same, to_vector
from tests.random_models._registry import BLOCKS, apply_block, apply_layer, draw_layer, register

_DEEPEST = 2


@register(BLOCKS, weight=4)
def shared_layer(maker, x):
    """One layer on two tensors of the same shape, or twice in a row."""
    other = keep_shape(maker, x)
    layer = draw_layer(maker, x.shape[1:])
    left = layer(x)
    if left.shape == x.shape and maker.chance(0.3):
        return layer(left)
    return merge_same(maker, [left, layer(other)])


@register(BLOCKS, weight=4)
def nested(maker, x):
    """A model inside: used once, twice in a row, or on two tensors."""
    if maker.depth >= _DEEPEST:
        return None
    inner = nested_model(maker, [x])
    y = inner(x)
    if isinstance(y, list | tuple):
        return merge_any(maker, *y)
    use = maker.weighted({"once": 5, "in a row": 2, "beside": 3})
    if use == "in a row" and y.shape == x.shape:
        return inner(y)
    if use == "beside":
        return merge_same(maker, [y, inner(keep_shape(maker, x))])
    return y


@register(BLOCKS, weight=1)
def nested_with_two_inputs(maker, x):
    if maker.depth >= _DEEPEST:
        return None
    tensors = [x, keep_shape(maker, x)]
    return nested_model(maker, tensors)(tensors)


def nested_model(maker, tensors):
    """A Sequential or functional model for ``tensors``; sometimes with two outputs."""
    child = maker.child()
    name = maker.name("nested")
    shape = tuple(tensors[0].shape[1:])
    if len(tensors) == 1 and maker.chance(0.4):
        return sequential(child, shape, maker.whole(1, 4), name)
    inputs = [keras.Input(tuple(t.shape[1:]), name=child.name("input")) for t in tensors]
    x = inputs[0] if len(inputs) == 1 else merge_any(child, *inputs)
    first = apply_layer(child, x)
    y = step(child, first)
    while child.count < maker.whole(2, 6):
        y = step(child, y)
    two = len(tensors) == 1 and maker.chance(0.15) and y is not first
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], [y, first] if two else y, name=name)


def sequential(maker, shape, count: int, name: str):
    """A Sequential model of ``count`` random layers; some are models themselves."""
    inside = [keras.Input(shape)]
    for _ in range(count):
        layer = draw_layer(maker, shape)
        if maker.depth < _DEEPEST and maker.chance(0.1):
            layer = nested_model(maker, [keras.KerasTensor((None, *shape))])
            if len(layer.outputs) > 1:
                layer = draw_layer(maker, shape)
        inside.append(layer)
        shape = tuple(layer.compute_output_spec(keras.KerasTensor((None, *shape))).shape[1:])
    return keras.Sequential(inside, name=name)


def step(maker, x):
    """A layer or a block."""
    return apply_layer(maker, x) if maker.chance(0.6) else apply_block(maker, x)


def head(maker, x):
    """What the model returns: the tensor as it is, or a dense layer behind it."""
    if len(x.shape) > 2 and maker.chance(0.3):
        return x
    x = to_vector(maker, x)
    activation = maker.pick([None, None, "softmax", "sigmoid"])
    units = maker.whole(2 if activation == "softmax" else 1, 4)
    return maker.layer(layers.Dense, units, activation=activation)(x)
