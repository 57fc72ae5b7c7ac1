"""Grouped convolutions keep equally many channels per group, and lose groups that are silent."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_wgsef
from tests import models


def between(groups, filters, channels=12):
    model = keras.Sequential(
        [
            keras.Input((7, 7, 2)),
            layers.Conv2D(channels, 3, padding="same", activation="relu", name="before"),
            layers.Conv2D(filters, 3, padding="same", groups=groups, activation="relu", name="grouped"),
            layers.Conv2D(3, 3, name="after"),
        ]
    )
    return models.randomize(model)


def keep_only(model, name, channels):
    """Zeroes the filters of a layer but for ``channels``."""
    layer = model.get_layer(name)
    mask = np.zeros(layer.filters)
    mask[list(channels)] = 1
    layer.kernel.assign(keras.ops.convert_to_numpy(layer.kernel) * mask)
    layer.bias.assign(keras.ops.convert_to_numpy(layer.bias) * mask)


def same(model, smaller):
    x = models.random_inputs(model, 3)
    before, after = (keras.ops.convert_to_numpy(one(x)) for one in (model, smaller))
    np.testing.assert_allclose(after, before, atol=1e-5 * np.ptp(before))


# (groups, filters, channels that stay before, filters that stay, expected: groups, filters)
CASES = {
    "a silent group goes": (3, 6, range(8), range(4), 2, 4),
    "groups keep as many as the fullest": (3, 6, range(12), (0, 1, 2), 2, 4),
    "one of each group": (3, 6, range(12), (0, 3, 5), 3, 3),
    "a group without live channels makes constants, which fold": (3, 6, range(8), range(6), 2, 4),
    "one channel per group": (12, 12, range(5), range(12), 5, 5),
    "one channel and two filters per group": (12, 24, range(5), range(24), 5, 10),
}


@pytest.mark.parametrize("case", CASES)
def test_groups(case):
    groups, filters, before, inside, expected, left = CASES[case]
    model = between(groups, filters)
    keep_only(model, "before", before)
    keep_only(model, "grouped", inside)
    if groups == 12:
        # A depthwise channel's bias goes with it; here it would be a constant behind 'same' padding.
        mask = np.isin(np.arange(filters) // (filters // 12), list(before))
        bias = model.get_layer("grouped").bias
        bias.assign(keras.ops.convert_to_numpy(bias) * mask)
    result = tf_wgsef.strip(model)
    same(model, result.model)
    layer = result.model.get_layer("grouped")
    assert (layer.groups, layer.filters) == (expected, left)


@pytest.mark.parametrize("seed", range(8))
def test_random_channels(seed):
    generator = np.random.default_rng(seed)
    groups = int(generator.choice([2, 3, 4, 6]))
    model = between(groups, 12)
    keep_only(model, "before", generator.permutation(12)[:7])
    keep_only(model, "grouped", generator.permutation(12)[:6])
    result = tf_wgsef.strip(model)
    same(model, result.model)
    layer = result.model.get_layer("grouped")
    kept = result.kept["before"] + result.kept["grouped"]
    assert layer.filters == result.kept["grouped"] and kept <= 24
    assert layer.filters % layer.groups == 0


def test_why_silent_channels_stay_is_said():
    model = between(3, 6)
    keep_only(model, "grouped", (0, 1, 2))
    result = tf_wgsef.strip(model)
    assert "Conv2D 'grouped' needs equal numbers" in result.skipped["grouped"]


def test_a_shared_grouped_convolution_keeps_the_same_inputs():
    inputs = keras.Input((7, 7, 4))
    shared = layers.Conv2D(8, 3, padding="same", groups=2, name="shared")
    other = layers.Conv2D(4, 3, padding="same", name="other")(inputs)
    x = layers.Concatenate()([shared(inputs), shared(other)])
    model = models.randomize(keras.Model(inputs, layers.Conv2D(2, 1)(x)))
    keep_only(model, "other", [0, 3])
    same(model, tf_wgsef.strip(model).model)
