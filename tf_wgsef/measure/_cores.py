"""Which cores of a device may be used: phones mix fast and slow ones, and move work between them."""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterator, Sequence

from tf_wgsef.errors import InputError, MeasurementError

from ._shell import Shell

_SPEEDS = """for file in /sys/devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq; do
printf 'tf_wgsef speed %s %s\\n' "$file" "$(cat "$file" 2>/dev/null)"; done"""
_SPEED = re.compile(r"tf_wgsef speed /\S{1,80}/cpu(\d{1,4})/\S{1,80} (\d{1,12})", re.ASCII)
_SPEED_FILES = "devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq"
_SYSTEM = pathlib.Path("/sys")
_MOST_CORES = 1024


def check_cores(cores: str | Sequence[int] | None) -> tuple[int, ...] | str | None:
    """Returns ``cores`` if it names cores: "big", numbers, or None for all.

    Raises:
        InputError: if it does not.

    Example:
        >>> check_cores([7, 4])
        (4, 7)
    """
    if cores is None or cores == "big":
        return cores
    numbers = tuple(cores) if isinstance(cores, list | tuple | range) else ()
    if numbers and all(type(one) is int and 0 <= one < _MOST_CORES for one in numbers):
        return tuple(sorted(set(numbers)))
    raise InputError(
        f'Expected `cores` as "big" or a list of core numbers. Received: cores={cores!r}. Pass [4, 5, 6, 7].'
    )


def pin_command(shell: Shell, cores: tuple[int, ...] | str | None) -> list[str]:
    """Returns the arguments that come before a program to run it on ``cores`` only; [] for all.

    Args:
        shell: the device.
        cores: what ``check_cores`` returned; "big" are all cores but those of the slowest kind.

    Raises:
        MeasurementError: if "big" is asked and the device does not tell how fast its cores are.
    """
    if not cores:
        return []
    if cores == "big":
        cores = _big_cores(shell)
    # Android's taskset takes a mask in hexadecimal without 0x; that of other Linux takes both.
    return ["taskset", f"{sum(1 << one for one in cores):x}"]


def pinned_cores(command: Sequence[str]) -> tuple[int, ...]:
    """Returns the cores that ``pin_command`` put before a program; () if it may use all.

    Args:
        command: the program's arguments with those of ``pin_command`` before them.

    Example:
        >>> pinned_cores(["taskset", "31", "benchmark_model"])
        (0, 4, 5)
    """
    if command[0] != "taskset":
        return ()
    mask = int(command[1], 16)
    return tuple(core for core in range(mask.bit_length()) if mask >> core & 1)


@contextlib.contextmanager
def pinned_here(cores: tuple[int, ...] | str | None) -> Iterator[None]:
    """Lets this thread, and those that it starts meanwhile, run on ``cores`` only.

    A runtime starts its threads when it loads a file, and they inherit what this thread may use.

    Args:
        cores: what ``check_cores`` returned.

    Raises:
        MeasurementError: if the system cannot do it, or this process may not use one of them.
    """
    if not cores:
        yield
        return
    if not hasattr(os, "sched_setaffinity"):
        raise MeasurementError(
            "Expected a system that keeps a program to some cores. Received: `cores` on one that cannot; "
            "Linux can. Measure without `cores`."
        )
    before = os.sched_getaffinity(0)
    wanted = before & set(_fast(_speeds_here(), "this machine")) if cores == "big" else set(cores)
    if not wanted or not wanted <= before:
        raise MeasurementError(
            f"Expected cores that this process may use: {_words(before)}. Received: cores={_words(wanted)}. "
            f"Pass some of the former."
        )
    os.sched_setaffinity(0, wanted)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _words(cores):
    return ",".join(map(str, sorted(cores))) or "none"


def _speeds_here():
    speeds = {}
    for file in _SYSTEM.glob(_SPEED_FILES):
        with contextlib.suppress(OSError, ValueError):
            speeds[int(file.parents[1].name.removeprefix("cpu"))] = int(file.read_text())
    return speeds


def _big_cores(shell):
    text = shell.run(["sh", "-c", _SPEEDS], to="tell the speed of its cores")
    found = (_SPEED.fullmatch(line) for line in text.splitlines())
    speeds = {int(one[1]): int(one[2]) for one in found if one and int(one[1]) < _MOST_CORES}
    return _fast(speeds, shell.label)


def _fast(speeds, label):
    if not speeds:
        raise MeasurementError(
            f"Expected {label} to tell the speed of its cores. Received: no cpuinfo_max_freq. Pass "
            f"their numbers, as in cores=[4, 5, 6, 7]."
        )
    slowest = min(speeds.values())
    return [core for core, speed in speeds.items() if speed > slowest] or list(speeds)
