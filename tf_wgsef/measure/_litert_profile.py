"""Times per operator of a file on the runtime here, told by LiteRT's profiler in a process of its own."""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import threading
from collections.abc import Sequence

import numpy as np

from ._model_file import ModelFile
from ._text import one_line
from ._tool_profile import TOP, Operator, read_shares

_SECONDS = 120
_START = (
    "import sys; sys.path.insert(0, sys.argv[1]); from tf_wgsef.measure._profile_process import main; main()"
)


@dataclasses.dataclass(frozen=True)
class Profile:
    """What a profiler told of one file.

    Attributes:
        operators: those that took most time, the dearest first; empty if it told nothing.
        by: who told it and how, or why there is nothing.
    """

    operators: tuple[Operator, ...] = ()
    by: str = ""


def profile_here(file: ModelFile, *, threads: int, version: str, python: str = "") -> Profile:
    """Returns the ten operators that take most time, from runs of their own.

    Args:
        file: the file.
        threads: threads of the runtime.
        version: what the runtime is called, for the record.
        python: the Python to start; the one that runs by default.

    Example:
        ``profile_here(read_model_file("model.tflite"), threads=1, version="ai-edge-litert 2.3.0").operators``
    """
    lines, status = _start(file, threads, python or sys.executable)
    batches = []
    for line in lines:
        if "error" in line:
            return Profile(by=f"none: LiteRT's profiler says that {one_line(line['error'])}")
        batches.append((line["runs"], *read_shares(line["summary"])))
    if not batches:
        return Profile(by=f"none: LiteRT's profiler could not be used here ({status})")
    operators = _medians(batches)
    runs = " x ".join(map(str, (len(batches), batches[0][0])))
    if not operators:
        return Profile(by="none: LiteRT's profiler saw no operator that takes a microsecond")
    return Profile(operators, f"LiteRT's profiler in {version}, {runs} runs, zeros as inputs")


def _medians(batches: Sequence[tuple]) -> tuple[Operator, ...]:
    """The median over the batches of each operator's time in one run: a mean follows every disturbance.

    The profiler's summary holds all runs since the start, so a batch is what it has more than the one before.
    """
    names = [(kind, name) for kind, name, _ in batches[-1][2]]
    alike = [one for one in batches if [(kind, name) for kind, name, _ in one[2]] == names]
    sums = np.array([[share * total for _, _, share in rows] for _, total, rows in alike])
    runs = np.array([[one[0]] for one in alike])
    times = np.diff(sums, axis=0, prepend=0.0) / runs if names else np.zeros((1, 0))
    typical = np.maximum(np.median(times, axis=0), 0.0)
    whole = float(typical.sum())
    order = [number for number in np.argsort(-typical, kind="stable")[:TOP] if typical[number] > 0]
    return tuple(Operator(*names[n], float(typical[n]), float(typical[n]) / whole) for n in order)


def _start(file, threads, python):
    """The lines that the process printed, and how it ended, in words."""
    root = str(pathlib.Path(__file__).absolute().parents[2])  # of the package; on a board an archive
    command = [python, "-c", _START, root]
    request = json.dumps({"threads": threads, "bytes": len(file.content)}).encode() + b"\n"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    try:
        process = subprocess.Popen(command, env={**os.environ, "PYTHONSAFEPATH": "1"}, **pipes)  # noqa: S603
    except OSError as error:
        return [], one_line(error)
    timer = threading.Timer(_SECONDS, process.kill)
    timer.start()
    try:
        with process:
            with contextlib.suppress(OSError):  # it ended before it read all: its status says why
                process.stdin.write(request + file.content)
                process.stdin.flush()
            found = [one for line in process.stdout if (one := _read(line))]
    finally:
        process.kill()
        timer.cancel()
    status = process.returncode
    return found, f"it ended by signal {-status}" if status < 0 else f"it ended with status {status}"


def _read(line: bytes) -> dict | None:
    """A line of the process; None for what a library prints."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    known = isinstance(values, dict) and ("error" in values or {"runs", "summary"} <= set(values))
    return values if known else None
