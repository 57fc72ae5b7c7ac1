"""Which numbers of channels are measured, and what the others cost."""

import numpy as np

_MOST = 8
"""So many numbers of output channels of a layer are measured at most."""

_SHARES = (0.25, 0.5, 0.75, 1.0)


def input_counts(size: int) -> tuple[int, ...]:
    """Returns the numbers of input channels to measure: in them the time grows evenly.

    Args:
        size: the dense layer's.

    Example:
        >>> input_counts(64), input_counts(3)
        ((16, 32, 48, 64), (1, 2, 3))
    """
    return tuple(sorted({max(1, round(share * size)) for share in _SHARES}))


def output_counts(size: int, step: int | None) -> tuple[int, ...]:
    """Returns the numbers of output channels to measure: the last of each step.

    Args:
        size: the dense layer's.
        step: output channels that the runtime computes at a time; None if no step was seen.

    Example:
        >>> output_counts(64, 16), output_counts(20, 16), output_counts(64, None)
        ((16, 32, 48, 64), (16, 20), (8, 16, 24, 32, 40, 48, 56, 64))
    """
    every = range(step, size, step) if step else range(max(1, size // _MOST), size, max(1, size // _MOST))
    found = [*every, size]
    if len(found) > _MOST:
        found = [
            found[index] for index in np.unique(np.linspace(0, len(found) - 1, _MOST).round().astype(int))
        ]
    return tuple(found)


def staircase(counts, times, step: int | None) -> tuple[tuple[int, ...], np.ndarray]:
    """Fills in numbers between those that were measured, so that linear interpolation gives a staircase.

    Within a step every number costs what its last one does; whole steps that were not measured are
    interpolated.

    Args:
        counts: numbers that were measured, rising, as ``output_counts`` gives them.
        times: their times, shape (..., len(counts)).
        step: output channels that the runtime computes at a time; None leaves all as it is.

    Returns:
        (numbers, their times).

    Example:
        >>> staircase((16, 32, 40), np.array([1.0, 2.0, 3.0]), 16)
        ((16, 17, 32, 33, 40), array([1., 2., 2., 3., 3.]))
    """
    times = np.asarray(times, dtype=np.float64)
    if not step:
        return tuple(counts), times
    ends = [*range(step, counts[-1], step), counts[-1]]
    at_ends = np.apply_along_axis(lambda row: np.interp(ends, counts, row), -1, times)
    numbers, columns = [], []
    for index, end in enumerate(ends):
        start = ends[index - 1] + 1 if index else end
        for number in dict.fromkeys((start, end)):
            numbers.append(number)
            columns.append(index)
    return tuple(numbers), at_ends[..., columns]
