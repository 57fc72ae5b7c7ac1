"""Two or three tensors become one: merge layers, raw arithmetic, attention from one to another, Dot."""

import keras
from keras import layers

MERGES = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"]
_WIDEST = 16


def merge_same(maker, tensors):
    """Merges tensors of one shape, element by element or by joining them."""
    kind = maker.weighted({"layer": 6, "raw": 2, "join": 3, "dot": 0.7})
    if kind == "raw":
        return _merge_raw(maker, tensors)
    if kind == "join":
        joined = join(maker, tensors)
        if joined is not None:
            return joined
    if kind == "dot" and len(tensors) == 2:
        dotted = dot(maker, *tensors)
        if dotted is not None:
            return dotted
    names = [name for name in MERGES if name != "Subtract" or len(tensors) == 2]
    return maker.layer(getattr(layers, maker.pick(names)))(tensors)


def _merge_raw(maker, tensors):
    x, y, *more = tensors
    result = maker.pick(
        [
            lambda: x + y,
            lambda: x - y,
            lambda: x * y,
            lambda: (x + y) * 0.5,
            lambda: keras.ops.maximum(x, y),
            lambda: keras.ops.minimum(x, y),
            lambda: x / (keras.ops.abs(y) + 1.0),
            lambda: keras.ops.where(x > 0, x, 0.0) + y,
        ]
    )()
    for other in more:
        result = result + other
    return result


def join(maker, tensors):
    """Concatenates along an axis where all other sizes agree, or returns None."""
    shapes = [tuple(t.shape[1:]) for t in tensors]
    rank = len(shapes[0])
    if any(len(shape) != rank for shape in shapes):
        return None
    fitting = [
        axis
        for axis in range(rank)
        if len({shape[:axis] + shape[axis + 1 :] for shape in shapes}) == 1
        and sum(shape[axis] for shape in shapes) <= _WIDEST
    ]
    if not fitting:
        return None
    axis = rank - 1 if rank - 1 in fitting and maker.chance(0.75) else maker.pick(fitting)
    if maker.chance(0.15):
        return keras.ops.concatenate(tensors, axis=axis + 1)
    return maker.layer(layers.Concatenate, axis=-1 if axis == rank - 1 else axis + 1)(tensors)


def dot(maker, x, y):
    """Dot of two vectors or sequences, over positions or over channels."""
    if len(x.shape) == 2 and x.shape == y.shape:
        return maker.layer(layers.Dot, axes=1, normalize=maker.chance(0.2))([x, y])
    if len(x.shape) != 3 or len(y.shape) != 3:
        return None
    axes = [axis for axis in (1, 2) if x.shape[axis] == y.shape[axis]]
    return maker.layer(layers.Dot, axes=maker.pick(axes))([x, y]) if axes else None


def cross_attention(maker, query, value):
    """Attention from one sequence to another."""
    kind = maker.weighted({"multi": 5, "grouped": 3, "plain": 1.5, "additive": 1.5})
    alike = query.shape[-1] == value.shape[-1]  # all but MultiHeadAttention need it
    if kind == "plain" and alike:
        return maker.layer(layers.Attention, use_scale=maker.chance(0.5))([query, value])
    if kind == "additive" and alike:
        return maker.layer(layers.AdditiveAttention)([query, value])
    layer = grouped_attention(maker) if kind == "grouped" and alike else multi_head_attention(maker)
    return layer(query, value) if maker.chance(0.7) else layer(query, value, key=value)


def multi_head_attention(maker):
    options = {}
    if maker.chance(0.3):
        options["value_dim"] = maker.whole(2, 3)
    if maker.chance(0.3):
        options["output_shape"] = maker.units()
    if maker.knows(layers.MultiHeadAttention, "use_gate"):
        options["use_gate"] = maker.chance(0.1)
    # A bias of (heads, 1) is added to the wrong axis by Keras 3.15 on TensorFlow, if there are as many steps.
    return maker.layer(layers.MultiHeadAttention, maker.whole(1, 3), maker.whole(2, 3), **options)


def grouped_attention(maker):
    heads, repeats = maker.whole(1, 2), maker.whole(1, 2)
    options = {}
    if maker.knows(layers.GroupQueryAttention, "use_gate"):
        options["use_gate"] = maker.chance(0.1)
    return maker.layer(layers.GroupQueryAttention, maker.whole(2, 3), heads * repeats, heads, **options)


def to_vector(maker, x):
    """A tensor of rank 2 from any other."""
    if len(x.shape) == 2:
        return x
    size = 1
    for one in x.shape[1:]:
        size *= one
    if size <= 100 and maker.chance(0.5):
        return maker.layer(layers.Flatten)(x)
    kind = maker.pick(["GlobalMaxPooling", "GlobalAveragePooling"])
    return maker.layer(getattr(layers, f"{kind}{len(x.shape) - 2}D"))(x)


def merge_any(maker, x, y):
    """Merges two tensors of any shapes."""
    if x.shape == y.shape:
        return merge_same(maker, [x, y])
    if len(x.shape) == len(y.shape) == 3 and maker.chance(0.5):
        return cross_attention(maker, x, y)
    joined = join(maker, [x, y])
    if joined is not None:
        return joined
    x, y = to_vector(maker, x), to_vector(maker, y)
    if maker.chance(0.5):
        return maker.layer(layers.Concatenate)([x, y])
    units = maker.units()
    return merge_same(maker, [maker.layer(layers.Dense, units)(one) for one in (x, y)])
