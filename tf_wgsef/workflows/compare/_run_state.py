"""Where an unfinished run stands: kept in a folder between epochs, so that a stopped one goes on."""

import dataclasses
import hashlib
import json
import pathlib
import shutil
import time
import warnings
from collections.abc import Callable

import keras
import numpy as np
from absl import logging

from tf_wgsef.output_files import new_file
from tf_wgsef.terminal_text import first_line
from tf_wgsef.validation import is_finite_number
from tf_wgsef.workflows.compare._run import Run

_NOTE = "state.json"


class OutOfTime(Exception):  # noqa: N818 (no error: the run goes on another time)
    """The time is over; where the run stands is kept."""


class UnusableState(Exception):  # noqa: N818
    """What was kept cannot be read; the run begins anew."""


class Deadline:
    """A moment at which to stop.

    Args:
        minutes: from now; None for never.
    """

    def __init__(self, minutes: float | None = None):
        self._end = None if minutes is None else time.monotonic() + 60 * minutes

    def leaves(self, seconds: float) -> bool:
        """Whether so many seconds are left."""
        return self._end is None or time.monotonic() + seconds < self._end


def state_name(run: Run, data: str) -> str:
    """Returns the name of what is kept of a run on the data of this name; another run's is another."""
    return hashlib.sha256(json.dumps(_settings(run, data), sort_keys=True).encode()).hexdigest()[:16]


class RunState:
    """Where a run stands.

    The weights, the optimizer's state and the state of a ``ProximalModel`` are in a file of their own for
    each epoch, written before the note that names it takes its place in one step: a kill at any time leaves
    a note whose files are whole. After the cut the file holds the stripped network too.

    Args:
        folder: of all unfinished runs; None to keep nothing.
        run: the run.
        data: name of the data.
        every: number of epochs after which the state is kept.
        deadline: when to stop.

    Attributes:
        epoch: number of epochs done.
        found: figures found so far, {name: number}.
        deadline: when to stop.
    """

    def __init__(
        self,
        folder: pathlib.Path | None,
        run: Run,
        data: str,
        *,
        every: int = 10,
        deadline: Deadline | None = None,
    ):
        self._of = _settings(run, data)
        self._folder = None if folder is None else folder / state_name(run, data)
        self._run, self._every, self.deadline = run, every, deadline or Deadline()
        self._start = self._epoch_start = time.monotonic()
        self._before = 0.0
        self.epoch, self.found, self._file, self._seeds = 0, {}, None, []
        self._read()

    @property
    def seconds(self) -> float:
        """How long it took so far, the part before a stop included."""
        return self._before + time.monotonic() - self._start

    @property
    def is_cut(self) -> bool:
        """Whether the cut is behind it."""
        return self._file is not None and self._file.suffix == ".keras"

    def begin_epoch(self) -> None:
        """Notes the time."""
        self._epoch_start = time.monotonic()

    def end_epoch(self, model, done: int) -> None:
        """Keeps the state if it is time to.

        Args:
            model: the compiled model.
            done: number of epochs done.

        Raises:
            OutOfTime: if another epoch like this one would end too late.
        """
        over = not self.deadline.leaves(time.monotonic() - self._epoch_start)
        if over or done % self._every == 0:
            self.keep(model, done)
        if over:
            raise OutOfTime

    def keep(self, model, done: int) -> None:
        """Keeps the state of a model after so many epochs."""
        self.epoch = done
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        cut = done >= self._run.first
        file = self._folder / (f"{done}.keras" if cut else f"{done}.weights.h5")
        with new_file(file, overwrite=True) as path:
            model.save(path) if cut else model.save_weights(path)
        seeds = [keras.ops.convert_to_numpy(seed).tolist() for seed in _seeds(model)]
        note = {"of": self._of, "epoch": done, "file": file.name, "seeds": seeds}
        note |= {"found": self.found, "seconds": self.seconds}
        with new_file(self._folder / _NOTE, overwrite=True) as path:
            path.write_text(json.dumps(note), encoding="utf-8")
        self._file, self._seeds = file, seeds
        for other in self._folder.iterdir():
            if other.name not in (_NOTE, file.name) and other.suffix in (".h5", ".keras"):
                other.unlink()

    def restore(self, model) -> None:
        """Loads what was kept into a compiled model.

        Raises:
            UnusableState: if the file is damaged, or another model's.
        """
        model.optimizer.build(model.trainable_variables)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            self._reading(lambda: model.load_weights(self._file))
        if any("Skipping variable loading" in str(one.message) for one in said):  # an error, to us
            raise UnusableState(f"{self._file.name}: another optimizer's")
        self._reading(lambda: self._restore_seeds(_seeds(model)))

    def _restore_seeds(self, seeds: list) -> None:
        values = [np.asarray(value, dtype="int64") for value in self._seeds]
        if [value.shape for value in values] != [tuple(seed.shape) for seed in seeds]:
            raise ValueError("the random state of other layers")
        for seed, value in zip(seeds, values, strict=True):
            seed.assign(value)

    def load_cut(self) -> keras.Model:
        """Returns the stripped network.

        Raises:
            UnusableState: if the file is damaged.
        """
        model = self._reading(lambda: keras.models.load_model(self._file, compile=False, safe_mode=True))
        self._reading(lambda: self._restore_seeds(_seeds(model)))
        return model

    def clear(self) -> None:
        """Forgets it all."""
        if self._folder is not None and self._folder.is_dir():
            shutil.rmtree(self._folder, ignore_errors=True)
        self.epoch, self.found, self._file, self._seeds = 0, {}, None, []

    def _reading(self, read: Callable):
        try:
            return read()
        except Exception as error:  # whatever a damaged file makes of zipfile, h5py and Keras
            reason = first_line(error, 200)
            raise UnusableState(f"{self._file.name}: {reason}") from error

    def _read(self) -> None:
        note = None if self._folder is None else self._folder / _NOTE
        if note is None or not note.is_file():
            return
        try:
            kept = json.loads(note.read_text("utf-8"))
            self._take(kept)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            self.epoch, self.found, self._file, self._seeds = 0, {}, None, []
            logging.warning("%s is damaged (%s): the run begins anew.", note, error)

    def _take(self, kept: dict) -> None:
        epoch, name = kept["epoch"], kept["file"]
        ending = "keras" if isinstance(epoch, int) and epoch >= self._run.first else "weights.h5"
        numbers = [kept["seconds"], *kept["found"].values()]
        file = self._folder / f"{epoch}.{ending}"
        right = type(epoch) is int and 0 < epoch < self._run.epochs and name == file.name and file.is_file()
        if kept["of"] != self._of or not right:
            raise ValueError("it is another run's, or its file is missing")
        if not all(one is None or is_finite_number(one) for one in numbers):
            raise ValueError("a figure is no number")
        self.epoch, self._file, self._before = epoch, file, float(kept["seconds"])
        self.found, self._seeds = dict(kept["found"]), list(kept["seeds"])


def _settings(run: Run, data: str) -> dict:
    return {**dataclasses.asdict(run), "data": data}


def _seeds(model) -> list:
    """The random state of dropout, which Keras leaves out of its files."""
    weights = set(map(id, model.weights))
    others = (variable for variable in model.variables if id(variable) not in weights)
    return [variable for variable in others if "int" in str(variable.dtype) and tuple(variable.shape) == (2,)]
