"""The table of operators that ``benchmark_model --enable_op_profiling=true`` and LiteRT print, as values.

Taken from its source (tensorflow/lite/profiling/profile_summary_formatter.cc, tensorflow/core/util/
stats_calculator.cc) and from logs that users have published. A row is, with a [start] in older tools only::

    [node type]  [start]  [first]  [avg ms]  [%]  [cdf%]  [mem KB]  [times called]  [Name]
"""

import dataclasses
import re
from collections.abc import Sequence

from tf_wgsef.errors import InputError
from tf_wgsef.validation import is_finite_number

from ._text import one_line

_LOGCAT = re.compile(r"^.{0,60}? tflite\s{0,4}: ")
_MS = r"(\d{1,9}\.\d{3})"
_SHARE = r"\d{1,3}\.\d{3}%"
_TOTAL = re.compile(r"Timings \(microseconds\): count=\d{1,12} curr=(\d{1,15})\s*$", re.MULTILINE)
_ROW = re.compile(
    rf"\s*(\S.{{0,100}}?)\s+(?:\d{{1,9}}\.\d{{3}}\s+){{1,2}}{_MS}\s+({_SHARE})\s+{_SHARE}\s+"
    r"\d{1,12}\.\d{3}\s+(\d{1,6})\s+(\S.{0,300})"
)
_TENSORS = re.compile(r"^\[(.*)\](:\d+)?$")
_RUNS = "Profiling Info for Regular Benchmark Runs"
_INITIAL = "Profiling Info for Benchmark Initialization"
_MOST_ROWS = 100_000
_LONGEST_LINE = 600
TOP = 10


@dataclasses.dataclass(frozen=True)
class Operator:
    """What one operator of a file took.

    Attributes:
        kind: such as "CONV_2D", or what a delegate calls it.
        name: the tensors that it writes, or its number in the delegate; may be "".
        microseconds: in one run of the file, the mean over the profiled runs.
        share: of the time of all operators.
    """

    kind: str
    name: str
    microseconds: float
    share: float

    @classmethod
    def from_dict(cls, values: object) -> "Operator":
        """Returns the operator that ``dataclasses.asdict`` made.

        Args:
            values: the dict.

        Raises:
            InputError: if it is anything else.

        Example:
            >>> Operator.from_dict({"kind": "ADD", "name": "", "microseconds": 2.0, "share": 0.5}).kind
            'ADD'
        """
        names = {field.name for field in dataclasses.fields(cls)}
        whole = isinstance(values, dict) and set(values) == names
        words = whole and all(isinstance(values[name], str) for name in ("kind", "name"))
        if not words or not all(is_finite_number(values[name]) for name in ("microseconds", "share")):
            raise InputError(
                "Expected the operators that LatencyStats.to_dict() wrote. Received: other values. "
                "Measure again."
            )
        return cls(**values)


def read_profile(text: str) -> tuple[Operator, ...]:
    r"""Returns the operators that took most time, the dearest first, at most ten; () if there is no table.

    Where the tool tells what a delegate does inside, that stands for the delegate.

    Args:
        text: all that the tool printed.

    Example:
        >>> table = "==== Run Order ====\n  ADD  0.100  0.200  80.000%  80.000%  0.000  1  [sum]"
        >>> read_profile(table)
        (Operator(kind='ADD', name='sum', microseconds=200.0, share=1.0),)
    """
    lines = [_LOGCAT.sub("", line[:_LONGEST_LINE]).rstrip() for line in text.splitlines()]
    start = next((number for number, line in enumerate(lines) if _RUNS in line), None)
    if start is None and any(_INITIAL in line for line in lines):
        return ()
    lines = lines[start or 0 :]
    rows = _table(lines)
    inside = next((number for number, line in enumerate(lines) if "Delegate internal:" in line), None)
    if inside is not None and (internal := _table(lines[inside:])):
        rows = [row for row in rows if "delegate" not in row[0].lower()] + internal
    rows = [row[:3] for row in rows]
    total = sum(row[2] for row in rows)
    if not total:
        return ()
    rows.sort(key=lambda row: row[2], reverse=True)
    return tuple(Operator(*row, row[2] / total) for row in rows[:TOP])


def read_shares(text: str) -> tuple[float, list[tuple[str, str, float]]]:
    r"""Returns the microseconds of all operators together, and (kind, name, share of them) of each.

    LiteRT's profiler adds up all runs; shares have more digits than its whole microseconds per call.

    Args:
        text: a summary of LiteRT's profiler.

    Example:
        >>> table = "==== Run Order ====\n  Delegate/Add  0.000  0.200  80.000%  80.000%  0.000  5  [sum]"
        >>> read_shares(table + "\nTimings (microseconds): count=1 curr=1010")
        (1010.0, [('Add', 'sum', 0.8)])
    """
    rows = _table(text.splitlines())
    found = _TOTAL.search(text)
    total = float(found[1]) if found else sum(row[2] for row in rows)
    return total, [(kind.removeprefix("Delegate/"), name, share) for kind, name, _, share in rows]


def _table(lines: Sequence[str]) -> list[tuple[str, str, float, float]]:
    """The rows of the first table in the order of the runs: (kind, name, microseconds, share)."""
    start = next((number for number, line in enumerate(lines) if "= Run Order =" in line), None)
    rows = []
    for line in lines[start + 1 : start + _MOST_ROWS] if start is not None else ():
        if "=====" in line:
            break
        found = _ROW.fullmatch(line)
        if found:
            kind, milliseconds, share, calls, name = found.groups()
            name = one_line(_TENSORS.sub(r"\1\2", name), limit=120)
            # Older tools count the calls of a run as 0 where it is once.
            microseconds = 1e3 * float(milliseconds) * max(1, int(calls))
            rows.append((one_line(kind, limit=60), name, microseconds, float(share[:-1]) / 100))
    return rows
