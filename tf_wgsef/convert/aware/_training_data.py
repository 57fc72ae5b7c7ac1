"""What to train on, batch by batch, whatever the user has: nothing is held that the user does not hold."""

import itertools
from collections.abc import Iterator, Mapping

import numpy as np

from tf_wgsef.convert._samples import _batches, _unpack
from tf_wgsef.errors import InputError
from tf_wgsef.tflite_arrays import InputSpec, fit_array

from ._loss import LOSSES, choose_loss, fit_targets


class TrainingData:
    """Inputs and targets, epoch after epoch.

    Args:
        x: inputs, or a data set of batches ``(x, y)`` or ``(x, y, sample_weight)``.
        y: targets; None with a data set.
        specs: the inputs of the model.
        outputs: (name, shape without the batch, last activation) of each output.
        loss: as ``train_quantized`` takes it.
        batch_size: of the batches that are cut from arrays.
        epochs: how often the data will be read.
        seed: of the order of the samples in arrays.

    Attributes:
        losses: the loss of each output.
        batches: batches of an epoch; None where that is not known.
        first: the first batch: (inputs, targets, sample weights).

    Raises:
        InputError: if the data do not fit the model.
    """

    def __init__(
        self, x, y, specs: list[InputSpec], outputs, *, loss, batch_size: int, epochs: int, seed: int
    ):
        if loss is not None and loss not in LOSSES:
            names = ", ".join(map(repr, LOSSES))
            raise InputError(f"Expected `loss` to be None or one of {names}. Received: loss={loss!r}.")
        self._x, self._y, self._specs, self._outputs = x, y, specs, outputs
        self._batch_size, self._random = batch_size, np.random.default_rng(seed)
        if y is None and (isinstance(x, Mapping) or hasattr(x, "shape")):
            raise InputError(
                "Expected targets, or a data set of batches (x, y). Received: y=None with arrays. Pass `y` "
                "too."
            )
        if y is None and isinstance(x, Iterator) and epochs > 1:
            raise InputError(
                f"Expected data that can be read {epochs} times. Received: an iterator, which ends after the "
                f"first. Pass arrays, a tf.data.Dataset, a keras.utils.PyDataset or a function that returns "
                f"an iterator."
            )
        if hasattr(x, "cardinality") and int(x.cardinality()) == -1:
            raise InputError(
                "Expected data that end. Received: a data set that repeats for ever. Leave .repeat() out."
            )
        self.batches = None if y is None else -(-self._count() // batch_size)
        self._running = self._raw_epoch()
        raw = next(self._running, None)
        if raw is None:
            raise InputError("Expected training data. Received: no batch at all.")
        _check_form(raw)
        known = raw[1] if y is None else y  # all of them, where they are there
        self.losses = [
            choose_loss(loss, np.asarray(target), shape, activation)
            for target, (_, shape, activation) in zip(self._split(known), outputs, strict=True)
        ]
        self.first = self._fit(raw)
        self._running = itertools.chain([raw], self._running)

    def epoch(self) -> Iterator:
        """Yields the batches of the next epoch: (inputs, targets, sample weights), each a list of arrays."""
        running, self._running = self._running, None
        for raw in running if running is not None else self._raw_epoch():
            yield self._fit(raw)
        if hasattr(self._x, "on_epoch_end"):  # a PyDataset shuffles there
            self._x.on_epoch_end()

    def _raw_epoch(self):
        if self._y is None:
            is_data = hasattr(self._x, "__iter__") or hasattr(self._x, "__getitem__") or not callable(self._x)
            return iter(_batches(self._x if is_data else self._x(), "x"))
        return self._from_arrays()

    def _from_arrays(self):
        inputs = _unpack(self._x, self._specs, "x")
        targets = self._split(self._y)
        order = self._random.permutation(self._count())
        for start in range(0, len(order), self._batch_size):
            # In the order of memory, which a memory map reads faster; within a batch it does not matter.
            rows = np.sort(order[start : start + self._batch_size])
            yield (
                {name: array[rows] for name, array in inputs.items()},
                [np.asarray(one)[rows] for one in targets],
            )

    def _count(self) -> int:
        arrays = [*_unpack(self._x, self._specs, "x").values(), *map(np.asarray, self._split(self._y))]
        counts = {len(array) if array.ndim else 0 for array in arrays}
        if len(counts) > 1 or counts == {0}:
            raise InputError(
                f"Expected as many samples in `x` as in `y`, at least 1. Received: {sorted(counts)} samples."
            )
        return counts.pop()

    def _fit(self, raw):
        _check_form(raw)
        inputs = _unpack(raw[0], self._specs, "x")
        x = [fit_array("x", inputs[spec.name], spec) for spec in self._specs]
        targets = zip(self._split(raw[1]), self._outputs, self.losses, strict=True)
        y = [fit_targets(target, shape, loss) for target, (_, shape, _), loss in targets]
        weights = [np.asarray(one, "float32") for one in self._split(raw[2])] if len(raw) == 3 else []
        if len({len(array) for array in (*x, *y, *weights)}) > 1:
            raise InputError(
                "Expected batches with as many targets as inputs. Received: other numbers of them."
            )
        return x, y, weights

    def _split(self, y) -> list:
        """Targets as a list in the order of the outputs."""
        names = [name for name, _, _ in self._outputs]
        if isinstance(y, Mapping):
            if set(y) == set(names):
                return [y[name] for name in names]
        elif len(names) == 1:
            return [y[0] if isinstance(y, tuple | list) and len(y) == 1 and np.ndim(y[0]) else y]
        elif isinstance(y, tuple | list) and len(y) == len(names):
            return list(y)
        raise InputError(
            f"Expected `y` for the outputs {names}: a dict by name, or a list in their order. Received: "
            f"{sorted(map(str, y)) if isinstance(y, Mapping) else type(y).__name__}."
        )


def _check_form(raw) -> None:
    if not isinstance(raw, tuple | list) or len(raw) not in (2, 3):
        raise InputError(
            "Expected batches (x, y) or (x, y, sample_weight). Received: a batch of another form; "
            "targets are needed for training."
        )
