"""strip on every model of keras.applications, as a table in docs/applications.md.

Each model runs in a process of its own, and what was found is added to the results file at once: a run that
was stopped goes on where it stopped. Without models all of them run. The page holds all models of the results
file. The exit code is 1 if a model falls short: an error, a difference above 1e-5 of the range, or a channel
left whose group is zero.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import pathlib
import platform
import shlex
import subprocess  # noqa: S404 - of this file itself
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from _applications import constructors, fails, full_row
from _applications_table import render
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from tf_wgsef.measure import Machine
from tf_wgsef.workflows.compare import append, read_rows

PACKAGES = ("tf-wgsef", "keras", "tensorflow", "ai-edge-litert", "numpy")
COMMAND = "python benchmarks/strip_applications.py"


def environment() -> dict[str, str]:
    """Machine, versions and date of a row."""
    machine = Machine.local()
    versions = [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES]
    return {
        "machine": f"{machine.cpu}, {machine.cores} cores, {machine.os}",
        "versions": ", ".join([f"Python {platform.python_version()}", *versions]),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
    }


def run_apart(
    name: str, seed: int = 0, *, file: bool = True, timeout: float | None = None, script: str = __file__
) -> dict:
    """Returns the row of one model that ``script --worker`` prints, made in a process of its own."""
    command = [sys.executable, script, name, "--worker", "--seed", str(seed)]
    command += [] if file else ["--no-file"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return {"model": name, "error": f"stopped after {timeout:g} s"} | environment()
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    row = json.loads(lines[-1]) if lines else {"model": name}
    if done.returncode < 0:
        row["error"] = f"the process was ended by signal {-done.returncode} (9: out of memory)"
        row["error"] += ", while converting" if lines else ""
    elif done.returncode or not lines:
        why = (done.stderr.strip().splitlines() or ["no message"])[-1]
        row["error"] = f"the process ended with {done.returncode}: {why}"
    return row | environment()


def read_results(path: pathlib.Path) -> dict[str, dict]:
    """{model: its last complete line} of a results file."""
    return {row["model"]: row for row in read_rows(path)}


def is_done(row: dict | None, *, file: bool) -> bool:
    return row is not None and ("error" in row or "file" in row or not file)


def run_all(names, arguments) -> None:
    """Runs what the results file lacks, and shows how far it is."""
    rows = {} if arguments.again else read_results(arguments.results)
    todo = [name for name in names if not is_done(rows.get(name), file=arguments.file)]
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<20}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task("", total=len(names), completed=len(names) - len(todo))
        for name in todo:
            bar.update(task, description=name)
            row = run_apart(name, arguments.seed, file=arguments.file, timeout=arguments.timeout)
            append(arguments.results, row)
            bar.advance(task)
            if fails(row):
                bar.console.print(f"{name}: {fails(row)}", soft_wrap=True, highlight=False, markup=False)


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
        "--output", type=pathlib.Path, default="docs/applications.md", help="default: %(default)s"
    )
    parser.add_argument(
        "--results", type=pathlib.Path, default="runs/applications.jsonl", help="default: %(default)s"
    )
    parser.add_argument("--again", action="store_true", help="run models that the results file has, too")
    parser.add_argument("--no-file", dest="file", action="store_false", help="no conversion and no latency")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds per model, default: %(default)g")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    for name in arguments.models:
        if name not in constructors():
            parser.error(
                f"Expected a model of keras.applications. Received: {name}. See keras.io/api/applications."
            )
    return arguments


def _print(row: dict) -> None:
    print(json.dumps(row), flush=True)


def main(argv=None) -> int:
    arguments = parse(argv)
    if arguments.worker:
        row = full_row(arguments.models[0], arguments.seed, file=arguments.file, note=_print)
        _print(row)
        return 0
    names = arguments.models or list(constructors())
    run_all(names, arguments)
    rows = read_results(arguments.results)
    command = shlex.join([*COMMAND.split(), *(sys.argv[1:] if argv is None else argv)])
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(render(rows, list(constructors()), command), encoding="utf-8")
    short = [name for name in names if fails(rows[name])]
    print(f"{len(names) - len(short)} of {len(names)} models hold the bar; wrote {arguments.output}")
    return 1 if short else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on where it stopped")
