"""The options of all commands that measure: how devices are reached and used."""

import argparse
from collections.abc import Sequence

_FOR_BOARDS = {
    "cores": "Put `taskset --cpu-list 0,1` before the command",
    "python": "Run tf-wgsef in the environment of that Python",
    "benchmark_model": "Leave it out",
}


def add_device_options(parser) -> None:
    """Adds the options of ``open_target``."""
    device = parser.add_argument_group("devices")
    device.add_argument(
        "--cores",
        type=_cores,
        help="of a board or a phone: big, or the numbers of the cores to run on, as in 4,5,6,7",
    )
    device.add_argument("--ssh-config", help="a configuration file for ssh, instead of ~/.ssh/config")
    device.add_argument("--python", help="the Python on a board: a name, or a path there (python3)")
    device.add_argument(
        "--benchmark-model",
        help="the native tool: for a phone a file here, which is copied there; for a board its path there, "
        "instead of Python",
    )


def check_device_options(names: Sequence[str], arguments) -> None:
    """Checks that the options for boards and phones find one; of several targets this machine ignores them.

    Args:
        names: of all targets of the command.
        arguments: the parsed command line.

    Raises:
        InputError: if an option is given that this machine cannot heed, and nothing else is measured on.
    """
    from tf_wgsef.errors import InputError

    if set(names) != {"local"}:
        return
    for option, instead in _FOR_BOARDS.items():
        if getattr(arguments, option) is not None:
            word = "--" + option.replace("_", "-")
            raise InputError(
                f"Expected {word} with a board or a phone as --target. Received: --target local alone, which "
                f"takes no {word}. {instead}."
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

    names = ("cores", "keep", "ssh_config", "python", "benchmark_model")
    given = {option: getattr(arguments, option, None) for option in names}
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
