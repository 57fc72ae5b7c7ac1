"""What a system shows of its heat, clock and memory at one moment; nothing where it shows nothing."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Mapping

from tf_wgsef.validation import is_finite_number

# Files of Linux's sysfs (its documentation: driver-api/thermal/sysfs-api, admin-guide/pm/cpufreq). Counts of
# throttling are x86's (Intel). The last is the Raspberry Pi's firmware (bits as `vcgencmd get_throttled`; its
# path is not yet verified on a board).
READ_FILES = (
    "/sys/class/thermal/thermal_zone*/temp",
    "/sys/class/thermal/cooling_device*/type",
    "/sys/class/thermal/cooling_device*/cur_state",
    "/sys/devices/system/cpu/cpu*/cpufreq/scaling_cur_freq",
    "/sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count",
    "/sys/devices/platform/soc/soc:firmware/get_throttled",
)
# Frequency capped, throttled now, soft temperature limit active.
_PI_THROTTLED = 0b1110
_STATUS = pathlib.Path("/proc/self/status")
_COUNT = re.compile(r"\d{1,15}", re.ASCII)
# Beyond these a sensor tells something else.
_DEGREES = (-40, 150)
_MOST_CORES = 1 << 16
_MOST_KILOHERTZ = 10**9
_MOST_BYTES = 1 << 60


@dataclasses.dataclass(frozen=True)
class Reading:
    """What the system showed at one moment; None where it does not say.

    Attributes:
        temperature: of the hottest thermal zone, degrees Celsius.
        throttled: whether the kernel or the firmware was slowing the processor for its heat.
        throttle_events: how often the cores were throttled since the system started (Intel).
        megahertz: the mean frequency of the cores.
        cores: the numbers of the cores that the process could use; empty if unknown.
        peak_memory: the most memory that the measuring process has held, in bytes.
    """

    temperature: float | None = None
    throttled: bool | None = None
    throttle_events: int | None = None
    megahertz: float | None = None
    cores: tuple[int, ...] = ()
    peak_memory: int | None = None

    @classmethod
    def local(cls) -> "Reading":
        """Returns what this system shows now, and what this process holds.

        Example:
            ``Reading.local().temperature``
        """
        paths = [str(path) for pattern in READ_FILES for path in pathlib.Path("/").glob(pattern[1:])]
        allowed = getattr(os, "sched_getaffinity", None)
        cores = tuple(sorted(allowed(0))) if allowed else ()
        found = cls.from_files({path: _read(path) for path in paths}, cores)
        return dataclasses.replace(found, peak_memory=_peak_memory(_read(_STATUS)))

    @classmethod
    def from_files(cls, files: Mapping[str, str], cores: tuple[int, ...] = ()) -> "Reading":
        """Returns what the text of the files that ``READ_FILES`` names says.

        Args:
            files: the text of each by its path; what is no number there is passed over.
            cores: cores whose frequency counts; empty for all.

        Example:
            >>> Reading.from_files({"/sys/class/thermal/thermal_zone0/temp": "48312"}).temperature
            48.312
        """
        numbers = {path: int(text) for path, text in files.items() if _COUNT.fullmatch(text.strip())}
        zones = [value / 1000 for path, value in numbers.items() if path.endswith("/temp")]
        zones = [one for one in zones if 0 < one < _DEGREES[1]]
        clocks = {
            path: value
            for path, value in numbers.items()
            if path.endswith("/scaling_cur_freq") and 0 < value < _MOST_KILOHERTZ
        }
        used = [f"/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq" for core in cores]
        speeds = [clocks[path] for path in used if path in clocks] or list(clocks.values())
        events = [value for path, value in numbers.items() if path.endswith("/core_throttle_count")]
        return cls(
            temperature=max(zones, default=None),
            throttled=_throttled(files, numbers),
            throttle_events=sum(events) if events else None,
            megahertz=sum(speeds) / len(speeds) / 1000 if speeds else None,
            cores=cores,
        )

    @classmethod
    def from_dict(cls, values: object) -> "Reading | None":
        """Returns the reading that ``dataclasses.asdict`` made; None if it is anything else.

        Args:
            values: what a board or a file says.

        Example:
            >>> Reading.from_dict({"temperature": "hot"}) is None
            True
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(values, dict) or set(values) != names:
            return None
        cores = values["cores"]
        if not isinstance(cores, list | tuple) or len(cores) > _MOST_CORES:
            return None
        checks = (
            values["throttled"] in (None, True, False) and type(values["throttled"]) in (bool, type(None)),
            _number_or_none(values["temperature"], *_DEGREES),
            _number_or_none(values["megahertz"], 0, _MOST_KILOHERTZ / 1e3),
            _count_or_none(values["throttle_events"], _MOST_BYTES),
            _count_or_none(values["peak_memory"], _MOST_BYTES),
            all(_count_or_none(one, _MOST_CORES) and one is not None for one in cores),
        )
        return cls(**values | {"cores": tuple(cores)}) if all(checks) else None


def _throttled(files, numbers):
    """Whether a device that cools by slowing the processor is at work; None if there is none."""
    said = []
    for path, text in files.items():
        state = numbers.get(f"{path.removesuffix('type')}cur_state")
        # "Processor" is ACPI's name; drivers of ARM boards and phones say thermal-cpufreq-0 or cpufreq-cpu0.
        if path.endswith("/type") and state is not None and re.match(r"Processor|.*cpufreq", text):
            said.append(state > 0)
        if path.endswith("/get_throttled") and re.fullmatch(r"(0x)?[0-9a-fA-F]{1,8}\s*", text):
            said.append(bool(int(text, 16) & _PI_THROTTLED))
    return any(said) if said else None


def _peak_memory(status):
    """VmHWM of ``/proc/self/status``: the peak of what was resident, in bytes."""
    found = re.search(r"^VmHWM:\s*(\d{1,12}) kB$", status, re.MULTILINE | re.ASCII)
    return 1024 * int(found[1]) if found else None


def _number_or_none(value, low, high):
    return value is None or (is_finite_number(value) and low < value < high)


def _count_or_none(value, most):
    return value is None or (type(value) is int and 0 <= value < most)


def _read(path):
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return ""
