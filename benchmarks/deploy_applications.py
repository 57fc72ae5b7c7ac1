"""The float and the int8 file of every stripped model of keras.applications: docs/applications_files.md.

Each model runs in a process of its own, the smallest first, and what was found is added to the results file
at once: a run that was stopped goes on where it stopped. No latency is measured, other work may run.

    taskset -c 1 nice -n 10 python benchmarks/deploy_applications.py

The exit code is 1 if a model falls short: an error, or a float file that is further than 1e-4 of the range
from the Keras model.
"""

import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from _applications_command import command_line, exit_with, finish, parsed, parser_of, run_apart, run_missing
from _deployed import by_size, deployed_row, fails
from _deployed_table import render

COMMAND = "python benchmarks/deploy_applications.py"


def parse(argv):
    return parsed(parser_of(COMMAND, __doc__, "applications_files"), argv, by_size())


def main(argv=None) -> int:
    arguments = parse(argv)
    if arguments.worker:
        print(json.dumps(deployed_row(arguments.models[0], arguments.seed)), flush=True)
        return 0

    def run(name):
        return run_apart(name, arguments.seed, timeout=arguments.timeout, script=__file__)

    def remark(row):
        return fails(row) or row.get("int8_reason")

    names = arguments.models or by_size()
    rows = run_missing(names, arguments, run, remark=remark)
    page = render(rows, sorted(by_size()), command_line(COMMAND, argv))
    return finish(names, arguments, page, rows, fails)


if __name__ == "__main__":
    exit_with(main)
