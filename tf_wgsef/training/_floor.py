"""Floors: the best groups of each layer of a pool that spans several layers stay, whatever the others."""

import numpy as np
from keras import ops

from tf_wgsef.groups import consecutive

# How far the groups under a floor are lifted above all others, so that any penalty lets them pass.
_LIFT = 1e6

# The largest of so many numbers is found before any is sorted.
_BLOCK = 4096


class Floor:
    """The best groups of each layer of a pool that spans several layers: they stay, whatever the others.

    Args:
        pool: the pool, with its floor.
    """

    def __init__(self, pool):
        self._layers = [
            (run_or_array(pool.groups[pool.layer_of == layer]), floor) for layer, floor in pool.floors.items()
        ]

    def lift(self, norms):
        """Lifts the largest norms of each layer, as many as its floor, above all: shape (num_groups,)."""
        largest, places = [], []
        for where, floor in self._layers:
            # By position, not by threshold: of equal norms (a layer that is all zero) no more are lifted.
            best, place = _top(take_groups(norms, where), min(floor, len(where)))
            largest.append(best)
            places.append(
                place + where.start if isinstance(where, range) else ops.take(where.astype("int32"), place)
            )
        index = ops.concatenate([ops.cast(place, "int32") for place in places])
        lifted = ops.ones(index.shape, dtype=norms.dtype) * ops.max(ops.concatenate(largest)) * _LIFT
        return ops.scatter_update(norms, index[:, None], lifted)


def _top(vector, count: int):
    """The ``count`` largest numbers and their places; of a long vector only the best blocks are sorted."""
    size = vector.shape[0]
    whole = size // _BLOCK
    if whole <= count:
        return ops.top_k(vector, count)
    blocks = ops.reshape(vector[: whole * _BLOCK], (whole, _BLOCK))
    best = ops.cast(ops.top_k(ops.max(blocks, axis=1), count)[1], "int32")
    inside = best[:, None] * _BLOCK + np.arange(_BLOCK, dtype="int32")
    places = ops.concatenate([ops.reshape(inside, (-1,)), np.arange(whole * _BLOCK, size, dtype="int32")])
    largest, chosen = ops.top_k(ops.take(vector, places), count)
    return largest, ops.take(places, chosen)


def run_or_array(numbers: np.ndarray) -> range | np.ndarray:
    """Returns group numbers as a range where they follow each other."""
    return consecutive(numbers) or numbers


def take_groups(norms, where: range | np.ndarray):
    """Returns the numbers of the groups ``where``, of a vector over all groups."""
    if not isinstance(where, range):
        return ops.take(norms, where.astype("int32"))
    return norms if len(where) == norms.shape[0] else norms[where.start : where.stop]
