"""What the runner on a board says, as lines of JSON: written there, checked here like a stranger's data.

A line is ``tf_wgsef {...}``; other lines, such as a login shell's greeting, are passed over. The kinds::

    ready  machine, runtime, delegates, reading   before the first round; ``reading``: heat, clock, memory
    round  file, load, first, ns                  a file's turn: its number, microseconds, runs in nanoseconds
    done   reading                                all rounds are through
    loaded   runtime, classes                     before the first answer: how many classes have scores
    answers  classes                              the classes of some samples, in their order
    operators  file, operators, by                of a file's operators: what was told, and by whom
    error  type, text                             why it stopped
"""

import dataclasses
import json

import numpy as np

from tf_wgsef.errors import InputError, MeasurementError
from tf_wgsef.validation import is_finite_number

from ._litert_profile import Profile
from ._machine import Machine
from ._reading import Reading
from ._text import one_line
from ._tool_profile import TOP, Operator

_MARK = "tf_wgsef "
_KINDS = ("ready", "round", "operators", "loaded", "answers", "done", "error")
_ERRORS = {"InputError": InputError, "MeasurementError": MeasurementError}
# An hour: no run of a file that is measured hundreds of times takes longer.
_LONGEST_NS = 3.6e12
_MOST_CORES = 1 << 16
_MOST_CLASSES = 1 << 31


def encode(kind: str, **values) -> str:
    """Returns the line of one message.

    Example:
        >>> encode("done")
        'tf_wgsef {"kind": "done"}'
    """
    return _MARK + json.dumps({"kind": kind, **values}, allow_nan=False)


def decode(line: str) -> dict | None:
    """Returns the message in ``line``; None if there is none in it.

    Raises:
        MeasurementError: if it is damaged.

    Example:
        >>> decode('tf_wgsef {"kind": "done"}'), decode("Welcome to the board")
        ({'kind': 'done'}, None)
    """
    if not line.startswith(_MARK):
        return None
    try:
        message = json.loads(line[len(_MARK) :])
    except (ValueError, RecursionError):
        message = None
    if isinstance(message, dict) and message.get("kind") in _KINDS:
        return message
    return None if line.startswith(_MARK + "folder ") else _damaged(line)


def raise_error(message: dict) -> None:
    """Raises the error that the runner met.

    Raises:
        InputError: if a file is to blame.
        MeasurementError: otherwise.
    """
    text = one_line(message.get("text", ""), limit=1000)
    raise _ERRORS.get(str(message.get("type")), MeasurementError)(text or "The runner on the board failed.")


def read_ready(message: dict, files: int) -> tuple[Machine, str, list[str]]:
    """Returns machine, runtime and the delegate of each of ``files`` files.

    Raises:
        MeasurementError: if something else is there.
    """
    machine, delegates = message.get("machine"), message.get("delegates")
    if not isinstance(machine, dict) or not isinstance(delegates, list) or len(delegates) != files:
        _damaged(message)
    words = {
        name: one_line(machine.get(name, "unknown")) for name in ("cpu", "architecture", "os", "governor")
    }
    cores, emulated = machine.get("cores"), machine.get("emulated")
    if type(cores) is not int or not 0 < cores < _MOST_CORES or type(emulated) is not bool:
        _damaged(message)
    found = Machine(**words, cores=cores, emulated=emulated)
    return found, one_line(message.get("runtime", "unknown")), [one_line(text) for text in delegates]


def read_reading(message: dict) -> Reading:
    """Returns what the board showed of its heat, clock and memory.

    Raises:
        MeasurementError: if something else is there.
    """
    found = Reading.from_dict(message.get("reading"))
    return _damaged(message) if found is None else found


def read_round(message: dict, files: int) -> tuple[int, float, float, np.ndarray]:
    """Returns the file's number, load time, first run, and its runs, ``(runs,)``, all in microseconds.

    Raises:
        MeasurementError: if something else is there, such as a duration of 0 or NaN.
    """
    index, nanoseconds = message.get("file"), message.get("ns")
    if (
        type(index) is not int
        or not 0 <= index < files
        or not isinstance(nanoseconds, list)
        or not nanoseconds
    ):
        _damaged(message)
    times = [message.get("load"), message.get("first")]
    if not all(is_finite_number(value) and 0 < value < _LONGEST_NS / 1e3 for value in times):
        _damaged(message)
    if not all(type(value) is int and 0 < value < _LONGEST_NS for value in nanoseconds):
        _damaged(message)
    return index, float(times[0]), float(times[1]), np.array(nanoseconds, dtype="float64") / 1e3


def read_operators(message: dict, files: int) -> tuple[int, Profile]:
    """Returns the file's number and what was told of its operators.

    Raises:
        MeasurementError: if something else is there.
    """
    index, told, by = (message.get(name) for name in ("file", "operators", "by"))
    if type(index) is not int or not 0 <= index < files or not isinstance(told, list) or len(told) > TOP:
        _damaged(message)
    try:
        found = [Operator.from_dict(one) for one in told]
    except InputError:
        _damaged(message)
    if not all(0 <= one.microseconds < _LONGEST_NS and 0 <= one.share <= 1 for one in found):
        _damaged(message)
    plain = [
        dataclasses.replace(one, kind=one_line(one.kind, limit=60), name=one_line(one.name, limit=120))
        for one in found
    ]
    return index, Profile(tuple(plain), one_line(by))


def read_loaded(message: dict) -> tuple[int, str]:
    """Returns the number of classes that a file has scores for, and the runtime.

    Raises:
        MeasurementError: if something else is there.
    """
    classes = message.get("classes")
    if type(classes) is not int or not 1 < classes < _MOST_CLASSES:
        _damaged(message)
    return classes, one_line(message.get("runtime", "unknown"))


def read_answers(message: dict, classes: int, most: int) -> list[int]:
    """Returns the classes that a file gave to some samples.

    Args:
        message: the message.
        classes: the number of classes.
        most: so many samples are without an answer yet.

    Raises:
        MeasurementError: if something else is there.
    """
    found = message.get("classes")
    if not isinstance(found, list) or not 0 < len(found) <= most:
        _damaged(message)
    if not all(type(one) is int and 0 <= one < classes for one in found):
        _damaged(message)
    return found


def _damaged(what):
    raise MeasurementError(
        f"Expected results from the runner on the board. Received: {one_line(what, limit=120)!r}. "
        f"Something else writes between its lines; check the board and measure again."
    )
