"""The runs that are missing, one after another, each added to the file when it is done."""

import dataclasses
import functools
import hashlib
import json
import pathlib
from collections.abc import Callable

import keras
from absl import logging
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from tf_wgsef.errors import InputError, WGSEFError
from tf_wgsef.output_files import new_file, new_folder
from tf_wgsef.report import shape_label
from tf_wgsef.workflows.compare._claim import TakenElsewhere, claimed
from tf_wgsef.workflows.compare._execute import execute
from tf_wgsef.workflows.compare._finished import finished_runs
from tf_wgsef.workflows.compare._methods import METHODS
from tf_wgsef.workflows.compare._results_file import append
from tf_wgsef.workflows.compare._run import Run
from tf_wgsef.workflows.compare._run_state import Deadline, OutOfTime, RunState, state_name
from tf_wgsef.workflows.compare._settings import Settings
from tf_wgsef.workflows.data import ImageData

MODELS = "models"
"""The folder, beside the file of the runs, for the networks that they leave."""

UNFINISHED = "unfinished"
"""The folder, beside the file of the runs, for the states of those that were stopped."""


@dataclasses.dataclass(frozen=True)
class Keep:
    """When the state of a run is kept: every so many epochs, and at the deadline.

    Attributes:
        every: number of epochs.
        deadline: when to stop.
    """

    every: int
    deadline: Deadline


def run_all(runs: list[Run], settings: Settings, file: pathlib.Path, keep: Keep, console: Console) -> int:
    """Makes the runs until the deadline; one that fails is warned of and leaves no line.

    Other processes may be at it in the same folder: what one of them makes, or has made, is left to it.

    Args:
        runs: what is missing.
        settings: what they are of.
        file: of the runs.
        keep: when the state of a run is kept.
        console: for the progress bar.

    Returns:
        The number of runs that failed.

    Raises:
        InputError: before any run, for data that are not there or a method that cannot train the network.
    """
    recipe = settings.recipe_itself()
    _check_methods(runs, recipe.build)
    data = recipe.load()
    _check_data(data, settings, file)
    console.print(f"{len(runs)} runs of {runs[0].epochs} epochs to make, into {file.parent}", markup=False)
    unfinished, failed, elsewhere = file.parent / UNFINISHED, 0, 0
    with _bar(console) as bar:
        task = bar.add_task("", total=len(runs))
        for number, run in enumerate(runs):
            bar.update(task, completed=number, description=_name(run))

            def advance(share, number=number):
                bar.update(task, completed=number + min(share, 1.0))

            try:
                with claimed(unfinished, state_name(run, data.name)):
                    if run in finished_runs(file):  # another process was faster
                        continue
                    state = RunState(unfinished, run, data.name, every=keep.every, deadline=keep.deadline)
                    if number and not keep.deadline.leaves(0):
                        raise OutOfTime
                    execute_it = functools.partial(
                        execute,
                        data=data,
                        build=recipe.build,
                        latency=settings.latency,
                        advance=advance,
                        state=state,
                    )
                    failed += not _make(run, execute_it, file, models=settings.models)
                    state.clear()
            except TakenElsewhere:
                elsewhere += 1
            except OutOfTime:
                bar.stop()
                done = f"{number} of {len(runs)} runs"
                next_one = f"{_name(run)}, epoch {state.epoch} of {run.epochs}"
                console.print(
                    f"The time is over after {done}. The same command goes on at {next_one}.", markup=False
                )
                break
        else:
            bar.update(task, completed=len(runs))
    if elsewhere:
        console.print(f"Left to other processes in this folder: {elsewhere} of {len(runs)} runs.")
    return failed


def _check_data(data: ImageData, settings: Settings, file: pathlib.Path) -> None:
    """Raises InputError for too few data, none to augment, or runs of these settings there on other data."""
    name = data.first(settings.samples, settings.validation).name
    if settings.augment and data.x_train.ndim != 4:
        raise InputError(
            f"Expected images (n, height, width, channels) with augment=True. Received: {name} with x_train "
            f"of shape {data.x_train.shape}. Leave `augment` out."
        )
    done = finished_runs(file)
    others = {done[run]["data"] for run in settings.runs() if run in done} - {name}
    if others:
        raise InputError(
            f"Expected the data that the runs in {str(file)!r} were made on, {', '.join(sorted(others))}. "
            f"Received: {name}. Set TF_WGSEF_DATA as it was then, or pass another output folder."
        )


def _make(run: Run, execute_it: Callable[..., dict], file: pathlib.Path, *, models: bool) -> bool:
    """Makes a run and adds its line; warns of one that fails, and returns whether there is a result."""
    model = _model_file(run) if models else None
    keep = None if model is None else functools.partial(_save, path=file.parent / model)
    try:
        row = execute_it(run, keep=keep)
    except WGSEFError as error:  # one that diverged, or lost its last path, is no reason to stop
        logging.warning("%s has no result: %s", _name(run), error)
        return False
    append(file, {**row, "model_file": model})
    return True


def _model_file(run: Run) -> str:
    """Where the network of a run goes, from the folder on; another run has another name."""
    settings = json.dumps(dataclasses.asdict(run), sort_keys=True)
    code = hashlib.sha256(settings.encode()).hexdigest()[:8]
    return f"{MODELS}/{run.method}_{run.level:.4g}_seed{run.seed}_{code}.keras"


def _save(model: keras.Model, *, path: pathlib.Path) -> None:
    """Saves the network alone: without its optimizer any Keras loads it, and it is half as large."""
    (images,), (scores,) = model.inputs, model.outputs
    plain = keras.Model(images, scores, name=model.name)  # the same layers, not compiled
    new_folder(path.parent, overwrite=True)
    with new_file(path, overwrite=True) as new:
        plain.save(new)


def _check_methods(runs: list[Run], build) -> None:
    """Raises InputError for a method that cannot train the network to its level."""
    for method, level in dict.fromkeys((run.method, run.level) for run in runs):
        check = METHODS[method].check
        if check is not None:
            check(build(), level)


def _name(run: Run) -> str:
    level = shape_label(run.shape) or f"{run.level:g}"
    return f"{METHODS[run.method].label} {level}, seed {run.seed}"


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<44}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        speed_estimate_period=3600,
    )
