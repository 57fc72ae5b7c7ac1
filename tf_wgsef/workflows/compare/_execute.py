"""One run of a comparison: training to the cut, strip, training on, the figures."""

import contextlib
import dataclasses
import datetime
import time
from collections.abc import Callable

import keras
import numpy as np
from absl import logging

from tf_wgsef.graph import profile
from tf_wgsef.strip import strip
from tf_wgsef.workflows.compare._augment import Batches
from tf_wgsef.workflows.compare._methods import METHODS
from tf_wgsef.workflows.compare._settings import Run
from tf_wgsef.workflows.data import ImageData

Advance = Callable[[float], None]


def execute(
    run: Run,
    data: ImageData,
    build: Callable[[], keras.Model],
    *,
    latency: bool = False,
    advance: Advance | None = None,
) -> dict:
    """Trains to the cut, strips, trains the rest, measures.

    The survivors train on as the stripped network: the same as with the others held at zero, and cheaper.

    Args:
        run: what is to be done.
        data: the recipe's data.
        build: makes the recipe's network.
        latency: whether the file is measured on this machine.
        advance: is told how much of the training is done, in [0, 1].

    Returns:
        The run's settings with ``accuracy_before_cut``, ``accuracy_after_cut``, ``accuracy`` (after
        training on), ``parameters``, ``macs``, ``file_bytes``, ``latency_us``,
        ``max_abs_diff`` of the strip, ``seconds``, ``date``.
    """
    start = time.perf_counter()
    keras.utils.set_random_seed(run.seed)
    data = data.first(run.samples, run.validation)
    trainer = _Trainer(run, data, advance or (lambda share: None))
    model = METHODS[run.method].until_cut(build(), run, trainer.until_cut)
    found = {"accuracy_before_cut": trainer.accuracy_before_cut, "max_abs_diff": None}
    if run.method not in ("dense", "narrow"):
        result = strip(model)
        model, found["max_abs_diff"] = result.model, result.max_abs_diff
    found["accuracy_after_cut"] = accuracy(model, data)
    # The same order of the data for every method, whatever was drawn before.
    keras.utils.set_random_seed(run.seed + 1_000_000)
    trainer.after_cut(model)
    found["accuracy"] = accuracy(model, data)
    costs = profile(model)
    found |= {"parameters": costs.parameters, "macs": costs.macs, **file_figures(model, latency)}
    found["seconds"] = time.perf_counter() - start
    found["date"] = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    return {**dataclasses.asdict(run), **found}


def accuracy(model, data: ImageData) -> float:
    """Returns the share of the test images whose largest output is their class."""
    outputs = model.predict(data.x_test, batch_size=500, verbose=0)
    return float(np.mean(np.argmax(outputs, axis=-1) == data.y_test))


class _Trainer:
    """Fits a model for one of the two parts of training.

    SGD with Nesterov momentum, a cosine for each part; the optimizer begins anew after the cut for every
    method. Without XLA on CPUs, where it makes convolutions slower.
    """

    def __init__(self, run: Run, data: ImageData, advance: Advance):
        self._run, self._data, self._advance = run, data, advance
        self.accuracy_before_cut = None

    def until_cut(self, model) -> None:
        """The epochs before the cut."""
        self._fit(model, 0, self._run.first, [_BeforeCut(self)])

    def after_cut(self, model) -> None:
        """The rest."""
        if self._run.first < self._run.epochs:
            self._fit(model, self._run.first, self._run.epochs, [])

    def note(self, model) -> None:
        """Notes the accuracy before the cut."""
        self.accuracy_before_cut = accuracy(model, self._data)

    def _fit(self, model, start: int, end: int, callbacks: list) -> None:
        run, data = self._run, self._data
        batches = Batches(
            data.x_train, data.y_train, run.batch, seed=run.seed + 1_000_000 * start, augment=run.augment
        )
        rate = keras.optimizers.schedules.CosineDecay(run.learning_rate, len(batches) * (end - start))
        model.compile(
            keras.optimizers.SGD(
                rate,
                momentum=0.9,
                nesterov=True,
                weight_decay=run.weight_decay or None,
                global_clipnorm=run.clip,
            ),
            keras.losses.SparseCategoricalCrossentropy(from_logits=not _is_softmax(model)),
            jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
        )
        with _fits_own_warnings_held():
            model.fit(
                batches,
                initial_epoch=start,
                epochs=run.epochs,
                callbacks=[*callbacks, _StopAfter(end), _Progress(run.epochs, self._advance)],
                verbose=0,
            )


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
    """Notes the accuracy at the end of each epoch: the last one's is that before the cut."""

    def __init__(self, trainer: _Trainer):
        super().__init__()
        self._trainer = trainer

    def on_epoch_end(self, epoch, logs=None):
        if epoch + 1 == self._trainer._run.first:
            self._trainer.note(getattr(self.model, "model", self.model))


class _StopAfter(keras.callbacks.Callback):
    """Ends training after so many epochs; a ProximalModel chooses its survivors there."""

    def __init__(self, epochs: int):
        super().__init__()
        self._epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch + 1 >= self._epochs


class _Progress(keras.callbacks.Callback):
    def __init__(self, epochs: int, advance: Advance):
        super().__init__()
        self._epochs, self._tell, self._epoch = epochs, advance, 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        steps = self.params.get("steps") or batch + 1
        self._tell((self._epoch + (batch + 1) / steps) / self._epochs)


def _is_softmax(model) -> bool:
    """Whether the outputs are probabilities already, not logits."""
    layer = getattr(model, "model", model).layers[-1]
    softmax = getattr(layer, "activation", None) is keras.activations.softmax
    return softmax or isinstance(layer, keras.layers.Softmax)


def file_figures(model, latency: bool) -> dict:
    """Returns the bytes of the converted file, and its latency: None where the backend cannot convert.

    Args:
        model: what is converted, in float.
        latency: whether it is measured on this machine.
    """
    if keras.backend.backend() != "tensorflow":
        return {"file_bytes": None, "latency_us": None}
    from tf_wgsef.convert import convert
    from tf_wgsef.measure import measure

    file = convert(model)
    return {"file_bytes": len(file), "latency_us": measure(file).p50 if latency else None}
