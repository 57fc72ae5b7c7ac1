"""The options of all commands that measure: how devices are reached and used."""

import argparse
from collections.abc import Sequence

_HEEDED = {
    "ssh_config": (("ssh",), "Leave it out"),
    "python": (("ssh",), "On this machine, run tf-wgsef in the environment of that Python"),
    "benchmark_model": (("ssh", "adb"), "Leave it out"),
    "keep": (("ssh", "adb"), "Nothing is copied elsewhere"),
}
"""By which kinds of targets an option is heeded, and what to do without one."""

_KINDS = {("ssh",): "a board (ssh://...)", ("ssh", "adb"): "a board or a phone"}


def add_device_options(parser) -> None:
    """Adds the options of ``open_target``."""
    device = parser.add_argument_group("devices")
    device.add_argument(
        "--cores",
        type=_cores,
        help="the cores to run on: big, or their numbers, as in 4,5,6,7; beside boards and phones it is for "
        "them, and this machine uses all",
    )
    device.add_argument("--ssh-config", help="a configuration file for ssh, instead of ~/.ssh/config")
    device.add_argument("--python", help="the Python on a board: a name, or a path there (python3)")
    device.add_argument(
        "--benchmark-model",
        help="the native tool: for a phone a file here, which is copied there; for a board its path there, "
        "instead of Python; beside a phone it is for the phone",
    )


def check_device_options(names: Sequence[str], arguments) -> None:
    """Checks that each option finds a target that heeds it; one of several is enough.

    Args:
        names: of all targets of the command.
        arguments: the parsed command line.

    Raises:
        InputError: if an option would have no effect.
    """
    from tf_wgsef.errors import InputError

    kinds = {name.partition(":")[0] for name in names}
    if kinds - {"local", "ssh", "adb"}:
        return  # the name itself is refused when it is opened
    for option, (by, instead) in _HEEDED.items():
        given = getattr(arguments, option, None) not in (None, False)
        if given and not kinds & set(by):
            word = "--" + option.replace("_", "-")
            received = f"--target {names[0]} alone" if len(set(names)) == 1 else "none such"
            raise InputError(
                f"Expected {word} with {_KINDS[by]} as --target. Received: {received}, which takes no "
                f"{word}. {instead}."
            )
    if arguments.python and arguments.benchmark_model and "adb" not in kinds:
        raise InputError(
            "Expected --python or --benchmark-model for a board. Received: both. The native tool measures "
            "without Python: leave one out."
        )


def open_target(name: str, arguments):
    """Returns the target of this name with the options that were given.

    Args:
        name: "local", "ssh://user@host:port" or "adb:serial".
        arguments: the parsed command line.

    Raises:
        InputError: if the name or an option is not what was expected.
    """
    from tf_wgsef.measure import resolve_target

    asked = getattr(arguments, "target", None) or ["local"]
    asked = [asked] if isinstance(asked, str) else asked
    if name == "local" and set(asked) != {"local"}:
        return resolve_target(name)
    names = ("cores", "keep", "ssh_config", "python", "benchmark_model")
    given = {option: getattr(arguments, option, None) for option in names}
    if name.startswith("ssh") and any(one.partition(":")[0] == "adb" for one in asked):
        given["benchmark_model"] = None  # it is the phone's; the board has Python
    return resolve_target(name, **{option: value for option, value in given.items() if value is not None})


def _cores(text):
    if text == "big":
        return text
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected big, or numbers of cores such as 4,5,6,7; received {text[:80]!r}"
        ) from None
