"""The user's word for a device becomes a ``Target``."""

import inspect

from tf_wgsef.errors import InputError

from ._adb_target import AdbTarget
from ._ssh_target import SSHTarget
from ._targets import LocalTarget, Target


def resolve_target(target: str | Target, **options) -> Target:
    """Returns the target that ``target`` names.

    Args:
        target: "local", "ssh://user@host:port", "adb:serial", or a ``Target``.
        **options: arguments of the targets; each takes those that it knows.

    Raises:
        InputError: if it names nothing that can be measured on.

    Example:
        ``resolve_target("ssh://pi@board")``
    """
    if isinstance(target, Target):
        return target
    if target == "local":
        return LocalTarget(cores=options.get("cores"))
    if isinstance(target, str) and target.startswith("ssh://"):
        return _make(SSHTarget, target, options)
    if isinstance(target, str) and target.partition(":")[0] == "adb":
        return _make(AdbTarget, target, options)
    raise InputError(
        f'Expected target="local" (this machine), "ssh://user@host" (a board) or "adb" (a phone). Received: '
        f"target={target!r}."
    )


def _make(kind, target, options):
    known = inspect.signature(kind).parameters
    return kind(target, **{name: value for name, value in options.items() if name in known})
