"""What a board prints is data: each message is checked before anything is computed from it."""

import json

import pytest

from tf_wgsef.errors import InputError, MeasurementError
from tf_wgsef.measure import Reading
from tf_wgsef.measure._messages import decode, encode, raise_error, read_reading, read_ready, read_round
from tf_wgsef.measure._text import is_plain_word, one_line

ROUND = {"file": 1, "load": 5.5, "first": 7.0, "ns": [1200, 1300]}
MACHINE = {
    "cpu": "toy",
    "architecture": "aarch64",
    "os": "Linux",
    "governor": "x",
    "cores": 4,
    "emulated": False,
}
READY = {"machine": MACHINE, "runtime": "fake 1.0", "delegates": ["none", "none"]}


def test_a_round_arrives_as_it_was_sent():
    index, load, first, runs = read_round(decode(encode("round", **ROUND)), 2)
    assert (index, load, first, runs.tolist()) == (1, 5.5, 7.0, [1.2, 1.3])
    machine, runtime, delegates = read_ready(decode(encode("ready", **READY)), 2)
    assert (machine.cpu, machine.cores, runtime, delegates) == ("toy", 4, "fake 1.0", ["none", "none"])


@pytest.mark.parametrize(
    "change",
    [
        {"file": 2},
        {"file": -1},
        {"file": True},
        {"file": "0"},
        {"ns": []},
        {"ns": [0]},
        {"ns": [-5]},
        {"ns": [1.5]},
        {"ns": [True]},
        {"ns": [10**400]},
        {"ns": "12"},
        {"ns": None},
        {"load": 0},
        {"load": None},
        {"load": 10**400},
        {"first": -1},
        {"first": "7"},
    ],
)
def test_a_damaged_round(change):
    with pytest.raises(MeasurementError, match="Expected results from the runner"):
        read_round(decode("tf_wgsef " + json.dumps({"kind": "round"} | ROUND | change)), 2)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_no_number(number):
    with pytest.raises(MeasurementError, match="Expected results from the runner"):
        read_round(
            decode(f'tf_wgsef {{"kind": "round", "file": 0, "load": {number}, "first": 1, "ns": [5]}}'), 1
        )


@pytest.mark.parametrize(
    "change",
    [
        {"machine": None},
        {"machine": MACHINE | {"cores": 0}},
        {"machine": MACHINE | {"cores": 1.5}},
        {"machine": MACHINE | {"emulated": "no"}},
        {"delegates": ["none"]},
        {"delegates": "ab"},
    ],
)
def test_a_damaged_greeting(change):
    with pytest.raises(MeasurementError, match="Expected results from the runner"):
        read_ready(READY | change, 2)


@pytest.mark.parametrize("line", ["", "Welcome", "tf_wgsef", " tf_wgsef {}", "tf_wgsef folder /tmp/x"])
def test_other_lines_are_passed_over(line):
    assert decode(line) is None


@pytest.mark.parametrize(
    "line", ["tf_wgsef ", "tf_wgsef {", 'tf_wgsef {"kind": "x"}', "tf_wgsef " + "[" * 100_000]
)
def test_a_damaged_line(line):
    with pytest.raises(MeasurementError, match="Expected results from the runner") as caught:
        decode(line)
    assert len(str(caught.value)) < 400


READING = {
    "temperature": 61.5,
    "throttled": False,
    "throttle_events": 0,
    "megahertz": 1500.0,
    "cores": [0, 1],
    "peak_memory": 9_000_000,
}


def test_a_reading_arrives_as_it_was_sent():
    found = read_reading(decode(encode("done", reading=READING)))
    assert found == Reading(61.5, False, 0, 1500.0, (0, 1), 9_000_000)
    nothing = dict.fromkeys(READING) | {"cores": []}
    assert read_reading(decode(encode("done", reading=nothing))) == Reading()


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": "hot"},
        {"temperature": 10**400},
        {"temperature": True},
        {"temperature": 900},
        {"throttled": 0},
        {"throttled": "no"},
        {"throttled": []},
        {"throttle_events": -1},
        {"throttle_events": 1.5},
        {"megahertz": 0},
        {"cores": "01"},
        {"cores": [None]},
        {"cores": [1 << 16]},
        {"peak_memory": 1 << 60},
        {"peak_memory": True},
        {"more": 1},
    ],
)
def test_a_damaged_reading(change):
    with pytest.raises(MeasurementError, match="Expected results from the runner"):
        read_reading(decode("tf_wgsef " + json.dumps({"kind": "done", "reading": READING | change})))
    with pytest.raises(MeasurementError, match="Expected results from the runner"):
        read_reading({"kind": "done"})


def test_errors_of_a_board_are_of_known_kinds_and_in_one_line():
    with pytest.raises(InputError, match="^Expected a file Received$"):
        raise_error({"type": "InputError", "text": "Expected a file\n\x1b\x07Received"})
    with pytest.raises(MeasurementError, match="failed"):
        raise_error({"type": "SystemExit"})


def test_text_is_cut_and_cleaned():
    assert one_line("a\x00b\u202ec\ud800d\n\n e") == "a b c d e"
    assert len(one_line("x" * 10**6)) == 300
    assert not is_plain_word("a\u202eb") and not is_plain_word(None) and not is_plain_word("x" * 256)
