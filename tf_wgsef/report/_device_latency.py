"""What a page, a picture or a file of raw samples shows of one device: plain values."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class FileLatency:
    """One file on one device.

    Attributes:
        name: what tables call it.
        latency: ``LatencyStats.to_dict()`` without raw samples.
        samples: all timed runs in order, microseconds, ``(runs,)``; empty where they are not told.
        accuracy: the share of right answers of this file, None if it is not known.
        accuracy_on: the target where that was computed.
        operators: the operators that took most time: (kind, name, microseconds, share of the time).
    """

    name: str
    latency: Mapping[str, Any]
    samples: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0), repr=False, compare=False)
    accuracy: float | None = None
    accuracy_on: str = ""
    operators: tuple[tuple[str, str, float, float], ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeviceLatency:
    """The files that took turns on one device.

    Attributes:
        target: where it was, such as "local".
        device: its processor, runtime and threads, in words.
        files: at least one.
        interval: lower end, ratio and upper end of how many times faster the second file is; None for one.
        claimed: whether that may be claimed.
        notes: sentences that the reader must know: the comparison, warnings, what is missing.
        facts: what else is known of the measurement, in words.
    """

    target: str
    device: str
    files: tuple[FileLatency, ...]
    interval: tuple[float, float, float] | None = None
    claimed: bool = False
    notes: tuple[str, ...] = ()
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)
