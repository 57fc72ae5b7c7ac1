"""Layers that mix channels or lay them out anew: dense, einsum, reshapes, recurrent, time-distributed."""

import math

from keras import layers

from tests.random_models._convolutions import conv, depthwise
from tests.random_models._registry import LAYERS, register

_LARGEST_FLAT = 150
_EINSUMS = {
    2: ["ab,bc->ac"],
    3: ["abc,cd->abd", "abc,bd->adc", "abc,bcd->abd", "abc,bcd->ad"],
    4: ["abcd,de->abce", "abcd,cde->abe"],
}


@register(LAYERS, 2, weight=12)
@register(LAYERS, 3, 4, weight=3)
def dense(maker, shape):
    return maker.layer(layers.Dense, maker.units(), activation=maker.activation())


@register(LAYERS, 2, 3, 4, weight=1.5)
def einsum_dense(maker, shape):
    equation = maker.pick(_EINSUMS[len(shape) + 1])
    made = equation.split("->")[1]
    sizes = dict(zip(equation.split(",")[0][1:], shape, strict=True))
    new = maker.units()
    output = tuple(sizes.get(letter, new) for letter in made[1:])
    bias = made[-1] if maker.chance(0.7) else None
    activation = maker.activation()
    return maker.layer(layers.EinsumDense, equation, output, bias_axes=bias, activation=activation)


@register(LAYERS, 3, 4, 5, weight=2)
def flatten(maker, shape):
    return maker.layer(layers.Flatten) if math.prod(shape) <= _LARGEST_FLAT else None


@register(LAYERS, 2, 3, 4, weight=1.5)
def reshape(maker, shape):
    size = math.prod(shape)
    targets = [(size // shape[-1], shape[-1]), (1, *shape[-1:])] if len(shape) == 3 else [(1, *shape)]
    targets += [(size // factor, factor) for factor in (2, 3, 4) if size % factor == 0 and size < 64]
    targets = [target for target in targets if math.prod(target) == size]
    if size <= _LARGEST_FLAT:
        targets.append((size,))
    if len(shape) == 1 and size % 4 == 0:
        targets.append((2, 2, size // 4))
    targets = [target for target in targets if target != shape and max(target[:-1], default=1) <= 16]
    return maker.layer(layers.Reshape, maker.pick(targets)) if targets else None


@register(LAYERS, 3, 4, weight=1.5)
def permute(maker, shape):
    if len(shape) == 2:
        dims = maker.pick([(2, 1), (1, 2)])
    else:
        dims = maker.pick([(2, 1, 3), (2, 1, 3), (3, 1, 2), (1, 3, 2)])
    return maker.layer(layers.Permute, dims)


@register(LAYERS, 2, weight=2)
def repeat_vector(maker, shape):
    return maker.layer(layers.RepeatVector, maker.whole(2, 5)) if shape[0] <= 16 else None


def recurrent_layer(maker, sequences: bool, backwards: bool | None = None, units: int | None = None):
    """An LSTM, GRU or SimpleRNN."""
    kind = maker.pick([layers.LSTM, layers.GRU, layers.SimpleRNN])
    options = {"return_sequences": sequences}
    options["go_backwards"] = maker.chance(0.25) if backwards is None else backwards
    if kind is layers.GRU:
        options["reset_after"] = maker.chance(0.5)
    if maker.chance(0.2):
        options["activation"] = maker.pick(["relu", "softsign", "linear"])
    return maker.layer(kind, units or maker.whole(2, 5), **options)


@register(LAYERS, 3, weight=7)
def recurrent(maker, shape):
    return recurrent_layer(maker, maker.chance(0.6)) if shape[0] <= 12 else None


@register(LAYERS, 3, weight=5)
def bidirectional(maker, shape):
    if shape[0] > 8:
        return None
    inner = recurrent_layer(maker, maker.chance(0.6), backwards=False)
    options = {}
    if maker.chance(0.3):
        # Another kind of layer for the way back, which must have as many units.
        other = recurrent_layer(maker, inner.return_sequences, backwards=True, units=inner.units)
        options["backward_layer"] = other
    merge_mode = maker.pick(["sum", "mul", "concat", "ave"])
    return maker.layer(layers.Bidirectional, inner, merge_mode=merge_mode, **options)


@register(LAYERS, 3, weight=2)
@register(LAYERS, 4, weight=5)
def time_distributed(maker, shape):
    if shape[0] > 8:
        return None
    inner = maker.pick([dense, dense] if len(shape) == 2 else [dense, conv, depthwise, depthwise, flatten])
    layer = inner(maker, shape[1:])
    return layer and maker.layer(layers.TimeDistributed, layer)
