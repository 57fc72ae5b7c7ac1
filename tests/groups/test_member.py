"""Which numbers are a range, and norms of groups that are one number each."""

import keras
import numpy as np
import pytest

import tf_wgsef
from tf_wgsef.groups import consecutive


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        (np.arange(5), range(5)),
        (np.arange(3, 9, dtype="int32").reshape(2, 3), range(3, 9)),
        (np.array(4), range(4, 5)),
        (np.arange(6).reshape(2, 3).T, None),  # not in C order
        ([0, 1, 3], None),
        ([0, 2, 1, 3], None),  # the ends alone look right
        ([1, 0], None),
        ([2, 2], None),
        ([-1, 0, 1], None),
        ([], None),
    ],
)
def test_consecutive(numbers, expected):
    assert consecutive(np.asarray(numbers, dtype=getattr(numbers, "dtype", "int64"))) == expected


def test_the_norm_of_a_small_weight_is_not_zero():
    """Its square is below what float32 can hold; a group of norm 0 would count as dead."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="d")])
    weights = np.float32([[1e-30, -2e-30, 3.0], [0.0, -1e25, 1e-38]])
    model.get_layer("d").kernel.assign(weights)
    groups = tf_wgsef.build_groups(model, kind="element")
    np.testing.assert_array_equal(groups.norms(model), np.abs(weights).reshape(-1))
