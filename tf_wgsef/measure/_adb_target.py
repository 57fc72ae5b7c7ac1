"""An Android phone that is reached over adb."""

import os
import pathlib
from collections.abc import Sequence

from tf_wgsef.errors import InputError
from tf_wgsef.validation import check_positive_int

from ._adb_shell import AdbShell, parse_adb
from ._cores import check_cores, pin_command
from ._shell import private_folder
from ._targets import Target
from ._tool_runner import run_tool


class AdbTarget(Target):
    """An Android device behind the ``adb`` client, measured with the native ``benchmark_model``.

    The tool and the files are copied to a private folder in ``/data/local/tmp``, and removed when the
    measurement ends, also if it fails. The tool is started for each file in each round. It prints no single
    runs, so percentiles other than the median stay unknown (None).

    Args:
        target: ``adb``, or ``adb:serial`` where several devices are attached.
        benchmark_model: the tool, built for the phone: a file on this machine.
        cores: the cores to run on, by number, or "big" for all but the slowest kind; None for all.
        keep: whether the folder on the phone stays; ``kept_folder`` then says where it is.
        limit_seconds: after so many the measurement is ended.

    Raises:
        InputError: if an argument is not what was expected.

    Example:
        ``measure("small.tflite", target=AdbTarget("adb", benchmark_model="tools/benchmark_model"))``
    """

    def __init__(
        self,
        target: str = "adb",
        *,
        benchmark_model: str | os.PathLike | None = None,
        cores: str | Sequence[int] | None = None,
        keep: bool = False,
        limit_seconds: int = 3600,
    ):
        self._serial = parse_adb(target)
        self._tool, self._cores, self._keep = _read_tool(benchmark_model), check_cores(cores), keep
        self._limit = check_positive_int("limit_seconds", limit_seconds)
        self.kept_folder = ""

    def run(self, files, plan, *, progress=None):  # noqa: D102 - as in Target
        done = []
        with (
            AdbShell(self._serial) as shell,
            private_folder(shell, keep=self._keep, done=done) as folder,
        ):
            self.kept_folder = folder if self._keep else ""
            pin = pin_command(shell, self._cores)
            tool = f"{folder}/benchmark_model"
            shell.push(self._tool, tool)
            shell.run(["chmod", "700", tool], to="let a program be executed")
            for number, file in enumerate(files):
                shell.push(file.content, f"{folder}/{number}.tflite")
            command = [*pin, tool]
            options = {"seconds": self._limit, "progress": progress}
            done += run_tool(shell, folder, files, plan, command=command, **options)
        return done

    def __str__(self):
        return f"adb:{self._serial}" if self._serial else "adb"


def _read_tool(path):
    if path is None:
        raise InputError(
            "Expected `benchmark_model`, the native tool that measures on a phone. Received: none. Download "
            "it for the phone's processor (https://ai.google.dev/edge/litert/models/measurement) and pass "
            "its path."
        )
    try:
        content = pathlib.Path(path).read_bytes()
    except (OSError, TypeError, ValueError) as error:
        raise InputError(
            f"Expected `benchmark_model` as the path of the tool on this machine. Received: "
            f"benchmark_model={path!r}, which cannot be read ({getattr(error, 'strerror', None) or error})."
        ) from error
    if not content:
        raise InputError(f"Expected `benchmark_model` as a program. Received: {path!r}, which is empty.")
    return content
