"""Fits a network for one of the two parts of a run, from where it stood."""

import contextlib
from collections.abc import Callable

import keras
import numpy as np
from absl import logging

from tf_wgsef.training import ConvMuon
from tf_wgsef.workflows.compare._augment import Batches
from tf_wgsef.workflows.compare._feed import BeginEpoch, feed
from tf_wgsef.workflows.compare._run import Run
from tf_wgsef.workflows.compare._run_state import RunState
from tf_wgsef.workflows.data import ImageData

Advance = Callable[[float], None]


def accuracy(model, data: ImageData) -> float:
    """Returns the share of the test images whose largest output is their class."""
    outputs = model.predict(data.x_test, batch_size=500, verbose=0)
    return float(np.mean(np.argmax(outputs, axis=-1) == data.y_test))


class Trainer:
    """Fits a model: called, for the epochs before the cut.

    The optimizer, with Nesterov momentum, begins anew after the cut for every method, its learning rate
    too or not, as ``Run.restart`` says. Without XLA on CPUs, where it makes convolutions slower.

    Args:
        run: what is to be done.
        data: what is trained and tested on.
        advance: is told how much of the training is done, in [0, 1].
        state: where the run stands, and where that is kept.
        softmax: whether the network's outputs are probabilities already, not logits.
    """

    def __init__(self, run: Run, data: ImageData, advance: Advance, state: RunState, *, softmax: bool):
        self._run, self._data, self._advance, self._state, self._softmax = run, data, advance, state, softmax

    @property
    def images(self) -> np.ndarray:
        """The training images."""
        return self._data.x_train

    def note(self, name: str, value: float) -> None:
        """Adds a figure to the run's."""
        self._state.found[name] = value

    def __call__(self, model, *, optimizer: Callable | None = None, callbacks=()) -> None:
        """Fits for the epochs before the cut, and notes the accuracy at their end.

        Args:
            model: the network, or a ``ProximalModel``.
            optimizer: makes the optimizer, where it is not that of all others, of what makes the schedule of
                a learning rate: first rate → schedule.
            callbacks: of Keras, besides.
        """
        self._fit(model, 0, self._run.first, [*callbacks, _BeforeCut(self)], optimizer)

    def after_cut(self, model) -> None:
        """Fits for the rest."""
        if self._run.first < self._run.epochs:
            self._fit(model, self._run.first, self._run.epochs, [], None)

    def note_accuracy(self, model, epoch: int) -> None:
        """Notes the accuracy before the cut, if this was the last epoch before it."""
        if epoch + 1 == self._run.first:
            self.note("accuracy_before_cut", accuracy(model, self._data))

    def _fit(self, model, start: int, end: int, callbacks: list, optimizer: Callable | None) -> None:
        run, data = self._run, self._data
        done = max(self._state.epoch, start)
        batches = Batches(
            data.x_train,
            data.y_train,
            run.batch,
            seed=run.seed + 1_000_000 * start,
            augment=run.augment,
            shift=run.shift,
            border=run.border,
            epoch=done - start,
        )
        model.compile(
            (optimizer or self._optimizer)(self._cosine(start, end, len(batches))),
            keras.losses.SparseCategoricalCrossentropy(from_logits=not self._softmax),
            jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
        )
        if done > start:
            self._state.restore(model)
        own = [
            BeginEpoch(batches, start),
            _StopAfter(end),
            _Progress(run.epochs, self._advance),
            _Keep(self._state, end),
        ]
        with _fits_own_warnings_held():
            model.fit(
                feed(batches),
                initial_epoch=done,
                epochs=run.epochs,
                shuffle=False,  # Keras would shuffle the batches by Python's global state; they are already
                callbacks=[*callbacks, *own],
                verbose=0,
            )

    def _cosine(self, start: int, end: int, per_epoch: int) -> Callable:
        """Returns what makes the learning rate's schedule between two epochs, of the first rate."""
        if self._run.restart:
            return lambda rate: keras.optimizers.schedules.CosineDecay(rate, per_epoch * (end - start))
        all_steps = per_epoch * self._run.epochs
        return lambda rate: LaterPart(
            keras.optimizers.schedules.CosineDecay(rate, all_steps), per_epoch * start
        )

    def _optimizer(self, cosine: Callable) -> keras.optimizers.Optimizer:
        run = self._run
        make = ConvMuon if run.optimizer == "conv_muon" else keras.optimizers.SGD
        return make(
            cosine(run.learning_rate),
            momentum=0.9,
            nesterov=True,
            weight_decay=run.weight_decay or None,
            global_clipnorm=run.clip,
        )


@keras.saving.register_keras_serializable(package="tf_wgsef")
class LaterPart(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule from a later step on.

    Args:
        schedule: the whole.
        first: the step of it that is the first here.

    Example:
        >>> whole = keras.optimizers.schedules.CosineDecay(0.1, 100)
        >>> [round(float(LaterPart(whole, 50)(step)), 3) for step in (0, 50)]
        [0.05, 0.0]
    """

    def __init__(self, schedule: keras.optimizers.schedules.LearningRateSchedule, first: int):
        super().__init__()
        self._schedule, self._first = schedule, first

    def __call__(self, step):
        """The rate at a step."""
        return self._schedule(step + self._first)

    def get_config(self):
        """For ``from_config``; Keras copies an optimizer by it."""
        return {"schedule": keras.saving.serialize_keras_object(self._schedule), "first": self._first}

    @classmethod
    def from_config(cls, config):
        """Makes it again."""
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["first"])


@contextlib.contextmanager
def _fits_own_warnings_held():
    """``fit`` warns of a cut with no training after it, and how to go on: here the stripped network does."""
    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


class _BeforeCut(keras.callbacks.Callback):
    """Notes the accuracy before the cut."""

    def __init__(self, trainer: Trainer):
        super().__init__()
        self._trainer = trainer

    def on_epoch_end(self, epoch, logs=None):
        self._trainer.note_accuracy(getattr(self.model, "model", self.model), epoch)


class _StopAfter(keras.callbacks.Callback):
    """Ends training after so many epochs; a ProximalModel chooses its survivors there."""

    def __init__(self, epochs: int):
        super().__init__()
        self._epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch + 1 >= self._epochs


class _Keep(keras.callbacks.Callback):
    """Keeps where the run stands, between epochs of one part; what follows its last one comes at once."""

    def __init__(self, state: RunState, end: int):
        super().__init__()
        self._state, self._end = state, end

    def on_epoch_begin(self, epoch, logs=None):
        self._state.begin_epoch()

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 < self._end:
            self._state.end_epoch(self.model, epoch + 1)


class _Progress(keras.callbacks.Callback):
    def __init__(self, epochs: int, advance: Advance):
        super().__init__()
        self._epochs, self._tell, self._epoch = epochs, advance, 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        steps = self.params.get("steps") or batch + 1
        self._tell((self._epoch + (batch + 1) / steps) / self._epochs)


def is_softmax(model) -> bool:
    """Whether the outputs are probabilities already, not logits."""
    layer = model.layers[-1]
    softmax = getattr(layer, "activation", None) is keras.activations.softmax
    return softmax or isinstance(layer, keras.layers.Softmax)
