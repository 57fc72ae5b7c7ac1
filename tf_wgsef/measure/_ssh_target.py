"""A board that is reached over ssh."""

import os
from collections.abc import Sequence

from tf_wgsef.errors import InputError
from tf_wgsef.validation import check_positive_int

from ._cores import check_cores, pin_command
from ._python_runner import run_python
from ._shell import private_folder
from ._ssh_shell import SSHAddress, SSHShell, check_config
from ._targets import Target
from ._text import is_plain_word


class SSHTarget(Target):
    """A Linux board behind the OpenSSH client, with keys, agent and known hosts as you have set them up.

    Nothing is asked: a password, or a host key that is not known yet, is an error. The code that measures is
    copied to a private folder there together with the files, and removed when the measurement ends, also
    if it fails. The board needs Python 3.10 or newer with NumPy and ``ai_edge_litert`` or ``tflite_runtime``.

    Args:
        target: ``ssh://user@host:port``; user and port are optional, and the host may be an alias of your
            ssh configuration.
        ssh_config: a configuration file for ssh instead of ``~/.ssh/config``.
        python: the Python there, a name or a path, such as the one of a venv.
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
        self._python, self._cores, self._keep = python, check_cores(cores), keep
        self._limit = check_positive_int("limit_seconds", limit_seconds)
        self.kept_folder = ""

    def run(self, files, plan, *, progress=None):  # noqa: D102 - as in Target
        with SSHShell(self._address, self._config) as shell, private_folder(shell, keep=self._keep) as folder:
            self.kept_folder = folder if self._keep else ""
            pin = pin_command(shell, self._cores)
            for number, file in enumerate(files):
                shell.push(file.content, f"{folder}/{number}.tflite")
            return run_python(
                shell,
                folder,
                files,
                plan,
                command=[*pin, self._python],
                keep=self._keep,
                seconds=self._limit,
                progress=progress,
            )

    def __str__(self):
        return str(self._address)
