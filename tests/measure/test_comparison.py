import dataclasses
import json

import numpy as np
import pytest

from tf_wgsef.errors import InputError
from tf_wgsef.measure import (
    Conditions,
    LatencyComparison,
    LatencyStats,
    Machine,
    ModelFile,
    Reading,
    Target,
    compare_latency,
)
from tf_wgsef.measure._comparison import bootstrap_interval
from tf_wgsef.measure._sampling import FileSamples


def stats(name, medians, session="s"):
    timed = FileSamples([np.full(2, one) for one in medians], loads=[1.0], first_invokes=[1.0])
    return LatencyStats.from_samples(
        ModelFile(name, b"....TFL3"),
        timed,
        threads=1,
        target="local",
        runtime="fake 1.0",
        delegate="none",
        machine=Machine(),
        session=session,
    )


def noisy_pair(rng, *, ratio, rounds=30, own=0.01, shared=0.1):
    """Rounds of two files: a random walk that both see, and some noise of each file's own."""
    machine = np.exp(shared * np.cumsum(rng.standard_normal(rounds)) / np.sqrt(rounds))
    a, b = (machine * np.exp(own * rng.standard_normal(rounds)) for _ in range(2))
    return stats("before", 45.0 * a), stats("after", 45.0 / ratio * b)


def test_ratio_says_how_many_times_faster_b_is():
    a, b = stats("before", np.full(10, 40.0)), stats("after", np.full(10, 10.0))
    comparison = LatencyComparison.from_stats(a, b)
    assert (comparison.ratio, comparison.low, comparison.high) == (4.0, 4.0, 4.0)
    assert comparison.differs
    assert comparison.speedup_text == "after is 4.00x faster than before (4.00-4.00, 99 % interval)"
    turned = LatencyComparison.from_stats(b, a)
    assert turned.speedup_text == "before is 4.00x slower than after (4.00-4.00, 99 % interval)"


def test_the_median_round_counts_not_the_mean():
    a = np.full(21, 20.0)
    a[:5] = 1000.0  # a burst of other work on the machine
    comparison = LatencyComparison.from_stats(stats("a", a), stats("b", np.full(21, 10.0)))
    assert comparison.ratio == 2.0


@pytest.mark.parametrize("ratio", [0.5, 1.05, 5.4])
def test_the_interval_covers_a_known_ratio(ratio):
    rng = np.random.default_rng(1)
    found = [LatencyComparison.from_stats(*noisy_pair(rng, ratio=ratio)) for _ in range(50)]
    assert sum(one.low <= ratio <= one.high for one in found) >= 47
    assert all(one.differs for one in found)


def test_equal_files_are_rarely_told_apart():
    rng = np.random.default_rng(2)
    found = [LatencyComparison.from_stats(*noisy_pair(rng, ratio=1)) for _ in range(200)]
    # 1 % is expected of an exact interval; 7 of 200 or more would then have a chance of 0.5 %.
    assert sum(one.differs for one in found) < 7


def test_no_claim_where_the_interval_holds_one():
    a = stats("a", [10.0, 11.0] * 6)
    b = stats("b", [11.0, 10.0] * 6)
    comparison = LatencyComparison.from_stats(a, b)
    assert not comparison.differs
    assert comparison.speedup_text.startswith("no difference between a and b can be claimed")
    assert "faster" not in str(comparison)


def test_a_slowing_machine_is_mentioned():
    slowing = np.linspace(10.0, 12.0, 12)
    text = LatencyComparison.from_stats(stats("a", 2 * slowing), stats("b", slowing)).speedup_text
    assert text.startswith("b is 2.00x faster")
    assert text.endswith("; the machine slowed down by 14% meanwhile")


HOT = Conditions(Reading(throttled=False), Reading(throttled=True))


@pytest.mark.parametrize(
    ("last", "conditions", "said"),
    [(20.0, Conditions(), "slowed down by 64% meanwhile"), (10.0, HOT, "slowed its processor for heat")],
)
def test_nothing_is_claimed_of_a_throttled_machine(last, conditions, said):
    slowing = np.linspace(10.0, last, 12)
    a, b = stats("a", 2 * slowing), stats("b", slowing)
    comparison = LatencyComparison.from_stats(a, dataclasses.replace(b, conditions=conditions))
    assert (comparison.low, comparison.high) == (2.0, 2.0)
    assert comparison.throttled and not comparison.differs
    assert "faster" not in str(comparison) and said in str(comparison)
    assert said in str(comparison.b)
    values = comparison.to_dict()
    assert values["throttled"] and not values["differs"]
    assert LatencyComparison.from_dict(json.loads(json.dumps(values))) == comparison


def test_bootstrap_agrees_with_the_order_statistics():
    """The interval of a median without resampling: ranks by the binomial law."""
    rng = np.random.default_rng(4)
    values = np.sort(rng.standard_normal(101))
    low, high = bootstrap_interval(values, confidence=0.95, seed=0)
    # 101 / 2 -+ 1.96 * sqrt(101) / 2 = 40.6 and 60.4, give or take two ranks for resampling.
    assert values[38] <= low <= values[43]
    assert values[57] <= high <= values[62]


def test_bootstrap_is_seeded():
    values = np.random.default_rng(5).standard_normal(30)
    first, again, other = (bootstrap_interval(values, confidence=0.9, seed=s) for s in (0, 0, 1))
    assert first == again
    assert first != other


def test_json_round_trip():
    comparison = LatencyComparison.from_stats(*noisy_pair(np.random.default_rng(6), ratio=2))
    values = json.loads(json.dumps(comparison.to_dict()))
    assert LatencyComparison.from_dict(values) == comparison
    del values["low"]
    with pytest.raises(InputError, match="low"):
        LatencyComparison.from_dict(values)


def test_only_files_of_one_run_are_compared():
    a, b = stats("a", np.ones(10)), stats("b", np.ones(10), session="another")
    with pytest.raises(InputError, match="one interleaved run"):
        LatencyComparison.from_stats(a, b)


def test_too_few_rounds():
    with pytest.raises(InputError, match="at least 8 rounds"):
        LatencyComparison.from_stats(stats("a", np.ones(7)), stats("b", np.ones(7)))
    with pytest.raises(InputError, match="rounds=2"):
        compare_latency(b"", b"", rounds=2)


@pytest.mark.parametrize("confidence", [0, 1.0, 99, -0.5, "0.9"])
def test_bad_confidence(confidence):
    with pytest.raises(InputError, match=r"Expected `confidence` in \(0, 1\)"):
        compare_latency(b"", b"", confidence=confidence)


def test_names_must_differ():
    with pytest.raises(InputError, match="two different `names`"):
        compare_latency(b"", b"", names=("x", "x"))


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (("dense.tflite", "small.tflite"), ("dense.tflite", "small.tflite")),
        (("one/m.tflite", "two/m.tflite"), ("a", "b")),
        ((None, "small.tflite"), ("a", "b")),
    ],
)
def test_files_are_called_by_their_names(tmp_path, files, names):
    class Steady(Target):
        def run(self, files, plan, *, progress=None):
            return [stats(file.name, np.full(10, 9.0)) for file in files]

    given = []
    for name in files:
        path = tmp_path / (name or "x")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"....TFL3")
        given.append(str(path) if name else path.read_bytes())
    found = compare_latency(*given, target=Steady())
    assert (found.a.name, found.b.name) == names


def test_two_copies_of_one_file(tiny_tflite):
    comparison = compare_latency(
        tiny_tflite, tiny_tflite, names=("x", "y"), rounds=8, min_seconds=0.08, warmup_seconds=0.0
    )
    assert (comparison.a.name, comparison.b.name) == ("x", "y")
    assert len(comparison.a.round_medians) == 8
    assert comparison.low <= comparison.ratio <= comparison.high
