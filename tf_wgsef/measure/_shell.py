"""What a device must let us do: run a command, take a file, and give a private folder for a while."""

import abc
import contextlib
import re
import shlex
from collections.abc import Iterable, Iterator, Sequence

from tf_wgsef.errors import MeasurementError

from ._call import Call
from ._text import one_line

_MAKE_FOLDER = """umask 077; folder=$(mktemp -d "${1:-${TMPDIR:-/tmp}}/tf_wgsef.XXXXXX") &&
printf 'tf_wgsef folder %s\\n' "$folder" """
# What is removed later must be a folder that mktemp has just made, whatever the device prints.
_FOLDER = re.compile(r"tf_wgsef folder (/[\w./ -]{0,200}/tf_wgsef\.\w{6,16})", re.ASCII)
_MEANINGS = {
    124: "it took too long and was ended",
    126: "it may not be executed",
    127: "no such program",
    132: "it crashed (illegal instruction)",
    134: "it crashed (aborted)",
    135: "it crashed (bus error)",
    137: "it was killed, as when memory runs out",
    139: "it crashed (segmentation fault)",
}


class ConnectionLostError(MeasurementError):
    """The device cannot be reached, or not any more."""


class Shell(abc.ABC):
    """Commands and files on a device; ``with`` ends the connection.

    Args:
        label: what messages call the device, such as "ssh://pi@board".
    """

    # Where private folders are made; "" for the device's own place.
    base = ""

    def __init__(self, label: str):
        self.label = label

    @abc.abstractmethod
    def command(self, remote: str) -> list[str]:
        """Returns the argument list that runs the text ``remote`` in the device's shell."""

    @abc.abstractmethod
    def lost(self, status: int, complaint: str) -> str:
        """Returns why the connection failed, and what to do; "" if the remote command itself did."""

    @abc.abstractmethod
    def push(self, content: bytes, path: str) -> None:
        """Writes ``content`` into the file ``path`` on the device."""

    def close(self) -> None:  # noqa: B027 - most need none
        """Ends the connection."""

    def start(
        self,
        arguments: Sequence[str],
        *,
        content: bytes | Iterable[bytes] = b"",
        hold: bool = False,
        seconds: float,
    ) -> Call:
        """Starts a program on the device; the arguments reach it as they are."""
        return Call(self.command(shlex.join(arguments)), content=content, hold=hold, seconds=seconds)

    def run(self, arguments: Sequence[str], *, to: str, content: bytes = b"", seconds: float = 600) -> str:
        """Runs a program on the device and returns what it prints.

        Args:
            arguments: the program and its arguments.
            to: what for, as the message says it: "Expected <label> to <to>".
            content: what it reads.
            seconds: after so many it is ended.

        Raises:
            ConnectionLostError: if the device cannot be reached.
            MeasurementError: if the program fails.
        """
        with self.start(arguments, content=content, seconds=seconds) as call:
            text = "\n".join(call.lines())
            status, complaint = call.finish()
        if status:
            raise self.error(status, complaint, to)
        return text

    def error(self, status: int, complaint: str, to: str, advice: str = "") -> MeasurementError:
        """Returns what to raise for a command that ended with ``status``."""
        reason = self.lost(status, complaint)
        if reason:
            return ConnectionLostError(f"Expected a connection to {self.label}. Received: {reason}")
        last = complaint.splitlines()[-1] if complaint else ""
        said = ": ".join(one_line(part) for part in (_MEANINGS.get(status), last) if part)
        if "No space left" in complaint:
            advice = "Free some space there."
        said = said and f" ({said})"
        return MeasurementError(
            f"Expected {self.label} to {to}. Received: status {status}{said}. {advice}".rstrip()
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@contextlib.contextmanager
def private_folder(shell: Shell, *, keep: bool, done: Sequence = ()) -> Iterator[str]:
    """Gives the path of a new folder on the device that only this user may read; removed in the end.

    Args:
        shell: the device.
        keep: whether the folder and all in it stay.
        done: a ``LatencyStats`` per file once all is measured.

    Raises:
        MeasurementError: if it cannot be made, or not be removed; ``measured`` holds what is ``done``.
    """
    make = ["sh", "-c", _MAKE_FOLDER, "sh", shell.base]
    text = shell.run(make, to="make a temporary folder", seconds=60)
    folder = next((found[1] for line in text.splitlines() if (found := _FOLDER.fullmatch(line))), None)
    if folder is None or "/../" in folder:
        raise MeasurementError(
            f"Expected {shell.label} to make a temporary folder. Received: {one_line(text, limit=80)!r}. "
            f"Check `mktemp -d` there."
        )
    try:
        yield folder
    except BaseException as error:
        left = "" if keep else _remove(shell, folder)
        if left and isinstance(error, MeasurementError):
            error.args = (f"{error} What was copied may be left there in {folder}.",)
        raise
    if not keep and (left := _remove(shell, folder)):
        error = MeasurementError(f"Expected {shell.label} to remove {folder}. Received: {left}")
        error.measured = tuple(done)
        raise error


def _remove(shell, folder):
    """Removes ``folder``; returns why not, or ""."""
    try:
        shell.run(["rm", "-rf", "--", folder], to=f"remove {folder}", seconds=30)
    except MeasurementError as error:
        return str(error)
    return ""
