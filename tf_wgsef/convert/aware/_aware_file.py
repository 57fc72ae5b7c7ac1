"""A file from training in int8, proven and described as ``convert`` does with its own."""

from collections.abc import Mapping

import numpy as np

from tf_wgsef.convert._contents import read_contents
from tf_wgsef.convert._convert import _check_data
from tf_wgsef.convert._flat import flat_model
from tf_wgsef.convert._metadata import check_metadata, weights_hash, write_metadata
from tf_wgsef.convert._parity import Proof, prove
from tf_wgsef.convert._record import ConversionRecord, TFLiteFile
from tf_wgsef.convert._runtime import several_outputs, share_right
from tf_wgsef.convert._signature import input_specs
from tf_wgsef.errors import InputError
from tf_wgsef.graph import check_keras_model

from ._job import check_installed
from ._train_quantized import train_quantized


def check_training(train) -> tuple:
    """Returns training data as ``x`` and ``y``; raises unless there are some, and the extra ``qat``.

    Args:
        train: a tuple ``(x, y)``, or a data set of batches ``(x, y)``, as ``train_quantized`` takes them.

    Raises:
        InputError: if they are missing, or the extra is.
    """
    if train is None:
        raise InputError(
            "Expected training data for quantization='aware', which trains on with the rounding of int8. "
            "Received: none. Pass train=(x_train, y_train) (--train), or a tf.data.Dataset of batches (x, y)."
        )
    check_installed()
    if not isinstance(train, tuple):
        return train, None
    if len(train) != 2:
        raise InputError(f"Expected `train` as a tuple (x, y). Received: a tuple of {len(train)}.")
    return train


def convert_aware(
    model,
    train,
    *,
    test=None,
    metadata: Mapping | None = None,
    io: str | None = None,
    epochs: int = 3,
    progress=None,
) -> TFLiteFile:
    """Trains a copy of a model with int8 emulated; the file comes with a record, as that of ``convert``.

    No bound is put on the difference to the model: the training is to change what it computes.

    Args:
        model: as ``train_quantized`` takes it.
        train: as ``check_training`` takes it.
        test: labelled data ``(x, y)``, arrays: what the file is compared on, and its accuracy taken. Without
            them it is compared on some training inputs.
        metadata: as ``convert`` takes it. "source_sha256" is of the model before the training.
        io: "int8" (if None) or "float32".
        epochs: how often the training data are read.
        progress: called with an ``AwareProgress``.

    Raises:
        InputError: if an argument is not what is expected, or the extra ``qat`` is not installed.
        ConversionError: as ``train_quantized``.

    Example:
        ``convert_aware(small, (x_train, y_train), test=(x_test, y_test)).record.accuracy``
    """
    x, y = check_training(train)
    notes = check_metadata(metadata)
    model = check_keras_model(model)
    specs = input_specs(model)
    flat = flat_model(model)
    arrays, labels = (None, None) if test is None else _check_data(None, test, specs)
    if test is not None:
        _check_labels(flat, labels)
    notes |= {"quantization": "aware", "source_sha256": weights_hash(model)}
    trained = train_quantized(model, x, y, epochs=epochs, io=io or "int8", progress=progress)
    content, proof = write_metadata(trained.tflite, notes), Proof(trained.parity, None, None, None)
    if test is not None:
        proof = prove(flat, specs, content, arrays, labels, quantization="aware", tolerance=float("inf"))
    record = ConversionRecord(
        quantization="aware",
        contents=read_contents(content),
        parity=proof.parity,
        accuracy=proof.accuracy,
        keras_accuracy=proof.keras_accuracy,
        history=trained.history,
    )
    return TFLiteFile(content, record)


def _check_labels(flat, labels) -> None:
    """Raises where no accuracy could be taken in the end: a training may take hours."""
    shapes = [tuple(output.shape[1:]) for output in flat.outputs]
    if len(shapes) > 1:
        raise several_outputs()
    if None not in shapes[0]:
        share_right(np.zeros((len(labels), *shapes[0]), "float32"), labels)
