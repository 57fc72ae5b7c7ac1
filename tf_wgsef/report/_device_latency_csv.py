"""Raw samples as CSV: one row per run."""

import csv
import pathlib
from collections.abc import Sequence

import numpy as np

from tf_wgsef.report import _format
from tf_wgsef.report._device_latency import DeviceLatency

HEADER = ("target", "file", "round", "microseconds")


def write_samples(path: pathlib.Path, devices: Sequence[DeviceLatency]) -> int:
    """Writes the runs of all files on all devices in the order they were timed; returns their number.

    Args:
        path: the file to write.
        devices: what was measured; a file without raw samples has no rows.

    Example:
        ``write_samples(pathlib.Path("samples.csv"), devices)``
    """
    count = 0
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADER)
        for device in devices:
            for file in device.files:
                sizes = file.latency.get("round_runs") or [file.samples.size]
                rounds = np.repeat(np.arange(1, len(sizes) + 1), sizes)
                names = _format.clean(device.target), _format.clean(file.name)
                # A run is timed in whole nanoseconds.
                writer.writerows(
                    (*names, turn, f"{value:.3f}")
                    for turn, value in zip(rounds.tolist(), file.samples.tolist(), strict=True)
                )
                count += file.samples.size
    return count
