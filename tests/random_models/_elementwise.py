"""Layers that keep the shape of any tensor: activations, normalizations, noise, scaling."""

import keras
from keras import layers

from tests.random_models._maker import ELEMENTWISE, MIXING
from tests.random_models._registry import LAYERS, register


@register(LAYERS, weight=4)
def activation(maker, shape):
    mixing = maker.chance(0.1) and shape[-1] > 1  # the softmax of one channel is the constant 1
    return maker.layer(layers.Activation, maker.pick(MIXING if mixing else ELEMENTWISE))


@register(LAYERS, weight=3)
def activation_layer(maker, shape):
    kind = maker.pick(["ReLU", "LeakyReLU", "ELU", "Softmax", "Identity", "ReLU6"])
    if kind == "ReLU6":
        return maker.layer(layers.ReLU, max_value=6.0, negative_slope=maker.pick([0.0, 0.1]))
    if kind == "Softmax":
        axis = maker.pick([index + 1 for index, size in enumerate(shape) if size > 1] or [None])
        return maker.layer(layers.Softmax, axis=axis) if axis else None
    return maker.layer(getattr(layers, kind))


@register(LAYERS, weight=1.5)
def prelu(maker, shape):
    shared = maker.pick([None, list(range(1, len(shape))), [len(shape)]])
    return maker.layer(layers.PReLU, shared_axes=shared or None)


@register(LAYERS, weight=5)
def batch_normalization(maker, shape):
    axis = -1 if maker.chance(0.95) else maker.whole(1, len(shape))
    scale, center = maker.chance(0.8), maker.chance(0.8)
    return maker.layer(layers.BatchNormalization, axis=axis, scale=scale, center=center)


@register(LAYERS, weight=1.5)
def layer_normalization(maker, shape):
    axis = maker.pick([-1, -1, list(range(1, len(shape) + 1))])
    scale, center = maker.chance(0.8), maker.chance(0.8)
    return maker.layer(layers.LayerNormalization, axis=axis, scale=scale, center=center)


@register(LAYERS, weight=1)
def group_normalization(maker, shape):
    groups = maker.pick([1, 2, -1])  # -1: as many as channels
    if shape[-1] % groups:
        return None
    scale, center = maker.chance(0.8), maker.chance(0.8)
    return maker.layer(layers.GroupNormalization, groups=groups, scale=scale, center=center)


@register(LAYERS, weight=1)
def other_normalization(maker, shape):
    if shape[-1] == 1:  # the sign: a jump
        return None
    return maker.layer(maker.pick([layers.RMSNormalization, layers.UnitNormalization]))


@register(LAYERS, weight=1)
def rescaling(maker, shape):
    if maker.chance(0.2):
        return maker.layer(layers.Rescaling, [0.5 + 0.1 * i for i in range(shape[-1])])
    return maker.layer(layers.Rescaling, maker.pick([0.5, -1.5]), offset=maker.pick([0.0, 0.3]))


@register(LAYERS, weight=1)
def noise(maker, shape):
    kinds = [layers.Dropout, layers.GaussianDropout, layers.GaussianNoise, layers.AlphaDropout]
    return maker.layer(maker.pick(kinds), 0.2)


@register(LAYERS, 3, 4, 5, weight=0.7)
def spatial_dropout(maker, shape):
    return maker.layer(getattr(layers, f"SpatialDropout{len(shape) - 1}D"), 0.2)


# Unregistered functions cannot be cloned even by Keras; Python lambdas lose their globals when saved.
@keras.saving.register_keras_serializable("tests.random_models")
def center(x):
    """Mixes the channels."""
    return x - keras.ops.mean(x, axis=-1, keepdims=True)


@register(LAYERS, weight=0.4)
def python_lambda(maker, shape):
    return maker.layer(layers.Lambda, maker.pick([center, lambda x: 0.5 * x + 0.25]), output_shape=shape)
