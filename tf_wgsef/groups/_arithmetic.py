"""Norms and scaling of groups, as pure functions of the variables' values, in ``keras.ops``."""

import keras
import numpy as np
from keras import ops


def group_norms(members, values, num_groups: int):
    """Euclidean norm of every group over all its members.

    Args:
        members: sequence of ``Member``.
        values: one tensor per member, of the variable's shape.
        num_groups: number of groups.

    Returns:
        Tensor of shape (num_groups,), float32 or wider; 0 for a group that is all zero.
    """
    parts = _with_equal_ids(members, [(value, value) for value in values])
    if _tiling(parts, num_groups) is not None:
        return _by_group(parts, _norms, num_groups)
    return ops.sqrt(_by_group(parts, _products, num_groups))


def group_products(members, left, right, num_groups: int):
    """Inner product of two sets of values in every group, over all its members.

    Args:
        members: sequence of ``Member``.
        left: one tensor per member, of the variable's shape.
        right: the same.
        num_groups: number of groups.

    Returns:
        Tensor of shape (num_groups,), float32 or wider.
    """
    parts = _with_equal_ids(members, list(zip(left, right, strict=True)))
    return _by_group(parts, _products, num_groups)


def scale_groups(members, values, factors) -> list:
    """Multiplies every group by its factor.

    Args:
        members: sequence of ``Member``.
        values: one tensor per member, of the variable's shape.
        factors: tensor of shape (num_groups,). A factor of exactly 1 or 0 is exact.

    Returns:
        One tensor per member, of the same shape and dtype as its value.
    """
    return [
        ops.multiply(value, ops.cast(_spread(member, factors), value.dtype))
        for member, value in zip(members, values, strict=True)
    ]


def _with_equal_ids(members, values) -> list[list[tuple]]:
    """(member, values) of all, those that belong to the same groups (kernel, bias, gamma, beta) together."""
    parts: dict = {}
    for member, value in zip(members, values, strict=True):
        key = member.run or member.ids.tobytes()
        parts.setdefault(key, []).append((member, value))
    return list(parts.values())


def _by_group(parts: list[list[tuple]], each, num_groups: int):
    """What ``each`` makes of the parts, as one number per group; added where parts share groups."""
    order = _tiling(parts, num_groups)
    if order is not None:
        return _join([each(parts[position]) for position in order])
    ids = np.concatenate([part[0][0].ids.reshape(-1) for part in parts])
    # Entries in no group (id -1) go to one group more, which is cut off again.
    segments = np.where(ids < 0, num_groups, ids).astype("int32")
    numbers = _join([each(part) for part in parts])
    return ops.segment_sum(numbers, segments, num_segments=num_groups + 1)[:num_groups]


def _tiling(parts: list[list[tuple]], num_groups: int) -> list[int] | None:
    """The order in which the groups of ``parts`` follow each other from 0 on; None if they do not."""
    runs = [part[0][0].run for part in parts]
    if None in runs:
        return None
    order = sorted(range(len(runs)), key=lambda position: runs[position].start)
    ends = [0, *(runs[position].stop for position in order)]
    starts = [*(runs[position].start for position in order), num_groups]
    return order if starts == ends else None


def _join(vectors: list):
    return ops.concatenate(vectors) if len(vectors) > 1 else vectors[0]


def _norms(part: list[tuple]):
    """Norms of the groups of one part, shape (groups,)."""
    (member, (value, _)), *others = part
    if not others and len(member.axes) == member.rank:
        # Groups of one number: no square that could become 0.
        return ops.reshape(ops.abs(_at_least_float32(value)), (-1,))
    return ops.sqrt(_products(part))


def _products(part: list[tuple]):
    """Sums of products over the members of a part, shape (groups,)."""
    total, *others = [ops.reshape(_sum_of_products(member, *pair), (-1,)) for member, pair in part]
    for other in others:
        total = total + other
    return total


def _sum_of_products(member, left, right):
    """Sums the products over the axes that do not run over groups, in float32 at least."""
    # Neighbouring axes that are summed become one: XLA's sum over (0, 1, 2) takes twice as long as over 0.
    shape, summed = [], []
    for axis, size in enumerate(left.shape):
        if axis in member.axes:
            shape.append(size)
        elif summed and summed[-1] == len(shape) - 1:
            shape[-1] *= size
        else:
            summed.append(len(shape))
            shape.append(size)
    first = ops.reshape(_at_least_float32(left), shape)
    product = ops.square(first) if right is left else first * ops.reshape(_at_least_float32(right), shape)
    return ops.sum(product, axis=tuple(summed)) if summed else product


def _at_least_float32(value):
    narrow = keras.backend.standardize_dtype(value.dtype) in ("float16", "bfloat16")
    return ops.cast(value, "float32") if narrow else value


def _spread(member, factors):
    """The factor of each entry, in a shape that broadcasts against the variable."""
    ids = member.ids.reshape(-1)
    if member.run:
        spread = factors[member.run.start : member.run.stop]
    elif (ids >= 0).all():
        spread = ops.take(factors, ids.astype("int32"))
    else:
        kept = ops.concatenate([factors, ops.ones((1,), dtype=factors.dtype)])
        spread = ops.take(kept, np.where(ids < 0, kept.shape[0] - 1, ids).astype("int32"))
    shape = [1] * member.rank
    for axis, size in zip(member.axes, member.ids.shape, strict=True):
        shape[axis] = size
    return ops.reshape(spread, shape)
