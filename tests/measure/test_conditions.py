"""What a system shows of its heat, clock and memory, from files made after their documentation."""

import dataclasses
import json
import os

import pytest

from tf_wgsef.errors import InputError
from tf_wgsef.measure import Conditions, LatencyStats, Machine, ModelFile, Reading, measure
from tf_wgsef.measure._device_facts import take_reading
from tf_wgsef.measure._tool_log import read_log

ZONE = "/sys/class/thermal/thermal_zone{}/temp"
COOLER = "/sys/class/thermal/cooling_device{}/"
CLOCK = "/sys/devices/system/cpu/cpu{}/cpufreq/scaling_cur_freq"
EVENTS = "/sys/devices/system/cpu/cpu{}/thermal_throttle/core_throttle_count"
PI = "/sys/devices/platform/soc/soc:firmware/get_throttled"


def cooler(number, kind, state):
    return {COOLER.format(number) + "type": f"{kind}\n", COOLER.format(number) + "cur_state": f"{state}\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, {}),
        # The hottest zone; a sensor that is off, and one that tells nonsense, are passed over.
        ({ZONE.format(0): "48312\n", ZONE.format(1): "61000\n", ZONE.format(2): "0"}, {"temperature": 61.0}),
        ({ZONE.format(0): "-5000", ZONE.format(1): "999999", ZONE.format(2): "hot"}, {}),
        (cooler(0, "Processor", 0) | cooler(1, "Processor", 0), {"throttled": False}),
        (cooler(0, "Processor", 0) | cooler(1, "Processor", 3), {"throttled": True}),
        (cooler(0, "thermal-cpufreq-0", 2), {"throttled": True}),
        (cooler(0, "pwm-fan", 2), {}),  # a fan that turns slows nothing
        ({PI: "0\n"}, {"throttled": False}),
        ({PI: "50000\n"}, {"throttled": False}),  # it was throttled since it started, and is not now
        ({PI: "50005\n"}, {"throttled": True}),
        ({PI: "throttled"}, {}),
        ({EVENTS.format(0): "7\n", EVENTS.format(1): "5\n"}, {"throttle_events": 12}),
        ({CLOCK.format(0): "1000000\n", CLOCK.format(1): "3000000\n"}, {"megahertz": 2000.0}),
        ({CLOCK.format(0): "0\n", CLOCK.format(1): "9" * 14}, {}),
    ],
)
def test_what_the_files_say(files, expected):
    assert Reading.from_files(files) == Reading(**expected)


def test_the_frequency_is_that_of_the_cores_in_use():
    files = {CLOCK.format(core): str(1_000_000 * (core + 1)) for core in range(4)}
    assert Reading.from_files(files, (2, 3)).megahertz == 3500.0


class Answering:
    """A device that prints ``text`` whatever it is asked."""

    def __init__(self, text):
        self.text = text

    def run(self, arguments, *, to):
        return self.text


def test_what_a_device_without_our_python_shows():
    lines = [f"tf_wgsef file {ZONE.format(0)} 48312", "Welcome", f"tf_wgsef file {CLOCK.format(5)} 1800000"]
    lines += [f"tf_wgsef file {CLOCK.format(0)} 600000", f"tf_wgsef file {PI} 50004"]
    found = take_reading(Answering("\n".join(lines)), (4, 5))
    assert found == Reading(temperature=48.312, throttled=True, megahertz=1800.0, cores=(4, 5))


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"tf_wgsef file {ZONE.format(0)} \x1b[2J",
        f"tf_wgsef file {ZONE.format(0)} {'9' * 5000}",
        f"tf_wgsef file /etc{ZONE.format(0)} 50000",
        f"x tf_wgsef file {ZONE.format(0)} 50000",
    ],
)
def test_a_device_that_shows_nonsense(text):
    assert take_reading(Answering(text)) == Reading()


@pytest.mark.parametrize(
    ("before", "after", "throttled"),
    [
        (Reading(), Reading(), False),
        (Reading(throttled=True), Reading(throttled=False), True),
        (Reading(throttle_events=12), Reading(throttle_events=12), False),
        (Reading(throttle_events=12), Reading(throttle_events=13), True),
        (Reading(throttle_events=12), Reading(), False),
    ],
)
def test_heat_that_slowed_the_processor_before_after_or_meanwhile(before, after, throttled):
    assert Conditions(before, after).throttled is throttled


def test_facts_are_those_that_are_known():
    assert Conditions().facts == {}
    before, after = Reading(48.3, False, cores=(4, 5)), Reading(61.0, False, peak_memory=2_500_000)
    assert Conditions(before, after, "the tool").facts == {
        "temperature": "48 -> 61 degrees C",
        "throttled by the system": "no",
        "cores": "4 5",
        "peak memory": "2.5 MB (the tool)",
    }


def test_of_this_process(tiny_tflite):
    found = measure(tiny_tflite, min_runs=2, min_seconds=0.01, rounds=1, warmup_seconds=0).conditions
    assert found.before.cores == found.after.cores == tuple(sorted(os.sched_getaffinity(0)))
    # The process has imported NumPy at least, and fits into the machine.
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 10_000_000 < found.before.peak_memory <= found.after.peak_memory < total
    assert found.memory_of.startswith("the whole Python process")


STATS = LatencyStats.from_summary(
    ModelFile("a", b"....TFL3"),
    **dict.fromkeys(("min", "max", "std", "runs", "load", "first_invoke"), None),
    p50=1.0,
    mean=1.0,
    threads=1,
    target="local",
    runtime="r",
    delegate="d",
    machine=Machine(),
    session="s",
    round_medians=(1.0,),
    conditions=Conditions(Reading(48.0, cores=(0, 3)), Reading(50.0), "m"),
)


def test_json_round_trip_and_files_of_earlier_versions():
    values = json.loads(json.dumps(STATS.to_dict()))
    assert LatencyStats.from_dict(values) == STATS
    del values["conditions"]
    assert LatencyStats.from_dict(values) == dataclasses.replace(STATS, conditions=Conditions())


@pytest.mark.parametrize("wrong", [None, {}, {"before": {}, "after": {}, "memory_of": ""}, []])
def test_conditions_that_something_else_wrote(wrong):
    with pytest.raises(InputError, match="Expected the conditions"):
        LatencyStats.from_dict(STATS.to_dict() | {"conditions": wrong})


@pytest.mark.parametrize(
    ("line", "megabytes"),
    [
        ("Peak memory footprint (MB): init=0 overall=12.8672", 12.8672),
        (
            "INFO: Memory footprint delta from the start of the tool (MB): init=8.97656 overall=18.7227",
            18.7227,
        ),
        ("Peak memory footprint (MB): init=-1 overall=-1", None),
        ("Peak memory footprint (MB): init=0 overall=nan", None),
        ("", None),
    ],
)
def test_memory_in_the_log_of_the_native_tool(line, megabytes):
    found = read_log(f"count=50 first=9 curr=8 min=7 max=9 avg=8.1 std=1\n{line}\n").memory
    assert found == (megabytes and round(megabytes * 2**20))
