"""Blocks of several layers: branches, residuals, gates, squeeze-and-excite, attention, raw operations."""

import keras
from keras import layers

from tests.random_models import _convolutions as convolutions
from tests.random_models import _elementwise as elementwise
from tests.random_models._merges import cross_attention, join, merge_same
from tests.random_models._mixing import recurrent_layer
from tests.random_models._registry import BLOCKS, apply_layer, register


def project(maker, x, units: int):
    """Maps to ``units`` channels, at the same positions."""
    rank = len(x.shape)
    kinds = {"Dense": 2}
    if rank > 2:
        kinds[f"Conv{rank - 2}D"] = 4
    if rank in (3, 4):
        kinds[f"SeparableConv{rank - 2}D"] = 1
    if rank == 3 and x.shape[1] <= 8:
        kinds["recurrent"] = 1
    kind = maker.weighted(kinds)
    if kind == "recurrent":
        return recurrent_layer(maker, True, units=units)(x)
    options = {"activation": maker.activation()}
    if kind != "Dense":
        options.update(kernel_size=min(maker.pick([1, 3]), *x.shape[1:-1]), padding="same")
    return maker.layer(getattr(layers, kind), units, **options)(x)


def keep_shape(maker, x):
    """A few layers that keep the shape."""
    for _ in range(maker.whole(1, 3)):
        kind = maker.weighted({"project": 5, "batch_norm": 2, "activation": 2, "other": 1})
        if kind == "project":
            x = project(maker, x, x.shape[-1])
            continue
        functions = {
            "batch_norm": elementwise.batch_normalization,
            "activation": elementwise.activation,
            "other": maker.pick([elementwise.prelu, elementwise.layer_normalization, elementwise.rescaling]),
        }
        x = functions[kind](maker, tuple(x.shape[1:]))(x)
    return x


@register(BLOCKS, weight=8)
def residual(maker, x):
    y = keep_shape(maker, x)
    if maker.chance(0.3):
        x = project(maker, x, x.shape[-1])
    kind = maker.weighted({"add": 5, "raw": 2, "scaled": 1, "any": 2})
    if kind == "add":
        return maker.layer(layers.Add)([x, y])
    if kind == "raw":
        return x + y
    return x + 0.3 * y if kind == "scaled" else merge_same(maker, [x, y])


@register(BLOCKS, weight=6)
def branches(maker, x):
    """Two or three branches of different widths, joined; or of the same, merged."""
    count, same = maker.whole(2, 3), maker.chance(0.5)
    units = maker.whole(2, 5)
    made = [project(maker, x, units if same else maker.whole(2, 5)) for _ in range(count)]
    return merge_same(maker, made) if same else join(maker, made)


@register(BLOCKS, 3, 4, weight=2)
def squeeze_and_excite(maker, x):
    rank, channels = len(x.shape), x.shape[-1]
    kind = getattr(layers, f"GlobalAveragePooling{rank - 2}D")
    reduced = maker.whole(1, 4)
    if maker.chance(0.5):
        s = maker.layer(kind, keepdims=True)(x)
        conv = getattr(layers, f"Conv{rank - 2}D")
        s = maker.layer(conv, reduced, 1, activation="relu")(s)
        s = maker.layer(conv, channels, 1, activation="sigmoid")(s)
    else:
        s = maker.layer(kind)(x)
        s = maker.layer(layers.Dense, reduced, activation="relu")(s)
        s = maker.layer(layers.Dense, channels, activation="hard_sigmoid")(s)
        s = maker.layer(layers.Reshape, (1,) * (rank - 2) + (channels,))(s)
    return maker.layer(layers.Multiply)([x, s]) if maker.chance(0.7) else x * s


@register(BLOCKS, 3, 4, 5, weight=14)
def conv_chain(maker, x):
    """Convolution, layers that move or scale each channel by itself, convolution: what real models are."""
    between = {convolutions.zero_padding: 3, convolutions.pooling: 1.5, convolutions.cropping: 1}
    between.update({convolutions.up_sampling: 1, elementwise.batch_normalization: 3})
    between.update({elementwise.activation: 2, elementwise.activation_layer: 1, elementwise.prelu: 2})
    if len(x.shape) < 5:
        between[convolutions.depthwise] = 1.5
    x = project(maker, x, maker.units())
    for _ in range(maker.whole(1, 3)):
        layer = maker.weighted(between)(maker, tuple(x.shape[1:]))
        x = x if layer is None else layer(x)
    kernel = tuple(maker.whole(1, min(3, size)) for size in x.shape[1:-1])
    conv = getattr(layers, f"Conv{len(kernel)}D")
    padding = maker.pick(["valid", "valid", "same"])
    return maker.layer(conv, maker.units(), kernel, padding=padding, activation=maker.activation())(x)


@register(BLOCKS, weight=1.5)
def gate(maker, x):
    """One channel that scales or shifts all others."""
    g = maker.layer(layers.Dense, 1, activation=maker.pick(["sigmoid", "tanh"]))(x)
    if maker.chance(0.6):
        return maker.layer(maker.pick([layers.Multiply, layers.Add, layers.Maximum]))([x, g])
    return x * g if maker.chance(0.5) else x - g


@register(BLOCKS, 3, weight=3)
def self_attention(maker, x):
    if x.shape[1] > 10:
        return None
    y = cross_attention(maker, x, x)
    return maker.layer(layers.Add)([x, y]) if x.shape == y.shape and maker.chance(0.5) else y


@register(BLOCKS, 3, weight=3)
def attention_to_a_branch(maker, x):
    """Cross-attention: to a sequence of perhaps another length and width."""
    y = maker.layer(layers.MaxPooling1D, 2)(x) if x.shape[1] > 2 and maker.chance(0.5) else x
    return cross_attention(maker, x, project(maker, y, x.shape[-1] if maker.chance(0.5) else maker.units()))


@register(BLOCKS, weight=4)
def arithmetic(maker, x):
    """Raw operations on every element."""
    ops = keras.ops
    return maker.pick(
        [
            lambda: x * 0.5,
            lambda: 1.0 - x,
            lambda: x + 0.25,
            lambda: -x,
            lambda: x / 2.0,
            lambda: (0.5 * x) ** 2,
            lambda: ops.abs(x),
            lambda: ops.clip(x, -1.0, 1.0),
            lambda: ops.relu(x - 0.1),
            lambda: ops.tanh(x),
            lambda: x * ops.sigmoid(x),
            lambda: x * (ops.relu6(x + 3.0) * (1.0 / 6.0)),
            lambda: ops.maximum(x, 0.1 * x),
            lambda: ops.exp(-ops.abs(x)),
            lambda: ops.sqrt(ops.square(x) + 0.1),
        ]
    )()


@register(BLOCKS, weight=3)
def across(maker, x):
    """Raw operations over axes: sums, softmax, slices, transpositions, stacks."""
    ops, rank = keras.ops, len(x.shape)
    choices = [
        lambda: ops.softmax(x, axis=-1),
        lambda: x - ops.mean(x, axis=-1, keepdims=True),
        lambda: x * ops.max(x, axis=-1, keepdims=True),
        lambda: ops.flip(x, axis=-1),
        lambda: ops.concatenate([x[..., 1:], x[..., :1]], axis=-1),
        lambda: x[..., : max(1, x.shape[-1] - 1)],
        lambda: ops.roll(x, 1, axis=-1),
        lambda: ops.cumsum(x, axis=-1),
        lambda: ops.pad(x, [(0, 0)] * (rank - 1) + [(0, 1)]),
    ]
    if rank > 2:
        choices += [
            lambda: ops.mean(x, axis=1, keepdims=True),
            lambda: ops.max(x, axis=1),
            lambda: ops.sum(x, axis=-2),
            lambda: x[:, 1:] if x.shape[1] > 1 else x * 1.5,
            lambda: x[:, -1],
            lambda: ops.swapaxes(x, 1, 2),
            lambda: ops.pad(x, [(0, 0), (1, 0)] + [(0, 0)] * (rank - 2)),
        ]
    if rank == 3:
        choices += 4 * [lambda: ops.matmul(x, ops.transpose(x, (0, 2, 1))) * 0.3]
    return None if not 1 < x.shape[-1] <= 12 or x.shape[1] > 12 else maker.pick(choices)()


@register(BLOCKS, weight=1)
def split(maker, x):
    """Channels cut in two, each half on its own way, joined again: a shuffle or a split layer."""
    half = x.shape[-1] // 2
    if not half:
        return None
    left, right = x[..., :half], x[..., half:]
    if maker.chance(0.5):
        left, right = keras.ops.split(x, [half], axis=-1)
    return join(maker, [keep_shape(maker, left), right if maker.chance(0.5) else keep_shape(maker, right)])


@register(BLOCKS, weight=2)
def merge_with_a_layer(maker, x):
    """A random layer beside the identity; joined where the shapes allow it."""
    y = apply_layer(maker, x)
    return merge_same(maker, [x, y]) if x.shape == y.shape else join(maker, [x, y])
