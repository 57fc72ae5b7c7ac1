"""Layers with positions: convolutions of all kinds, pooling, padding, cropping, up-sampling."""

import math

from keras import layers

from tests.random_models._registry import LAYERS, register

_MOST_POSITIONS = 300  # the mean over thousands is rounded too coarsely to be compared


def _of_rank(shape, kind: str):
    return getattr(layers, f"{kind}{len(shape) - 1}D")


def _kernel(maker, shape) -> tuple[int, ...]:
    if len(shape) == 4:  # TensorFlow's CPU kernel of a flat window in 3D returns other numbers each time
        return (maker.whole(1, min(3, *shape[:-1])),) * 3
    return tuple(maker.whole(1, min(3, size)) for size in shape[:-1])


def _window(maker, shape, equal_strides: bool = False) -> dict:
    """Kernel size, padding, and strides or dilation (TensorFlow takes one of the two)."""
    kernel = _kernel(maker, shape)
    one = maker.whole(1, 2)
    equal_strides = equal_strides or len(shape) == 4
    strides = tuple(one if equal_strides else maker.whole(1, 2) for _ in kernel)
    result = {"kernel_size": kernel, "padding": maker.pick(["same", "valid"])}
    if maker.chance(0.25):
        return {**result, "strides": strides}
    if maker.chance(0.25) and all(2 * (k - 1) < size for k, size in zip(kernel, shape, strict=False)):
        return {**result, "dilation_rate": 2}
    return result


@register(LAYERS, 3, 4, 5, weight=18)
def conv(maker, shape):
    # TensorFlow's Conv3D of one channel with strides (1, 1, 2) returns uninitialized memory (2.21, CPU).
    window = _window(maker, shape, equal_strides=len(shape) == 4)
    if len(shape) == 2 and maker.chance(0.3):
        window["padding"] = "causal"
    return maker.layer(_of_rank(shape, "Conv"), maker.units(), activation=maker.activation(), **window)


@register(LAYERS, 3, 4, weight=2.5)
def grouped_conv(maker, shape):
    groups = maker.pick([2, shape[-1]])
    if shape[-1] < 2 or shape[-1] % groups:
        return None
    filters = groups * maker.whole(1, max(1, 8 // groups))
    window = _window(maker, shape)
    activation = maker.activation()
    return maker.layer(_of_rank(shape, "Conv"), filters, groups=groups, activation=activation, **window)


@register(LAYERS, 3, 4, weight=5)
def depthwise(maker, shape):
    window = _window(maker, shape, equal_strides=True)
    if len(shape) == 2:
        window = {key: value[0] if isinstance(value, tuple) else value for key, value in window.items()}
    multiplier = 1 if shape[-1] > 6 else maker.pick([1, 1, 2])
    kind = _of_rank(shape, "DepthwiseConv")
    return maker.layer(kind, depth_multiplier=multiplier, activation=maker.activation(), **window)


@register(LAYERS, 3, 4, weight=3)
def separable(maker, shape):
    window = _window(maker, shape, equal_strides=True)
    if len(shape) == 2:
        window = {key: value[0] if isinstance(value, tuple) else value for key, value in window.items()}
    kind = _of_rank(shape, "SeparableConv")
    multiplier = maker.pick([1, 1, 2])
    activation = maker.activation()
    return maker.layer(kind, maker.units(), depth_multiplier=multiplier, activation=activation, **window)


@register(LAYERS, 3, 4, 5, weight=4)
def transposed(maker, shape):
    if math.prod(shape[:-1]) * 2 ** len(shape[:-1]) > _MOST_POSITIONS:
        return None
    strides = maker.pick([1, 2])
    window = {"kernel_size": _kernel(maker, shape), "strides": strides}
    window["padding"] = maker.pick(["same", "valid"])
    activation = maker.activation()
    return maker.layer(_transposed(shape), maker.units(), activation=activation, **window)


def _transposed(shape):
    return getattr(layers, f"Conv{len(shape) - 1}DTranspose")


@register(LAYERS, 3, 4, 5, weight=5)
def pooling(maker, shape):
    if max(shape[:-1]) < 2:
        return None
    kind = maker.pick(["MaxPooling", "AveragePooling"])
    window = tuple(maker.whole(1, min(3, size)) for size in shape[:-1])
    strides = maker.pick([None, 1, 2])
    padding = maker.pick(["same", "valid"])
    return maker.layer(_of_rank(shape, kind), window, strides=strides, padding=padding)


@register(LAYERS, 3, 4, 5, weight=0.5)
def adaptive_pooling(maker, shape):
    # Not AdaptiveMaxPooling: TensorFlow's ends the process (SIGFPE in max_pool, Keras 3.15.1).
    kind = f"AdaptiveAveragePooling{len(shape) - 1}D"
    if not hasattr(layers, kind):  # Keras before 3.14
        return None
    return maker.layer(getattr(layers, kind), tuple(maker.whole(1, size) for size in shape[:-1]))


@register(LAYERS, 3, 4, 5, weight=1.5)
def global_pooling(maker, shape):
    kind = maker.pick(["GlobalMaxPooling", "GlobalAveragePooling"])
    return maker.layer(_of_rank(shape, kind), keepdims=maker.chance(0.4))


@register(LAYERS, 3, 4, 5, weight=2.5)
def up_sampling(maker, shape):
    if math.prod(shape[:-1]) * 2 ** len(shape[:-1]) > _MOST_POSITIONS:
        return None
    if len(shape) == 3:
        size = (maker.whole(1, 2), 2)
        return maker.layer(layers.UpSampling2D, size, interpolation=maker.pick(["nearest", "bilinear"]))
    return maker.layer(_of_rank(shape, "UpSampling"), 2)


@register(LAYERS, 3, 4, 5, weight=3)
def zero_padding(maker, shape):
    if max(shape[:-1]) > 10 or math.prod(shape[:-1]) > _MOST_POSITIONS:
        return None
    sides = tuple((maker.whole(0, 2), maker.whole(0, 1)) for _ in shape[:-1])
    return maker.layer(_of_rank(shape, "ZeroPadding"), sides if len(sides) > 1 else sides[0])


@register(LAYERS, 3, 4, 5, weight=2)
def cropping(maker, shape):
    if min(shape[:-1]) < 3:
        return None
    sides = tuple((maker.whole(0, 1), maker.whole(0, 1)) for _ in shape[:-1])
    return maker.layer(_of_rank(shape, "Cropping"), sides if len(sides) > 1 else sides[0])
