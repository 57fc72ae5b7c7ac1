"""Floors, as the user gives them: how many groups of each layer stay, whatever the level takes."""

from collections.abc import Mapping
from fnmatch import fnmatchcase

import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.groups import GroupSet
from tf_wgsef.validation import check_positive_int


def layer_floors(floor, groups: GroupSet, round_to: int = 1) -> np.ndarray:
    """Returns how many groups of each layer stay at least, shape (len(groups.layers),).

    Args:
        floor: a number for all layers, or {pattern of layer names: number}: the first pattern that fits a
            layer counts, and a layer that none fits keeps one group. Of tied layers any name may fit.
        groups: the groups of the model.
        round_to: floors are rounded up to multiples of this. A layer with fewer groups keeps all.

    Raises:
        InputError: for a number that is not whole and at least 1, or a pattern that fits no layer.
    """
    floors = {
        pattern: check_positive_int("floor", number)
        for pattern, number in (floor if isinstance(floor, Mapping) else {"*": floor}).items()
    }
    for pattern in floors:
        if not any(fits_layer(name, pattern) for name in groups.layers):
            raise InputError(
                f"Expected `floor` to name layers with groups. Received: {pattern!r}, which fits none of: "
                f"{', '.join(groups.layers)}."
            )
    found = [
        next((number for pattern, number in floors.items() if fits_layer(name, pattern)), 1)
        for name in groups.layers
    ]
    # Python's whole numbers: of those that users pass, none is too large.
    rounded = [-(-number // round_to) * round_to for number in found]
    pairs = zip(rounded, groups.sizes.tolist(), strict=True)
    return np.array([min(number, size) for number, size in pairs], dtype=np.int64)


def names_layer(floor, name: str) -> bool:
    """Whether the floors are a mapping with a pattern that fits the layer ``name``."""
    return isinstance(floor, Mapping) and any(fits_layer(name, pattern) for pattern in floor)


def fits_layer(name: str, pattern) -> bool:
    """Whether a pattern fits a layer; of tied layers, "a+b", any name may fit."""
    return name == pattern or any(fnmatchcase(one, str(pattern)) for one in (name, *name.split("+")))
