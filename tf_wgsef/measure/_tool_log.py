"""What ``benchmark_model`` prints, as numbers.

It reports each phase in one line, warm-up first, and sums up at the end. With operator profiling the line
appears once more under another name. Older tools print no median. Taken from its source
(tensorflow/lite/tools/benchmark/benchmark_model.cc) and from logs that users have published::

    INFO: count=50 first=1249964 curr=1240143 min=1238588 max=1252566 avg=1.24027e+06 std=2565 median=...
    Timings (microseconds): count=3166 first=947 curr=406 min=390 max=947 avg=411.071 std=14
    Inference timings in us: Init: 5579, First inference: 1357602, Warmup (avg): 1.3e+06, Inference (avg): ...
"""

import dataclasses
import math
import re

_NUMBER = r"(\d{1,15}(?:\.\d{1,12})?(?:e[+-]?\d{1,2})?)"
_RUNS = re.compile(r"(?:^|\s)count=(\d{1,12}) (?=first=|curr=)(.{1,400})$", re.MULTILINE)
_VALUE = re.compile(rf"\b(curr|min|max|avg|std|median)={_NUMBER}(?=\s|\(|$)")
_SUMMARY = re.compile(
    rf"Inference timings in us: Init: {_NUMBER}, First inference: {_NUMBER}, "
    rf"Warmup \(avg\): {_NUMBER}, Inference \(avg\): {_NUMBER}"
)
# What the tool grew by since it started, up to the end; -1 where the system does not tell.
_MEMORY = re.compile(
    rf"(?:Peak memory footprint|Memory footprint delta from the start of the tool) \(MB\): "
    rf"init={_NUMBER} overall={_NUMBER}\s*$",
    re.MULTILINE,
)
_PROFILE = "Timings (microseconds):"
_DELEGATED = re.compile(
    r"Replacing (\d{1,9}) (?:out of (\d{1,9}) )?node\(s\) with delegate \((\w{1,60})\) node, "
    r"yielding (\d{1,9}) partitions"
)
# It counts whole microseconds: of a shorter run the mean is known better than the median.
_MEDIAN_FROM = 100
_MOST_MEGABYTES = 1 << 30


@dataclasses.dataclass(frozen=True)
class ToolRound:
    """One run of the tool; every time is in microseconds, None where it does not say.

    Attributes:
        runs: the number of timed runs.
        mean: their mean.
        std: their standard deviation.
        min: the fastest.
        max: the slowest.
        median: their median.
        load: to load the file and allocate its tensors.
        first_invoke: the first run.
        delegate: what ran the operators.
        memory: the memory that the tool grew by, in bytes.
    """

    mean: float
    runs: int | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None
    median: float | None = None
    load: float | None = None
    first_invoke: float | None = None
    delegate: str = "unknown"
    memory: int | None = None

    @property
    def typical(self) -> float:
        """The median, or the mean where the median is missing or coarse."""
        return self.median if self.median and self.median >= _MEDIAN_FROM else self.mean


def read_log(text: str) -> ToolRound | None:
    """Returns what the tool measured; None if the text does not say.

    Args:
        text: all that it printed.

    Example:
        >>> read_log("count=50 first=9 curr=8 min=7 max=9 avg=8.1 std=1").mean
        8.1
    """
    lines = [line.rstrip() for line in text.splitlines()]
    phases = [line for line in lines if _RUNS.search(line) and "Memory (bytes)" not in line]
    plain = [line for line in phases if _PROFILE not in line]
    found = _read_runs((plain or phases)[-1]) if phases else {}
    summary = next((one for line in lines if (one := _SUMMARY.search(line))), None)
    if summary:
        found |= {"load": float(summary[1]), "first_invoke": float(summary[2])}
        found.setdefault("mean", float(summary[4]))
    numbers = [value for value in found.values() if value is not None]
    if not found.get("mean") or not all(math.isfinite(value) and value >= 0 for value in numbers):
        return None
    memory = _MEMORY.search(text)
    megabytes = min(float(memory[2]), _MOST_MEGABYTES) if memory else None
    peak = None if megabytes is None else round(megabytes * (1 << 20))
    return ToolRound(**found, delegate=_read_delegate(text), memory=peak)


def _read_runs(line):
    """The numbers of a phase; where all runs took the same time, only that is printed."""
    match = _RUNS.search(line)
    values = {name: float(value) for name, value in _VALUE.findall(match[2])}
    same = values.get("curr")
    if "avg=" not in line and same is not None:
        values |= {"avg": same, "min": same, "max": same, "median": same, "std": 0.0}
    if "avg" not in values or int(match[1]) == 0:
        return {}
    names = {"mean": "avg", "std": "std", "min": "min", "max": "max", "median": "median"}
    return {"runs": int(match[1])} | {ours: values.get(theirs) for ours, theirs in names.items()}


def _read_delegate(text):
    found = _DELEGATED.search(text)
    if not found:
        return "unknown"
    nodes, total, name, partitions = found.groups()
    of = f" of {total}" if total else ""
    return f"{name}: {nodes}{of} operators in {partitions} partition{'' if partitions == '1' else 's'}"
