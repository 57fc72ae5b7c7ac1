"""The share of right answers of a file, computed where it will run."""

import dataclasses
import os
from collections.abc import Callable

import numpy as np

from tf_wgsef.tflite_arrays import labels_of
from tf_wgsef.validation import check_positive_int

from ._model_file import read_model_file
from ._resolve import resolve_target
from ._samples import Samples
from ._targets import Target


@dataclasses.dataclass(frozen=True)
class FileAccuracy:
    """How often a file is right on labelled samples.

    Attributes:
        name: what reports call the file.
        share: the share of samples whose highest score is at the right class.
        right: how many those are.
        samples: the number of samples.
        target: where the file ran, such as "local".
        runtime: the runtime's name and version there.
        sha256: of the file's content.
    """

    name: str
    share: float
    right: int
    samples: int
    target: str
    runtime: str
    sha256: str

    def __str__(self):
        return (
            f"{self.name}: {self.share:.2%} right ({self.right} of {self.samples} samples, {self.target}, "
            f"{self.runtime})"
        )


def measure_accuracy(
    tflite: bytes | str | os.PathLike,
    x,
    y,
    *,
    target: str | Target = "local",
    threads: int = 1,
    name: str | None = None,
    progress: Callable[[float], None] | None = None,
) -> FileAccuracy:
    """Returns the share of labelled samples that a ``.tflite`` file gets right, on the device that runs it.

    A runtime of another processor has other kernels, which round differently: what a file is worth on a
    board is known from there. The samples are sent in pieces and not written to its disk; the board
    answers with the class of the highest score. Where only ``benchmark_model`` measures (phones, boards
    without Python) nothing can be computed: this is an error.

    Args:
        tflite: the bytes of the file, or its path. Its one output is of shape ``(n, classes)``.
        x: inputs in the units of the Keras model: an array of shape ``(n, ...)``; for several inputs a
            dict of arrays by input name.
        y: classes of shape ``(n,)`` or ``(n, 1)``, or one-hot of shape ``(n, classes)``.
        target: where to run it, as in ``measure``.
        threads: threads that the runtime may use.
        name: what reports call the file; its file name by default.
        progress: called with the share done, in [0, 1].

    Raises:
        InputError: if the file, ``x`` or ``y`` do not fit each other.
        MeasurementError: if the device cannot compute, or is lost meanwhile.

    Example:
        ``print(measure_accuracy("small.tflite", x_test, y_test, target="ssh://pi@board"))``
    """
    file, samples = read_model_file(tflite, name=name), Samples(x)
    labels = []

    def on_loaded(classes):
        labels.append(labels_of(y, samples.count, classes))

    device = resolve_target(target)
    check_positive_int("threads", threads)
    answers, runtime = device.classify(file, samples, threads=threads, on_loaded=on_loaded, progress=progress)
    right = int(np.count_nonzero(answers == labels[0]))
    where = {"target": str(device), "runtime": runtime, "sha256": file.sha256}
    return FileAccuracy(file.name, right / samples.count, right, samples.count, **where)
