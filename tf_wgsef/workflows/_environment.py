"""What a figure was made with: the machine and the versions."""

import datetime
import importlib.metadata
import platform

from tf_wgsef.measure import Machine

_PACKAGES = ("tf-wgsef", "keras", "tensorflow", "ai-edge-litert", "numpy")


def describe_environment(command: str) -> dict[str, str | int | dict]:
    """Returns machine, system, versions, date and command, for the foot of a report.

    Args:
        command: how the figures were made, as a user would type it.
    """
    machine = Machine.local()
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "command": command,
        "cpu": machine.cpu,
        "cores": machine.cores,
        "os": machine.os,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
