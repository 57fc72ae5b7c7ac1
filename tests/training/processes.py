"""Functions in processes of their own: backend, devices and cluster are chosen before Keras loads."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[2]

CODE = """
import importlib, json, sys
module, name, arguments, hidden = json.loads(sys.argv[1])
sys.modules.update(dict.fromkeys(hidden))  # None: importing it fails, as if it were not installed
getattr(importlib.import_module(module), name)(*arguments)
"""


class ProcessFailed(AssertionError):
    """A process ended with an error, or did not end in time; the message says what each one wrote last.

    Attributes:
        codes: the exit codes, None of one that was still running.
    """

    def __init__(self, message, codes):
        super().__init__(message)
        self.codes = codes


def run_alone(function, *arguments, hidden=(), timeout=600, **environment) -> None:
    """Runs ``function(*arguments)`` in a new process with these environment variables.

    Args:
        function: of a module that can be imported.
        arguments: what JSON can hold.
        hidden: packages that are not to be found there.
        timeout: in seconds.
        environment: over that of this process.
    """
    run_together([(function, *arguments)], hidden=hidden, timeout=timeout, **environment)


def run_together(calls, *, hidden=(), timeout=600, **environment) -> None:
    """Runs each (function, *arguments) in a process of its own, all at once; ends all when one fails."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", **environment}
    processes = []
    with contextlib.ExitStack() as stack:
        for function, *arguments in calls:
            what = json.dumps([function.__module__, function.__name__, arguments, hidden])
            log = stack.enter_context(tempfile.TemporaryFile("w+"))
            command = [sys.executable, "-c", CODE, what]
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            stack.callback(_end, process)
            processes.append((process, what, log))
        codes = _wait([process for process, _, _ in processes], timeout)
        if all(code == 0 for code in codes):
            return
        message = f"exit codes {codes} (None: was still running) within {timeout} s"
        for process, what, log in processes:
            _end(process)
            log.seek(0)
            message += f"\n--- {what}\n{log.read()[-4000:]}"
        raise ProcessFailed(message, codes)


def _end(process) -> None:
    process.kill()
    process.wait()


def _wait(processes, timeout):
    """Returns the exit codes when all have ended, one has failed, or time is up."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        codes = [process.poll() for process in processes]
        if None not in codes or any(codes):
            return codes
        time.sleep(0.1)
    return [process.poll() for process in processes]


@contextlib.contextmanager
def reserved_port():
    """A port of the loopback device that nobody else gets, while servers with SO_REUSEPORT (gRPC) can."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
