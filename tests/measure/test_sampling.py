import itertools

import numpy as np
import pytest

from tf_wgsef.errors import InputError
from tf_wgsef.measure import SamplingPlan
from tf_wgsef.measure._sampling import sample_interleaved


def plan(**changes):
    return SamplingPlan(**{"min_runs": 1, "min_seconds": 1e-3, "warmup_seconds": 0, "rounds": 1} | changes)


@pytest.mark.parametrize(
    ("preset", "given", "expected"),
    [
        ("normal", {}, SamplingPlan()),
        ("quick", {}, SamplingPlan(min_runs=20, min_seconds=0.3, warmup_seconds=0.1, rounds=10)),
        ("mlperf", {}, SamplingPlan(min_runs=1024, min_seconds=60.0, warmup_seconds=2.0)),
        ("mlperf", {"min_seconds": 1.0, "rounds": None}, SamplingPlan(1, 1024, 1.0, 2.0)),
        ("normal", {"warmup_seconds": 0}, SamplingPlan(warmup_seconds=0)),
    ],
)
def test_what_is_given_wins_over_the_preset(preset, given, expected):
    assert SamplingPlan.from_preset(preset, **given) == expected


@pytest.mark.parametrize("preset", ["fast", "", None, ["quick"]])
def test_an_unknown_preset(preset):
    with pytest.raises(InputError, match="one of quick, normal, mlperf"):
        SamplingPlan.from_preset(preset)


def test_durations_are_what_the_clock_says_in_microseconds(clock, fake_file):
    file = fake_file("a", [100.0, 200.0, 300.0], load=50.0)
    (samples,) = sample_interleaved([file], plan(min_seconds=6e-4), clock=clock)
    # The first run (100) is apart; the second (200) fills the tenth of 600 us for settling.
    np.testing.assert_array_equal(samples.rounds[0], [300.0, 100.0, 200.0])
    assert samples.loads == [50.0]
    assert samples.first_invokes == [100.0]


def test_runs_until_enough_time(clock, fake_file):
    (samples,) = sample_interleaved([fake_file("a", [10.0])], plan(min_runs=5, min_seconds=0.01), clock=clock)
    assert samples.rounds[0].size == 1000


def test_runs_until_enough_runs(clock, fake_file):
    (samples,) = sample_interleaved([fake_file("a", [1e5])], plan(min_runs=7, min_seconds=0.01), clock=clock)
    assert samples.rounds[0].size == 7


@pytest.mark.parametrize(("min_runs", "rounds"), [(10, 3), (9, 3), (1, 4)])
def test_all_rounds_together_reach_both_minima(clock, fake_file, min_runs, rounds):
    settings = plan(min_runs=min_runs, rounds=rounds, min_seconds=0.02)
    (samples,) = sample_interleaved([fake_file("a", [5e3])], settings, clock=clock)
    assert len(samples.rounds) == rounds
    assert sum(one.size for one in samples.rounds) >= min_runs
    assert sum(one.sum() for one in samples.rounds) >= 0.02 * 1e6


def test_warm_up_comes_first_and_is_not_timed(clock, fake_file):
    slow_then_fast = itertools.chain([900.0] * 10, itertools.repeat(10.0))
    file = fake_file("a", slow_then_fast)
    (samples,) = sample_interleaved([file], plan(warmup_seconds=9e-3), clock=clock)
    assert samples.rounds[0].max() == 10.0
    assert samples.first_invokes == [10.0]


def test_without_warm_up_slow_first_runs_are_seen(clock, fake_file):
    slow_then_fast = itertools.chain([900.0] * 10, itertools.repeat(10.0))
    (samples,) = sample_interleaved([fake_file("a", slow_then_fast)], plan(), clock=clock)
    assert samples.rounds[0].max() == 900.0


def test_files_take_turns_and_the_order_alternates(clock, fake_file):
    files = [fake_file("a", [10.0]), fake_file("b", [20.0])]
    sample_interleaved(files, plan(rounds=4), clock=clock)
    loads = [name for action, name in fake_file.log if action == "load"]
    assert "".join(loads) == "ab" + "ab" + "ba" + "ab" + "ba"  # warm-up, then the rounds


def test_a_linear_drift_cancels_between_two_files(clock, fake_file):
    class Drifting:
        def __call__(self):
            return self

        def invoke(self):
            clock.now += 1000 + clock.now // 100_000

    samples = sample_interleaved([Drifting(), Drifting()], plan(rounds=40, min_seconds=0.04), clock=clock)
    a, b = ([np.median(one) for one in file.rounds] for file in samples)
    assert a[-1] > 1.1 * a[0]
    assert np.median(np.divide(a, b)) == pytest.approx(1, abs=0.002)


def test_progress_rises_to_one(clock, fake_file):
    shares = []
    files = [fake_file("a", [10.0]), fake_file("b", [10.0])]
    sample_interleaved(files, plan(rounds=5), progress=shares.append, clock=clock)
    np.testing.assert_allclose(shares, np.arange(1, 11) / 10)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("threads", 0),
        ("threads", True),
        ("min_runs", 0),
        ("rounds", 2.5),
        ("min_seconds", 0),
        ("min_seconds", -1),
        ("min_seconds", float("inf")),
        ("warmup_seconds", -0.1),
        ("seed", -1),
        ("seed", 1.5),
    ],
)
def test_a_bad_setting_is_named(name, value):
    with pytest.raises(InputError, match=rf"Expected `{name}` .* Received: {name}={value!r}\."):
        SamplingPlan(**{name: value})
