"""Long vectors of regular numbers as JSON: runs of equal steps instead of every number."""

import math

import numpy as np

_MOST = 10**9
"""No vector of a model is longer; a file that says so is damaged."""


def to_runs(numbers: np.ndarray) -> dict:
    """Returns plain data that ``from_runs`` reads back: the array's shape, and runs [first, step, count].

    The groups of 25 million single weights are one run each time, their list 200 MB of text. Where runs
    would take more room than the numbers, these are listed.

    Args:
        numbers: finite, of any shape.

    Example:
        >>> to_runs(np.array([4, 5, 6, 7, 2, 2, 2]))
        {'shape': [7], 'runs': [[4, 1, 4], [2, 0, 3]]}
    """
    flat = numbers.reshape(-1)
    shape = {"shape": list(numbers.shape)}
    starts = _starts(flat)
    if 3 * len(starts) >= len(flat):
        return {**shape, "numbers": flat.tolist()}
    ends = [*starts[1:], len(flat)]
    runs = []
    for start, end in zip(starts, ends, strict=True):
        step = flat[start + 1] - flat[start] if end - start > 1 else flat[start] * 0
        runs.append([flat[start].item(), step.item(), end - start])
    return {**shape, "runs": runs}


def _starts(flat: np.ndarray) -> list[int]:
    """Where a run begins; of fractions only equal ones are a run, since steps would be rounded."""
    if not flat.size:
        return []
    steps = flat[1:] - flat[:-1]
    if flat.dtype.kind == "f":
        return [0, *(np.flatnonzero(steps) + 1).tolist()]
    starts = [0]
    for change in (np.flatnonzero(steps[1:] != steps[:-1]) + 1).tolist():
        # The step that leads from one run to the next is of none.
        if change > starts[-1]:
            starts.append(change + 1)
    return starts


def from_runs(data: dict, dtype, *, most: int | None = None) -> np.ndarray:
    """Reads what ``to_runs`` made.

    Args:
        data: of ``to_runs``.
        dtype: that of the array.
        most: no array that is longer is made; a billion if None.

    Raises:
        ValueError, TypeError, KeyError: if it did not make it.
    """
    shape = data["shape"]
    if not all(_is_whole(size) and size >= 0 for size in shape):
        raise ValueError(f"the shape {shape!r}")
    size, most = math.prod(shape), _MOST if most is None else most
    if size > most:
        raise ValueError(f"the shape {shape} of more than {most} numbers")
    if "numbers" in data:
        return _of_kind(np.array(data["numbers"]), dtype).reshape(shape)
    runs = data["runs"]
    if any(not _is_whole(count) or count < 1 for _, _, count in runs):
        raise ValueError("runs whose counts are not whole numbers of at least 1")
    if sum(run[2] for run in runs) != size:
        raise ValueError(f"runs of {sum(run[2] for run in runs)} numbers for the shape {shape}")
    for first, step, count in runs:
        _of_kind(np.array([first, step, first + step * (count - 1)]), dtype)
    parts = [first + step * np.arange(count) for first, step, count in runs]
    return np.concatenate([np.zeros(0, dtype), *parts]).astype(dtype).reshape(shape)


def _is_whole(number) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


def _of_kind(numbers: np.ndarray, dtype) -> np.ndarray:
    """The numbers in ``dtype``, if it holds them: whole ones stay whole, none is a text or infinite."""
    kinds = "i" if np.dtype(dtype).kind == "i" else "iuf"
    if numbers.size and (numbers.dtype.kind not in kinds or not np.isfinite(numbers).all()):
        raise ValueError(f"values that are no {np.dtype(dtype)} numbers")
    return numbers.astype(dtype)
