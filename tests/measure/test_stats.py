import json

import numpy as np
import pytest

from tf_wgsef.errors import InputError
from tf_wgsef.measure import LatencyStats, Machine, ModelFile
from tf_wgsef.measure._machine import parse_cpu
from tf_wgsef.measure._sampling import FileSamples

FILE = ModelFile("model.tflite", b"....TFL3 and more")


def make(rounds):
    timed = FileSamples(rounds, loads=[5.0, 1.0, 9.0], first_invokes=[30.0, 10.0, 20.0])
    return LatencyStats.from_samples(
        FILE,
        timed,
        threads=2,
        target="local",
        runtime="fake 1.0",
        delegate="none",
        machine=Machine(cpu="abacus"),
        session="s",
    )


@pytest.fixture
def rounds():
    rng = np.random.default_rng(3)
    return [rng.gamma(3, 10, size) for size in (40, 50, 61)]


def test_statistics_are_those_of_all_samples(rounds):
    stats = make(rounds)
    everything = np.sort(np.concatenate(rounds))
    # Linear interpolation between order statistics, written out.
    for q in (50, 90, 95, 99):
        place = q / 100 * (everything.size - 1)
        below = int(place)
        expected = everything[below] + (place - below) * np.diff(everything)[below]
        assert getattr(stats, f"p{q}") == pytest.approx(expected, rel=1e-12)
    assert stats.min == everything[0]
    assert stats.max == everything[-1]
    assert stats.mean == pytest.approx(everything.sum() / 151)
    assert stats.std == pytest.approx(np.sqrt(np.mean((everything - stats.mean) ** 2)))
    assert stats.runs == 151
    assert stats.round_medians == tuple(np.median(one) for one in rounds)
    assert (stats.load, stats.first_invoke) == (5.0, 20.0)


def test_it_knows_its_file(rounds):
    stats = make(rounds)
    assert stats.file_bytes == 17
    assert stats.sha256 == FILE.sha256
    assert len(stats.sha256) == 64
    assert stats.date.endswith("+00:00")


@pytest.mark.parametrize("samples", [False, True])
def test_json_round_trip(rounds, samples):
    stats = make(rounds)
    text = json.dumps(stats.to_dict(samples=samples))
    back = LatencyStats.from_dict(json.loads(text))
    assert back == stats
    np.testing.assert_array_equal(back.samples, stats.samples if samples else [])


def test_reading_what_something_else_wrote(rounds):
    values = make(rounds).to_dict()
    with pytest.raises(InputError, match=r"unit='ms', missing or unknown values \[\]"):
        LatencyStats.from_dict(values | {"unit": "ms"})
    with pytest.raises(InputError, match=r"values \['p42'\]"):
        LatencyStats.from_dict(values | {"p42": 1.0})
    with pytest.raises(InputError, match=r"values \['machine.color'\]"):
        LatencyStats.from_dict(values | {"machine": {"color": "red"}})
    del values["p90"]
    with pytest.raises(InputError, match=r"values \['p90'\]"):
        LatencyStats.from_dict(values)


def test_drift_compares_the_last_rounds_with_the_first():
    slowing = [np.full(3, value) for value in (10.0, 10.0, 11.0, 11.0, 12.0, 12.0)]
    assert make(slowing).drift == pytest.approx(1.2)
    assert make(slowing[:1]).drift == 1


def test_str_is_one_short_line(rounds):
    text = str(make(rounds))
    assert "\n" not in text
    assert "p50" in text
    assert "2 threads" in text


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("processor\t: 0\nmodel\t\t: 2\nmodel name\t: AMD EPYC\n", "AMD EPYC"),
        ("processor : 0\nHardware : BCM2835\nModel : Raspberry Pi 4\n", "Raspberry Pi 4"),
        ("Hardware\t: Qualcomm\n", "Qualcomm"),
        ("", ""),
    ],
)
def test_the_name_of_the_processor(text, name):
    assert parse_cpu(text) == name
