"""Accuracy against the share of the groups that stay, by method: debiased WGSEF, plain WGSEF, magnitude cut.

    TF_WGSEF_DATA=… python benchmarks/accuracy_curve.py --recipe lenet5 --strength 0.1

Every method has the same epochs, optimizer and schedule, chooses its groups at the same epoch, to the same
counts in each layer, and is measured after the strip. Each run is added to the results file at once: a sweep
that was stopped goes on where it stopped. Without TF_WGSEF_DATA, a folder with mnist.npz and
cifar10_jpeg.npz, the images come from keras.datasets.

Prints the table in Markdown and draws the curve.
"""

import argparse
import dataclasses
import datetime
import itertools
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

from _curve_page import draw, table
from _curve_runs import METHODS, RECIPES, Run, execute
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from tf_wgsef.workflows.compare import append, read_rows

LEVELS = {"lenet5": (0.5, 0.75, 0.875, 0.9375, 0.97), "resnet8": (0.5, 0.625, 0.75, 0.875, 0.9375)}


def runs(arguments) -> list[Run]:
    """All runs of the sweep, level by level; ``dense`` has one level and ``plain`` one run per strength."""
    fields = {field.name for field in dataclasses.fields(Run)} - {"strength"}
    common = {name: value for name, value in vars(arguments).items() if name in fields}
    found = []
    levels = arguments.levels or LEVELS[arguments.recipe]
    for level, seed, method in itertools.product(levels, arguments.seeds, arguments.methods):
        strengths = arguments.strength if method == "plain" else [None]
        level = 0.0 if method == "dense" else level
        found += [Run(method=method, sparsity=level, seed=seed, strength=s, **common) for s in strengths]
    return list(dict.fromkeys(found))


def finished(path: pathlib.Path) -> dict[Run, dict]:
    """{run: its row} of the results file."""
    names = [field.name for field in dataclasses.fields(Run)]
    return {Run(**{name: row[name] for name in names if name in row}): row for row in read_rows(path)}


def sweep(todo: list[Run], arguments) -> None:
    """Runs what the results file lacks, and shows how far it is."""
    done = finished(arguments.results)
    missing = [run for run in todo if run not in done]
    if not missing:
        return
    data = RECIPES[arguments.recipe][1]()
    bar = Progress(
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        speed_estimate_period=3600,
    )
    with bar:
        task = bar.add_task("", total=len(missing))
        for run in missing:
            bar.update(task, description=f"{run.method} {run.sparsity:g}, seed {run.seed}")
            row = execute(run, data)
            row["date"] = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
            append(arguments.results, row)
            bar.advance(task)


def parse(argv=None):
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example: python benchmarks/accuracy_curve.py --recipe resnet8 --samples 10000 --epochs 10",
    )
    add = parser.add_argument
    add("--recipe", choices=RECIPES, required=True)
    add("--levels", type=float, nargs="+", help="shares of each layer to remove")
    add("--methods", nargs="+", choices=METHODS, default=METHODS)
    add("--seeds", type=int, nargs="+", default=(0, 1, 2))
    add("--epochs", type=int, default=12, help="in all, for every method")
    add("--samples", type=int, default=20_000, help="training images")
    add("--strength", type=float, nargs="+", default=[0.1], help="λ of plain; several: each is run")
    add("--validation", type=int, default=0, help="measure on so many other training images, not on the test")
    add("--ramp", type=float, default=0.5, help="share of the epochs before the choice")
    add("--learning-rate", type=float, default=0.05)
    add("--batch", type=int, default=128)
    add("--clip", type=float, help="largest norm of the gradient (default: not clipped)")
    add("--cosines", type=int, choices=(1, 2), default=2, help="2: the rate starts anew after the choice")
    add("--results", type=pathlib.Path, default="runs/accuracy_curve.jsonl")
    add("--report-only", action="store_true", help="train nothing: the table of the runs that are there")
    add("--output", type=pathlib.Path, help="the picture (PNG or SVG), none if not given")
    return parser.parse_args(argv)


def main(argv=None) -> None:
    arguments = parse(argv)
    todo = runs(arguments)
    try:
        if not arguments.report_only:
            sweep(todo, arguments)
    except FileNotFoundError as error:
        sys.exit(f"no data: {error}. Set TF_WGSEF_DATA to a folder that has it.")
    done = finished(arguments.results)
    rows = [done[run] for run in todo if run in done]
    if not rows:
        sys.exit(f"{arguments.results} has none of these runs. Leave out --report-only to make them.")
    print(table(rows))
    if arguments.output:
        draw(rows, arguments.output)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on where it stopped")
