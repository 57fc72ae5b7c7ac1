"""Regular vectors as runs: nothing is lost, and what is regular is short."""

import json

import numpy as np
import pytest

from tf_wgsef.groups._runs import from_runs, to_runs


def there_and_back(numbers):
    return from_runs(json.loads(json.dumps(to_runs(numbers))), numbers.dtype)


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_lost(seed):
    generator = np.random.default_rng(seed)
    size = int(generator.integers(0, 60))
    numbers = np.cumsum(generator.choice([0, 0, 0, 1, 1, 7], size)) - 1
    back = there_and_back(numbers)
    np.testing.assert_array_equal(back, numbers)
    assert back.dtype == numbers.dtype and back.shape == numbers.shape


@pytest.mark.parametrize(
    "numbers",
    [
        np.zeros((0, 3), int),
        np.array(5),
        np.array([-1, -1, 0, 1, 2, -1]),
        np.arange(24).reshape(2, 3, 4),
        np.full((4, 2), 0.1),
        np.array([0.1, 0.1, 0.1, 1 / 3, 1 / 3, 1e300]),
        np.arange(100)[::-1].copy(),
    ],
    ids=str,
)
def test_shapes_and_fractions(numbers):
    np.testing.assert_array_equal(there_and_back(numbers), numbers)


def test_fractions_are_exact_or_listed():
    """A run of fractions with a step would be rounded: those are not equal steps but by chance."""
    numbers = np.linspace(0, 1, 50)
    np.testing.assert_array_equal(there_and_back(numbers), numbers)


@pytest.mark.parametrize(
    ("numbers", "runs"),
    [(np.arange(5_000_000), 1), (np.repeat(np.arange(50), 1000), 50), (np.ones(10**6), 1)],
    ids=["consecutive", "layers", "equal weights"],
)
def test_what_is_regular_is_short(numbers, runs):
    packed = to_runs(numbers)
    assert len(packed["runs"]) == runs
    np.testing.assert_array_equal(from_runs(packed, numbers.dtype), numbers)


def test_whole_numbers_beyond_the_exact_ones_of_float64_are_kept():
    numbers = np.arange(2**53, 2**53 + 5)
    np.testing.assert_array_equal(there_and_back(numbers), numbers)


@pytest.mark.parametrize(
    "data",
    [
        {"shape": [3], "runs": [[0, 1, 2]]},
        {"shape": [3], "runs": [[0, 1, 4], [0, 1, -1]]},
        {"shape": [10**12], "runs": [[0, 1, 10**12]]},
        {"shape": [3], "numbers": [1, 2]},
        {"shape": ["3"], "runs": []},
        {"shape": [2]},
        {"shape": [1], "runs": [[0, 1]]},
        [1, 2, 3],
    ],
    ids=str,
)
def test_what_was_never_written_is_refused(data):
    with pytest.raises((ValueError, TypeError, KeyError)):
        from_runs(data, np.int64)
