"""The float and the int8 file of every stripped model of keras.applications: docs/applications_files.md.

Each model runs in a process of its own, the smallest first, and what was found is added to the results file
at once: a run that was stopped goes on where it stopped. No latency is measured, other work may run.

    taskset -c 1 nice -n 10 python benchmarks/deploy_applications.py

The exit code is 1 if a model falls short: an error, or a float file that is further than 1e-4 of the range
from the Keras model.
"""

import argparse
import json
import os
import pathlib
import shlex
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from _deployed import by_size, deployed_row, fails
from _deployed_table import render
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from strip_applications import read_results, run_apart

from tf_wgsef.workflows.compare import append

COMMAND = "python benchmarks/deploy_applications.py"


def run_all(names, arguments) -> None:
    """Runs what the results file lacks, and shows how far it is."""
    rows = {} if arguments.again else read_results(arguments.results)
    columns = (TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=len(names))
        for name in names:
            bar.update(task, description=name)
            if name not in rows:
                row = run_apart(name, arguments.seed, timeout=arguments.timeout, script=__file__)
                append(arguments.results, row)
                reason = fails(row) or row.get("int8_reason")
                if reason:
                    bar.console.print(f"{name}: {reason}", soft_wrap=True, highlight=False, markup=False)
            bar.advance(task)


def parse(argv):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"example: {COMMAND} MobileNetV2 ResNet50 --results runs/two.jsonl --output runs/two.md",
    )
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help="of keras.applications; all if none is given"
    )
    parser.add_argument(
        "--output", type=pathlib.Path, default="docs/applications_files.md", help="default: %(default)s"
    )
    parser.add_argument(
        "--results", type=pathlib.Path, default="runs/applications_files.jsonl", help="default: %(default)s"
    )
    parser.add_argument("--again", action="store_true", help="run models that the results file has, too")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds per model, default: %(default)g")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    for name in arguments.models:
        if name not in by_size():
            parser.error(
                f"Expected a model of keras.applications. Received: {name}. See keras.io/api/applications."
            )
    return arguments


def main(argv=None) -> int:
    arguments = parse(argv)
    if arguments.worker:
        print(json.dumps(deployed_row(arguments.models[0], arguments.seed)), flush=True)
        return 0
    names = arguments.models or by_size()
    run_all(names, arguments)
    rows = read_results(arguments.results)
    command = shlex.join([*COMMAND.split(), *(sys.argv[1:] if argv is None else argv)])
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(render(rows, sorted(by_size()), command), encoding="utf-8")
    short = [name for name in names if fails(rows[name])]
    print(f"{len(names) - len(short)} of {len(names)} models hold the bar; wrote {arguments.output}")
    return 1 if short else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on where it stopped")
