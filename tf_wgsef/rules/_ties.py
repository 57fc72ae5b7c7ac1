"""Which channels of which tensors are one and the same: a union-find over channel ids."""

import numpy as np


class Ties:
    """Hands out channel ids, ties them together, and pins those that must stay.

    Example:
        >>> ties = Ties()
        >>> a, b = ties.fresh(2), ties.fresh(2)
        >>> ties.unite(a, b)
        >>> bool((ties.resolve(a) == ties.resolve(b)).all())
        True
    """

    def __init__(self):
        self._parents: list[int] = []
        self._pins: dict[int, str] = {}

    def fresh(self, count: int) -> np.ndarray:
        """Returns ``count`` new channel ids, shape (count,)."""
        first = len(self._parents)
        self._parents.extend(range(first, first + count))
        return np.arange(first, first + count)

    def unite(self, left: np.ndarray, right: np.ndarray) -> None:
        """Ties ``left[i]`` to ``right[i]`` for every i; both of shape (count,)."""
        for one, other in zip(left.tolist(), right.tolist(), strict=True):
            one, other = self._root(one), self._root(other)
            if one != other:
                self._parents[max(one, other)] = min(one, other)

    def pin(self, ids: np.ndarray, reason: str) -> None:
        """Makes the channels stay; the first ``reason`` given is the one that reports show."""
        for one in ids.tolist():
            self._pins.setdefault(one, reason)

    def resolve(self, ids: np.ndarray) -> np.ndarray:
        """Returns the representative of each id, same shape."""
        flat = [self._root(one) for one in ids.reshape(-1).tolist()]
        return np.array(flat, dtype=np.int64).reshape(ids.shape)

    def pins(self) -> dict[int, str]:
        """Returns {representative: reason} of every channel that must stay."""
        reasons: dict[int, str] = {}
        for one, reason in self._pins.items():
            reasons.setdefault(self._root(one), reason)
        return reasons

    def __len__(self):
        return len(self._parents)

    def _root(self, one: int) -> int:
        parents = self._parents
        while parents[one] != one:
            parents[one] = parents[parents[one]]
            one = parents[one]
        return one
