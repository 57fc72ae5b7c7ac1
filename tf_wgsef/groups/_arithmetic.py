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
    return ops.sqrt(group_products(members, values, values, num_groups))


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
    products = [
        ops.reshape(_sum_of_products(member, one, other), (-1,))
        for member, one, other in zip(members, left, right, strict=True)
    ]
    ids = [member.ids.reshape(-1) for member in members]
    products, ids = _add_where_ids_agree(products, ids)
    total = ops.concatenate(products) if len(products) > 1 else products[0]
    joined = np.concatenate(ids)
    if not np.array_equal(joined, np.arange(num_groups)):
        # Entries in no group (id -1) go to one group more, which is cut off again.
        segments = np.where(joined < 0, num_groups, joined).astype("int32")
        total = ops.segment_sum(total, segments, num_segments=num_groups + 1)[:num_groups]
    return total


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


def _sum_of_products(member, left, right):
    """Sums the products over the axes that do not run over groups, in float32 at least."""
    same = left is right
    if keras.backend.standardize_dtype(left.dtype) in ("float16", "bfloat16"):
        left, right = ops.cast(left, "float32"), ops.cast(right, "float32")
    others = tuple(axis for axis in range(len(left.shape)) if axis not in member.axes)
    product = ops.square(left) if same else ops.multiply(left, right)
    return ops.sum(product, axis=others) if others else product


def _add_where_ids_agree(sums: list, ids: list[np.ndarray]):
    """Adds vectors that belong to the same groups (kernel, bias, gamma, beta) before anything is gathered."""
    joined: dict[bytes, tuple] = {}
    for one_sum, one in zip(sums, ids, strict=True):
        key = one.tobytes()
        joined[key] = (joined[key][0] + one_sum, one) if key in joined else (one_sum, one)
    return [one_sum for one_sum, _ in joined.values()], [one for _, one in joined.values()]


def _spread(member, factors):
    """The factor of each entry, in a shape that broadcasts against the variable."""
    ids = member.ids.reshape(-1)
    first, count = int(ids[0]), len(ids)
    if np.array_equal(ids, np.arange(first, first + count)) and first >= 0:
        spread = factors[first : first + count]
    elif (ids >= 0).all():
        spread = ops.take(factors, ids.astype("int32"))
    else:
        kept = ops.concatenate([factors, ops.ones((1,), dtype=factors.dtype)])
        spread = ops.take(kept, np.where(ids < 0, kept.shape[0] - 1, ids).astype("int32"))
    shape = [1] * member.rank
    for axis, size in zip(member.axes, member.ids.shape, strict=True):
        shape[axis] = size
    return ops.reshape(spread, shape)
