"""The channel step, from times whose steps are known."""

import math

import pytest

from tf_wgsef.workflows import channel_step


@pytest.mark.parametrize("step", [4, 8, 16])
def test_a_staircase_shows_its_step(step):
    times = {count: 5 + 10 * math.ceil(count / step) for count in (1, 4, 8, 16, 32)}
    assert channel_step(times) == step


def test_no_staircase_no_step():
    assert channel_step({count: 2.0 * count for count in (1, 4, 8, 16, 32)}) is None
    assert channel_step(dict.fromkeys((1, 4, 8, 16, 32), 5.0)) is None
