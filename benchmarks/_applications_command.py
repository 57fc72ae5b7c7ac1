"""What commands over keras.applications share: a process for each model, a results file to go on from."""

import argparse
import datetime
import importlib.metadata
import json
import pathlib
import platform
import shlex
import subprocess  # noqa: S404 - of the command itself
import sys
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tf_wgsef.measure import Machine
from tf_wgsef.workflows.compare import append, read_rows

PACKAGES = ("tf-wgsef", "keras", "tensorflow", "ai-edge-litert", "numpy")


def parser_of(command: str, description: str, stem: str) -> argparse.ArgumentParser:
    """Returns the parser of a command whose page and results file have this stem."""
    parser = argparse.ArgumentParser(
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"example: {command} MobileNetV2 ResNet50 --results runs/two.jsonl --output runs/two.md",
    )
    add = parser.add_argument
    add("models", nargs="*", metavar="MODEL", help="of keras.applications; all if none is given")
    add("--output", type=pathlib.Path, default=f"docs/{stem}.md", help="default: %(default)s")
    add("--results", type=pathlib.Path, default=f"runs/{stem}.jsonl", help="default: %(default)s")
    add("--again", action="store_true", help="run models that the results file has, too")
    add("--seed", type=int, default=0, help="default: %(default)s")
    add("--timeout", type=float, default=1800, help="seconds per model, default: %(default)g")
    add("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser


def parsed(parser: argparse.ArgumentParser, argv, known) -> argparse.Namespace:
    """Returns the arguments; ends with one line on a model that is not known."""
    arguments = parser.parse_args(argv)
    for name in arguments.models:
        if name not in known:
            parser.error(
                f"Expected a model of keras.applications. Received: {name}. See keras.io/api/applications."
            )
    return arguments


def run_missing(
    names, arguments, run: Callable, *, remark: Callable, is_done: Callable = bool
) -> dict[str, dict]:
    """Runs what the results file lacks, shows how far it is, and returns {model: its row}.

    Args:
        names: of the models.
        arguments: as ``parsed`` returns them.
        run: name → row.
        remark: row → what is to be said of it, or nothing.
        is_done: row → whether it needs no other run; any row does if not given.
    """
    rows = {} if arguments.again else read_results(arguments.results)
    columns = (TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=len(names))
        for name in names:
            bar.update(task, description=name)
            if name not in rows or not is_done(rows[name]):
                row = run(name)
                append(arguments.results, row)
                if remark(row):
                    bar.console.print(f"{name}: {remark(row)}", soft_wrap=True, highlight=False, markup=False)
            bar.advance(task)
    return read_results(arguments.results)


def command_line(command: str, argv) -> str:
    """Returns how the program was called; ``argv`` is what was parsed, None for the program's own."""
    return shlex.join([*command.split(), *(sys.argv[1:] if argv is None else argv)])


def finish(names, arguments, page: str, rows: dict, fails: Callable) -> int:
    """Writes the page; returns the exit status.

    Args:
        names: of the models that were asked for.
        arguments: as ``parsed`` returns them.
        page: its text.
        rows: {model: its row}.
        fails: row → why it falls short, or nothing.
    """
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(page, encoding="utf-8")
    short = [name for name in names if fails(rows[name])]
    print(f"{len(names) - len(short)} of {len(names)} models hold the bar; wrote {arguments.output}")
    return 1 if short else 0


def exit_with(main: Callable[[], int]) -> None:
    """Ends the program with what ``main`` returns, and with one line if it is interrupted."""
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on where it stopped")


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
    name: str, seed: int = 0, *, file: bool = True, timeout: float | None = None, script: str
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
