"""A board that is reached over ssh."""

import os
from collections.abc import Sequence

from tf_wgsef.errors import InputError
from tf_wgsef.validation import check_positive_int

from ._accuracy_runner import run_classifier
from ._cores import check_cores, pin_command
from ._python_runner import run_python
from ._shell import private_folder
from ._ssh_shell import SSHAddress, SSHShell, check_config
from ._targets import Target
from ._text import is_plain_word
from ._tool_runner import run_tool


class SSHTarget(Target):
    """A Linux board behind the OpenSSH client, with keys, agent and known hosts as you have set them up.

    Nothing is asked: a password, or a host key that is not known yet, is an error. The code that measures is
    copied to a private folder there together with the files, and removed when the measurement ends, also
    if it fails. The board needs Python 3.10 or newer with NumPy and ``ai_edge_litert`` or ``tflite_runtime``;
    one without them is measured with its native ``benchmark_model``, as a phone is (``AdbTarget``).

    Args:
        target: ``ssh://user@host:port``; user and port are optional, and the host may be an alias of your
            ssh configuration.
        ssh_config: a configuration file for ssh instead of ``~/.ssh/config``.
        python: the Python there, a name or a path, such as the one of a venv.
        benchmark_model: the path of that tool on the board; Python is not used then.
        cores: the cores to run on, by number, or "big" for all but the slowest kind; None for all.
        keep: whether the folder on the board stays; ``kept_folder`` then says where it is.
        limit_seconds: after so many the measurement is ended.

    Raises:
        InputError: if an argument is not what was expected.

    Example:
        ``measure("small.tflite", target=SSHTarget("ssh://pi@board", python="/home/pi/venv/bin/python"))``
    """

    def __init__(
        self,
        target: str,
        *,
        ssh_config: str | os.PathLike | None = None,
        python: str = "python3",
        benchmark_model: str | None = None,
        cores: str | Sequence[int] | None = None,
        keep: bool = False,
        limit_seconds: int = 3600,
    ):
        self._address = SSHAddress.parse(target)
        self._config = check_config(ssh_config)
        if not is_plain_word(python):
            raise InputError(
                f"Expected `python` as a program on the board. Received: python={python!r}. Pass a name or a "
                f"path, such as /home/pi/venv/bin/python."
            )
        if benchmark_model is not None and not is_plain_word(benchmark_model):
            raise InputError(
                f"Expected `benchmark_model` as a program on the board. Received: "
                f"benchmark_model={benchmark_model!r}. Pass its path there."
            )
        self._tool = benchmark_model
        self._python, self._cores, self._keep = python, check_cores(cores), keep
        self._limit = check_positive_int("limit_seconds", limit_seconds)
        self.kept_folder = ""

    def run(self, files, plan, *, progress=None):  # noqa: D102 - as in Target
        done = []
        with (
            SSHShell(self._address, self._config) as shell,
            private_folder(shell, keep=self._keep, done=done) as folder,
        ):
            self.kept_folder = folder if self._keep else ""
            pin = pin_command(shell, self._cores)
            for number, file in enumerate(files):
                shell.push(file.content, f"{folder}/{number}.tflite")
            options = {"seconds": self._limit, "progress": progress}
            if self._tool:
                done += run_tool(shell, folder, files, plan, command=[*pin, self._tool], **options)
            else:
                options |= {"command": [*pin, self._python], "keep": self._keep}
                done += run_python(shell, folder, files, plan, **options)
        return done

    @property
    def classifies(self):  # noqa: D102 - as in Target
        return self._tool is None

    def classify(self, file, samples, *, threads=1, on_loaded, progress=None):  # noqa: D102 - as in Target
        if self._tool:
            return super().classify(file, samples, on_loaded=on_loaded)
        with SSHShell(self._address, self._config) as shell, private_folder(shell, keep=self._keep) as folder:
            self.kept_folder = folder if self._keep else ""
            shell.push(file.content, f"{folder}/0.tflite")
            command = [*pin_command(shell, self._cores), self._python]
            options = {"threads": threads, "keep": self._keep, "seconds": self._limit}
            options |= {"on_loaded": on_loaded, "progress": progress}
            return run_classifier(shell, folder, file, samples, command=command, **options)

    def __str__(self):
        return str(self._address)
