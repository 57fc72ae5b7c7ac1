"""strip on every model of keras.applications, as a table in docs/applications.md.

Each model runs in a process of its own, and what was found is added to the results file at once: a run that
was stopped goes on where it stopped. Without models all of them run. The page holds all models of the results
file. The exit code is 1 if a model falls short: an error, a difference above 1e-5 of the range, or a channel
left whose group is zero.
"""

import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from _applications import constructors, fails, full_row
from _applications_command import command_line, exit_with, finish, parsed, parser_of, run_apart, run_missing
from _applications_table import render

COMMAND = "python benchmarks/strip_applications.py"


def parse(argv):
    parser = parser_of(COMMAND, __doc__, "applications")
    parser.add_argument("--no-file", dest="file", action="store_false", help="no conversion and no latency")
    return parsed(parser, argv, constructors())


def _print(row: dict) -> None:
    print(json.dumps(row), flush=True)


def main(argv=None) -> int:
    arguments = parse(argv)
    if arguments.worker:
        row = full_row(arguments.models[0], arguments.seed, file=arguments.file, note=_print)
        _print(row)
        return 0

    def run(name):
        return run_apart(
            name, arguments.seed, file=arguments.file, timeout=arguments.timeout, script=__file__
        )

    def is_done(row):
        return "error" in row or "file" in row or not arguments.file

    names = arguments.models or list(constructors())
    rows = run_missing(names, arguments, run, is_done=is_done, remark=fails)
    page = render(rows, list(constructors()), command_line(COMMAND, argv))
    return finish(names, arguments, page, rows, fails)


if __name__ == "__main__":
    exit_with(main)
