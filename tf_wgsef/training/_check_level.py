"""Whether groups and a level are such, and of each other: files are edited, arguments mixed up."""

import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.groups import GroupSet
from tf_wgsef.training._level import Level, Pool
from tf_wgsef.validation import is_finite_number


def check_level(level, groups) -> None:
    """Raises unless ``level`` is one of ``groups``.

    Args:
        level: the level.
        groups: the groups.

    Raises:
        InputError: if one is something else, or a pool of the level does not fit the groups.
    """
    for name, value, kind in (("groups", groups, GroupSet), ("level", level, Level)):
        if not isinstance(value, kind):
            raise InputError(
                f"Expected `{name}` to be a {kind.__name__}. Received: a value of type "
                f"{type(value).__name__}. Use tf_wgsef.sparsify(model, sparsity=0.75), which makes both."
            )
    if not level.pools:
        raise InputError(
            "Expected a level with at least one pool of groups. Received: none, so that nothing would go. "
            "Use tf_wgsef.sparsify(model, sparsity=0.75), which makes one."
        )
    taken = np.zeros(groups.num_groups, bool)
    for pool in level.pools:
        wrong = _wrong_groups(pool, groups, taken) or _wrong_numbers(pool, groups)
        if wrong:
            raise InputError(
                f"Expected a level of these groups. Received: a pool {wrong}. Make it anew with "
                f"tf_wgsef.sparsify, or load a file that was not changed by hand."
            )
        taken[pool.groups] = True


def _wrong_groups(pool: Pool, groups: GroupSet, taken: np.ndarray) -> str | None:
    numbers = pool.groups
    if numbers.ndim != 1 or not numbers.size or pool.layer_of.shape != numbers.shape:
        return "without groups, or without a layer for each"
    if numbers.min() < 0 or numbers.max() >= groups.num_groups:
        return f"with groups up to {numbers.max()}, of which there are {groups.num_groups}"
    if taken[numbers].any() or (np.bincount(numbers, minlength=groups.num_groups) > 1).any():
        return "with groups that are in another one too, or there twice"
    if (pool.layer_of != groups.layer_of[numbers]).any():
        return "whose groups are of other layers"
    return None


def _wrong_numbers(pool: Pool, groups: GroupSet) -> str | None:
    if not is_finite_number(pool.k) or pool.k < 0:
        return f"with k={pool.k!r}, which is no number of at least 0"
    if not _is_whole(pool.round_to) or pool.round_to < 1:
        return f"with round_to={pool.round_to!r}, which is no whole number of at least 1"
    each = pool.floor if isinstance(pool.floor, tuple) else (pool.floor,) * len(pool.layers)
    if len(each) != len(pool.layers) or not all(_is_whole(floor) and floor >= 0 for floor in each):
        return f"with floor={pool.floor!r}: one whole number for all layers, or one for each, is needed"
    return None


def _is_whole(value) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
