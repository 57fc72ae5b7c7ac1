"""Member: the part of one variable that belongs to groups."""

import dataclasses
import functools

import numpy as np


@dataclasses.dataclass(frozen=True)
class Member:
    """The part of one variable that belongs to groups.

    Attributes:
        variable: ``layer/variable``, such as ``conv1/kernel``.
        axes: the axes of the variable that run over groups, ascending.
        ids: group of each index along ``axes``, shape = the variable's sizes there; -1 is in no group.
        rank: number of axes of the variable.
    """

    variable: str
    axes: tuple[int, ...]
    ids: np.ndarray
    rank: int

    @functools.cached_property
    def run(self) -> range | None:
        """The groups as a range, where they are numbered one after another; else None."""
        return consecutive(self.ids)


def consecutive(numbers: np.ndarray) -> range | None:
    """Returns the range that ``numbers`` run through, None if each is not one more than the one before.

    What is regular needs no index: a slice of 25 million numbers costs nothing, a gather of them seconds.

    Args:
        numbers: whole numbers, read in C order; negative ones are in no range.

    Example:
        >>> consecutive(np.array([[3, 4], [5, 6]])), consecutive(np.array([3, 5]))
        (range(3, 7), None)
    """
    flat = numbers.reshape(-1)
    if not flat.size or flat[0] < 0 or int(flat[-1]) - int(flat[0]) + 1 != flat.size:
        return None
    return range(int(flat[0]), int(flat[-1]) + 1) if (flat[1:] - flat[:-1] == 1).all() else None
