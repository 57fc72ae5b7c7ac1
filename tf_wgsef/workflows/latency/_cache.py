"""Times that were measured before, by device and runtime."""

import hashlib
import json
import math
import os
import pathlib

import platformdirs

from tf_wgsef.measure import LatencyStats
from tf_wgsef.output_files import new_file

_SCHEMA = "tf_wgsef.LatencyCache/1"


class LatencyCache:
    """A folder of times: one JSON file for each device, runtime and number of threads.

    A file that cannot be read counts as empty: what is in it is measured again.

    Args:
        folder: where they lie; the user's cache folder if None.

    Example:
        ``LatencyCache("latency").read(stats)`` is ``{key: microseconds}``.
    """

    def __init__(self, folder: str | os.PathLike | None = None):
        self._folder = pathlib.Path(platformdirs.user_cache_dir("tf_wgsef") if folder is None else folder)

    def read(self, device: LatencyStats) -> dict[str, float]:
        """Returns {key: microseconds} of all that was measured on a device.

        Args:
            device: any measurement on it.
        """
        try:
            data = json.loads(self.path(device).read_text(encoding="utf-8"))
            times = data["times"] if data["schema"] == _SCHEMA else {}
            return {str(key): float(time) for key, time in times.items() if 0 <= time < math.inf}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return {}

    def add(self, device: LatencyStats, times: dict[str, float]) -> None:
        """Writes more times of a device, beside those that are there.

        Args:
            device: any measurement on it.
            times: {key: microseconds}.

        Raises:
            OSError: if the folder cannot be written to.
        """
        file = self.path(device)
        file.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(
            {"schema": _SCHEMA, "device": device_words(device), "times": {**self.read(device), **times}},
            indent=0,
        )
        with new_file(file, overwrite=True) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def path(self, device: LatencyStats) -> pathlib.Path:
        """The file of a device."""
        return self._folder / f"{hashlib.sha256(device_words(device).encode()).hexdigest()[:16]}.json"


def device_words(device: LatencyStats) -> str:
    """Returns what a time depends on besides the file, for people and as a name.

    Args:
        device: any measurement on it.
    """
    machine = device.machine
    threads = f"{device.threads} thread{'s' if device.threads > 1 else ''}"
    words = [device.target, machine.cpu, machine.architecture, device.runtime, threads]
    cores = _ranges(device.conditions.before.cores)
    return ", ".join([*words, *([f"cores {cores}"] if cores else [])])


def _ranges(numbers) -> str:
    """Returns rising numbers as "0-3 7"."""
    runs = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return " ".join(f"{first}-{last}" if last > first else str(first) for first, last in runs)
