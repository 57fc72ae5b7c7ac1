"""How far features move from layer to layer and how sharply they turn: length and curvature of their path."""

import itertools

import numpy as np
from keras import ops


def path_runs(shapes, align: bool) -> list[range]:
    """Splits features into runs of neighbours that can be compared.

    Args:
        shapes: one per feature, the batch axis first.
        align: whether sizes may differ, and only the number of axes must agree.

    Example:
        >>> path_runs([(None, 8, 4), (None, 8, 4), (None, 4, 4)], align=False)
        [range(0, 2), range(2, 3)]
    """
    kinds = [len(shape) if align else tuple(shape[1:]) for shape in shapes]
    starts = [at for at, kind in enumerate(kinds) if at == 0 or kind != kinds[at - 1]]
    return [range(*ends) for ends in itertools.pairwise([*starts, len(kinds)])]


def path_length(features, align: bool):
    """Returns Σ mean |x^{l+1} − x^l| over neighbours in runs, a scalar.

    Args:
        features: tensors of shape (batch, …, channels), in order.
        align: see ``path_runs``.
    """
    return _sum_of_means(features, (-1.0, 1.0), align)


def path_curvature(features, align: bool):
    """Returns Σ mean |x^{l+1} − 2x^l + x^{l−1}| over triples in runs, a scalar.

    Args:
        features: tensors of shape (batch, …, channels), in order.
        align: see ``path_runs``.
    """
    return _sum_of_means(features, (1.0, -2.0, 1.0), align)


def _sum_of_means(features, factors: tuple[float, ...], align: bool):
    total = ops.zeros((), dtype="float32")
    for run in path_runs([feature.shape for feature in features], align):
        for start in run[: len(run) - len(factors) + 1]:
            window = [ops.cast(one, "float32") for one in features[start : start + len(factors)]]
            if align:
                window = _aligned(window)
            difference = sum(factor * one for factor, one in zip(factors, window, strict=True))
            total = total + ops.mean(ops.abs(difference))
    return total


def _aligned(features) -> list:
    """Averages over positions down to the smallest sizes; fills up with channels of zeros to the most."""
    sizes = np.array([feature.shape[1:] for feature in features], dtype=np.int64)
    aligned = []
    for feature, own in zip(features, sizes, strict=True):
        for axis, (size, smallest) in enumerate(zip(own[:-1], sizes[:, :-1].min(0), strict=True), start=1):
            if size > smallest:
                pooled = ops.tensordot(feature, pooling_matrix(size, smallest), axes=[[axis], [0]])
                feature = ops.moveaxis(pooled, -1, axis)
        missing = int(sizes[:, -1].max() - own[-1])
        aligned.append(ops.pad(feature, [(0, 0)] * len(own) + [(0, missing)]) if missing else feature)
    return aligned


def pooling_matrix(size: int, fewer: int) -> np.ndarray:
    """Average pooling from ``size`` positions to ``fewer``: each is the mean of those that it covers.

    Args:
        size: number of positions.
        fewer: number after it, at most ``size``. Where it is no divisor, neighbours overlap.

    Returns:
        Array of shape (size, fewer), whose columns sum to 1.

    Example:
        >>> pooling_matrix(3, 2).tolist()
        [[0.5, 0.0], [0.5, 0.5], [0.0, 0.5]]
    """
    matrix = np.zeros((size, fewer), "float32")
    for one in range(fewer):
        start, stop = one * size // fewer, -(-(one + 1) * size // fewer)
        matrix[start:stop, one] = 1 / (stop - start)
    return matrix
