"""compare_methods: every run of the settings, one line of a file each, then the table and the page."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping

from rich.console import Console

from tf_wgsef.errors import InputError
from tf_wgsef.output_files import check_new_file, check_new_folder, new_file
from tf_wgsef.report import (
    MethodRow,
    method_rows,
    render_methods_html,
    render_methods_markdown,
    render_methods_png,
)
from tf_wgsef.validation import check_positive_int, is_finite_number
from tf_wgsef.workflows._environment import describe_environment
from tf_wgsef.workflows.compare._finished import finished_runs
from tf_wgsef.workflows.compare._methods import METHODS
from tf_wgsef.workflows.compare._run import Run
from tf_wgsef.workflows.compare._run_all import MODELS, UNFINISHED, Keep, run_all
from tf_wgsef.workflows.compare._run_state import Deadline
from tf_wgsef.workflows.compare._settings import Settings, read_settings

RUNS_FILE = "runs.jsonl"
_PAGES = ("compare.html", "compare.md", "compare.png")
_COMPARED = ("method", "level", "shape", "strength", "seed")
"""What runs of one comparison may differ in."""


@dataclasses.dataclass(frozen=True)
class MethodsComparison:
    """What a comparison found.

    Attributes:
        runs: a dict per run: its settings and figures.
        missing: number of runs that the settings ask for and that are not there.
        failed: number of those that were tried and have no result.
    """

    runs: list[dict]
    missing: int = 0
    failed: int = 0

    @property
    def rows(self) -> list[MethodRow]:
        """Means and deviations over the seeds, a row per method and level."""
        return method_rows(self.runs, {name: method.label for name, method in METHODS.items()})

    @property
    def title(self) -> str:
        """What was compared."""
        return f"Methods compared: {', '.join(dict.fromkeys(run['recipe'] for run in self.runs)) or 'none'}"

    @property
    def settings(self) -> dict[str, str]:
        """What the runs were made with, {name: all values}."""
        names = ["data", *(field.name for field in dataclasses.fields(Run))]
        values = {name: dict.fromkeys(run[name] for run in self.runs) for name in names}
        return {
            name: ", ".join("–" if one is None else str(one) for one in some) for name, some in values.items()
        }

    def save(self, folder: str | os.PathLike, facts: Mapping[str, object] | None = None) -> None:
        """Writes compare.html, compare.md and compare.png into ``folder``.

        Args:
            folder: an existing folder.
            facts: what the page says of how it was made, besides the settings.
        """
        facts = {**(facts or {}), **self.settings}
        contents = {
            "compare.html": render_methods_html(self.rows, title=self.title, facts=facts).encode(),
            "compare.md": render_methods_markdown(self.rows, title=self.title, facts=facts).encode(),
            "compare.png": render_methods_png(self.rows),
        }
        for name, content in contents.items():
            with new_file(pathlib.Path(folder) / name, overwrite=True) as path:
                path.write_bytes(content)


def compare_methods(
    settings: Settings | Mapping | None = None,
    *,
    output: str | os.PathLike = "tf_wgsef_compare",
    report_only: bool = False,
    minutes: float | None = None,
    save_every: int = 10,
    console: Console | None = None,
) -> MethodsComparison:
    """Trains a network with every method, level and seed, with equal epochs, and compares what comes out.

    Each run is added to ``runs.jsonl`` in the folder as soon as it is done: a comparison that was stopped
    goes on where it stopped, and settings may grow (more seeds, methods, levels) without running
    anything twice. A run that fails (weights that are no longer finite, nothing left to strip) is warned
    of, leaves no line, and is tried again by the next call; one whose file cannot be made or measured is
    done, without those figures. Several processes may work in one folder: each
    makes runs that no other one makes.

    Args:
        settings: what to compare; a mapping has the keys of ``Settings``. LeNet-5 on small digits if None;
            with ``report_only`` all runs that are there, if they may be compared.
        output: folder for the runs, the table, the picture and the page; may hold earlier runs.
        report_only: train nothing: the table of the runs that are there.
        minutes: stop after so many, between two epochs; the same call goes on there.
        save_every: after so many epochs the state of a run is kept in the folder ``unfinished``, so that a
            killed one goes on there too.
        console: a ``rich`` console for the progress bar; standard error if None.

    Returns:
        The comparison, with all runs that the settings ask for.

    Raises:
        InputError: for settings or ``minutes`` that are not as expected, data that are not there, runs there
            on other data, or, with ``report_only``, if there is no such run.

    Example:
        Two methods at two levels, 15 runs of LeNet-5 on small digits::

            levels = {"methods": ["wgsef", "magnitude"], "levels": [0.75, 0.9]}
            for row in compare_methods(levels, output="runs").rows:
                print(row.method, row.level, row.figures["accuracy"].mean)
    """
    if minutes is not None and not (is_finite_number(minutes) and minutes > 0):
        raise InputError(f"Expected `minutes` to be a number above 0. Received: minutes={minutes!r}.")
    keep = Keep(check_positive_int("save_every", save_every), Deadline(minutes))
    folder = pathlib.Path(output)
    file = folder / RUNS_FILE
    if report_only and settings is None:
        todo = list(finished_runs(file))
    else:
        settings = settings if isinstance(settings, Settings) else read_settings(settings or {})
        todo = settings.runs()
    if report_only:
        _check_some(todo, file)
    file = _file_of_runs(folder)
    done = finished_runs(file)
    missing = [] if report_only else [run for run in todo if run not in done]
    failed = 0
    if missing:
        _check_places(folder, settings)
        failed = run_all(missing, settings, file, keep, console or Console(stderr=True))
        done = finished_runs(file)
    found = [done[run] for run in todo if run in done]
    _check_alike(found, file)
    comparison = MethodsComparison(found, len(todo) - len(found), failed)
    if found:
        comparison.save(folder, describe_environment(f"tf-wgsef compare, into {folder.name}"))
    return comparison


def _check_some(todo: list[Run], file: pathlib.Path) -> None:
    """Raises InputError if none of the runs is there: an empty table would replace a good one."""
    done = finished_runs(file)
    if not any(run in done for run in todo):
        there = MethodsComparison(list(done.values())).settings
        held = "; ".join(f"{name} {there[name]}" for name in ("recipe", "method", "level", "epochs", "seed"))
        raise InputError(
            f"Expected runs of these settings in {str(file)!r}. Received: "
            f"{f'runs with {held}' if done else 'none'}. Leave out the settings to see all that are there."
        )


def _check_alike(rows: list[dict], file: pathlib.Path) -> None:
    """Raises InputError for runs that are not to be compared: a mean over them would be of nothing."""
    names = ["data", *(field.name for field in dataclasses.fields(Run) if field.name not in _COMPARED)]
    held = {name: list(dict.fromkeys(row[name] for row in rows)) for name in names}
    # The unit is that of levels: a shape counts groups whatever it is.
    held["unit"] = list(dict.fromkeys(row["unit"] for row in rows if row["shape"] is None))
    differs = "; ".join(f"{name} {', '.join(map(str, some))}" for name, some in held.items() if len(some) > 1)
    if differs:
        raise InputError(
            f"Expected runs that differ in method, level, shape, strength and seed only. Received: "
            f"{str(file)!r} with {differs}. Pass the settings that you want to see, or another output folder "
            f"for other runs."
        )


def _file_of_runs(folder: pathlib.Path) -> pathlib.Path:
    """Makes the folder; raises InputError before hours of training if what is to be written cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise InputError(
            f"Expected `output` to be a folder, or a path where one can be made. Received: {str(folder)!r} "
            f"({getattr(error, 'strerror', None) or error}). Pass another one."
        ) from error
    for name in (RUNS_FILE, *_PAGES):
        check_new_file(folder / name, overwrite=True)
    return folder / RUNS_FILE


def _check_places(folder: pathlib.Path, settings: Settings) -> None:
    """Raises InputError before any training if what a run leaves could not be written after it."""
    file = folder / RUNS_FILE
    if file.exists() and not os.access(file, os.W_OK):
        raise InputError(
            f"Expected a file of runs that may be written to. Received: {str(file)!r}. Change its "
            f"permissions, or pass another `output`."
        )
    for name in (UNFINISHED, MODELS) if settings.models else (UNFINISHED,):
        check_new_folder(folder / name, overwrite=True)
