"""``tf-wgsef``: one command per stage; parsing and printing only.

Results go to standard output, as tables, or with ``--json`` as one JSON object (the tables then go to
standard error); progress and messages go to standard error. Exit status: 0 done, 1 failed with a
one-line reason, 2 wrong usage, 130 interrupted.
"""

import argparse
import json
import logging as python_logging
import os
import signal
import sys

from absl import app, logging
from absl.flags import argparse_flags
from rich.console import Console

import tf_wgsef
from tf_wgsef.cli import (
    _benchmark,
    _compare,
    _convert,
    _demo,
    _deploy,
    _inspect,
    _latency_table,
    _report,
    _strip,
)
from tf_wgsef.cli._partly import PartlyDoneError
from tf_wgsef.cli._stderr import native_messages_dropped
from tf_wgsef.errors import WGSEFError
from tf_wgsef.terminal_text import clean


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults where there is something to show."""

    def _get_help_string(self, action):
        return super()._get_help_string(action) if action.default else action.help


_PIPE_WIDTH = 160
_INTERRUPTED = 130  # as shells report a program that Ctrl-C ended
_COMMANDS = (_demo, _inspect, _strip, _convert, _deploy, _benchmark, _latency_table, _compare, _report)


def main() -> None:
    """Runs the command line; the entry point of ``tf-wgsef``."""
    app.run(_run_in_peace, flags_parser=parse)


def parse(argv: list[str]) -> argparse.Namespace:
    """Parses the command line.

    Args:
        argv: program name and arguments, as ``sys.argv``.

    Raises:
        SystemExit: with status 2 for wrong usage, 0 after ``--help``.
    """
    parser = argparse_flags.ArgumentParser(
        inherited_absl_flags=None,  # they would be options of every command, and make --test ambiguous
        allow_abbrev=False,
        prog="tf-wgsef",
        description="Make Keras models small and fast on edge devices: structured sparsity, exact "
        "stripping, LiteRT conversion, measured latency.",
        epilog="example: tf-wgsef demo",
    )
    parser.add_argument("--version", action="version", version=f"tf-wgsef {tf_wgsef.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for module in _COMMANDS:
        name = module.__name__.rpartition("._")[2].replace("_", "-")
        command = commands.add_parser(
            name,
            help=module.SUMMARY,
            description=module.SUMMARY,
            epilog=f"example: {module.EXAMPLE}",
            formatter_class=_HelpFormatter,
        )
        module.add_arguments(command)
        command.add_argument("--json", action="store_true", help="print one JSON object on standard output")
        command.set_defaults(run=module.run)
    return parser.parse_args(argv[1:])


def run(arguments: argparse.Namespace) -> int:
    """Runs the parsed command and returns its exit status."""
    err = Console(stderr=True)
    # Results go where a pipe can take them, unless that is where the JSON goes.
    # A pipe has no width of its own: what reads it may want whole names.
    out = err if arguments.json else Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
    try:
        values = arguments.run(arguments, out, err)
    except PartlyDoneError as error:
        if arguments.json:
            _print_json(err, error.values)
        return _fail(err, str(error))
    except WGSEFError as error:
        return _fail(err, str(error))
    except OSError as error:
        return _fail(err, f"{error.strerror or error}: {error.filename or ''}".rstrip(": "))
    except KeyboardInterrupt as error:
        return _fail(err, f"Interrupted; {str(error) or 'nothing was written'}.", status=_INTERRUPTED)
    if arguments.json:
        return _print_json(err, values)
    return 0


def _print_json(console: Console, values) -> int:
    try:
        if sys.stdout is None:
            raise OSError("it is closed")
        sys.stdout.write(json.dumps(values, allow_nan=False) + "\n")
        sys.stdout.flush()
    except OSError as error:
        # Python flushes once more when it ends, and would print a traceback then.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123
        return _fail(console, f"The JSON could not be written to standard output: {error.strerror or error}.")
    return 0


def _stop(number, frame):
    raise KeyboardInterrupt


def _run_in_peace(arguments: argparse.Namespace) -> int:
    logging.set_verbosity(logging.WARNING)
    # It warns of every model after the fifth, since each is traced; a comparison trains dozens.
    python_logging.getLogger("tensorflow").setLevel(python_logging.ERROR)
    signal.signal(signal.SIGTERM, _stop)  # temporary files go, as with Ctrl-C
    with native_messages_dropped():
        return run(arguments)


def _fail(err: Console, reason: str, status: int = 1) -> int:
    line = clean(" ".join(reason.split()))
    err.print(f"tf-wgsef: {line}", markup=False, highlight=False, soft_wrap=True)
    return status
