"""Stripped models of random shape: what predictions are fitted to, and held against."""

import numpy as np

from tf_wgsef.graph import check_keras_model, copy_model
from tf_wgsef.groups import build_groups
from tf_wgsef.strip import strip

_LEAST = 0.2
"""The smallest share of a layer's groups that stays."""


def random_stripping(model, seed: int):
    """Returns ``model`` with new weights, stripped of a random share of each layer's filters.

    Args:
        model: a Keras model; it is not changed.
        seed: of the shares.
    """
    generator = np.random.default_rng(seed)
    copy = copy_model(check_keras_model(model))
    groups = build_groups(copy)
    stays = np.zeros(groups.num_groups, bool)
    for layer in range(len(groups.layers)):
        numbers = np.flatnonzero(groups.layer_of == layer)
        stays[numbers[: max(1, round(generator.uniform(_LEAST, 1) * len(numbers)))]] = True
    groups.scale(copy, stays.astype("float32"))
    return strip(copy).model
