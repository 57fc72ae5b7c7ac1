"""The conversion that users call: a Keras model in, the bytes of a proven ``.tflite`` file out."""

from collections.abc import Iterator, Mapping

from tf_wgsef.errors import ConversionError, InputError
from tf_wgsef.validation import check_non_negative, check_positive_int

from ._contents import read_contents
from ._exporter import export_tflite
from ._flat import check_backend, check_finite_weights, check_stateless, flat_model
from ._flex import check_flex, unproven
from ._memory import give_back
from ._metadata import check_metadata, weights_hash, write_metadata
from ._options import Quantization, check_quantization
from ._parity import SAMPLES, Proof, prove
from ._record import ConversionRecord, TFLiteFile
from ._samples import SampleStream, collect_samples, known_length, random_samples
from ._signature import input_specs
from ._sparse import sparse_layers
from ._two_steps import silent_activations


def convert(
    model,
    *,
    quantization: str | Mapping[str, str] = "none",
    calibration=None,
    calibration_samples: int = 256,
    io: str | None = None,
    sparse: bool = False,
    batch_size: int = 1,
    test=None,
    metadata: Mapping | None = None,
    tolerance: float | None = None,
    force: bool = False,
    allow_flex: bool = False,
) -> TFLiteFile:
    """Converts a Keras model to a ``.tflite`` file and proves that the file computes the same.

    The model is only read. The batch of the file is fixed, since LiteRT plans memory and kernels
    for fixed shapes. Inputs and outputs keep their Keras names in the file's signature. Output of
    the whole process is held back meanwhile: TensorFlow's converter prints.

    Args:
        model: a Sequential or functional Keras 3 model, or a ``ProximalModel``.
        quantization: "none" (float32), "float16" (half the size, computes in float32), "dynamic"
            (int8 weights, float activations; a quarter of the size), "int8" (weights, one scale per
            channel, and activations) or "int16x8" (int8 weights, int16 activations: closer to the model,
            but slow where the runtime has no fast kernels for it). The last two need ``calibration``.
            Or a dict {pattern of layer names: "int8" or "float"} with a pattern "*", such as
            ``{"*": "int8", "head*": "float"}``: the first pattern that fits counts, "*" last. An operation
            that several layers are merged into follows whichever of them is named.
        calibration: real inputs, preprocessed as in training: an array of shape ``(n, ...)``, a
            dict of arrays by input name, a list of arrays in the order of ``model.inputs``, a tuple
            ``(x, y)``, a batched ``tf.data.Dataset``, a ``keras.utils.PyDataset`` or an iterable of
            batches. They set the ranges of activations, and in every mode they are what the file is
            checked on; without them, the check takes random inputs. They are read batch by batch.
        calibration_samples: at most this many samples are read.
        io: type of the inputs and outputs of a calibrated file: by default the integers that it computes
            with, "int8" or "int16"; or "float32" to let the file quantize them itself. Inputs that are
            integers in Keras stay what they are.
        sparse: whether to store weights that are mostly zero as such ("none" and "float16" only). The file
            is smaller; it is faster only where XNNPACK has sparse kernels, see ``sparse_layers``.
        batch_size: the batch of the file.
        test: labelled data ``(x, y)``, arrays: what the file is compared on, and its accuracy taken.
        metadata: JSON values to store in the file, such as ``{"labels": [...], "normalization": {"mean": 0,
            "std": 255}, "sparsity": 0.75}``. The quantization and the hash of the model's weights are added.
        tolerance: the largest difference to accept, as a share of the output range; by default
            1e-3 for "none" and 5e-2 for "float16". For the others only gross failure is refused by
            default: see ``parity`` and ``accuracy`` for their figures.
        force: whether to return a file that computes something else, with the reason in its record. A file
            that gives NaN or infinity is refused in any case.
        allow_flex: whether the file may hold TensorFlow's own operators (``record.contents.flex``), for a
            runtime that has the Flex delegate. LiteRT has not, so such a file is compared with nothing, and
            returned only with ``force=True``. Not with calibration.

    Returns:
        the bytes of the file, with a ``ConversionRecord`` in ``.record``.

    Raises:
        InputError: if an argument is not what is expected.
        ConversionError: if the model cannot be converted, or the file computes something else.

    Example:
        >>> tflite = convert(model, quantization="int8", calibration=x_train, test=(x_test, y_test))
        >>> tflite[4:8], tflite.record.contents.integer_only, tflite.record.parity.samples
        (b'TFL3', True, 32)
    """
    from tf_wgsef.graph import check_keras_model  # here, since reading a file needs no Keras

    asked = check_quantization(quantization, io, sparse)
    check_flex(allow_flex, asked.calibrated, quantization)
    check_positive_int("calibration_samples", calibration_samples)
    check_positive_int("batch_size", batch_size)
    tolerance = asked.tolerance if tolerance is None else tolerance
    if tolerance != float("inf"):
        check_non_negative("tolerance", tolerance)
    notes = check_metadata(metadata)
    check_backend()
    model = check_keras_model(model)
    check_stateless(model)
    flat, specs = flat_model(model), input_specs(model)
    check_finite_weights(model)
    stream = _calibration(calibration, specs, calibration_samples, asked, quantization)
    arrays, labels = _check_data(stream, test, specs)
    quantization = quantization if isinstance(quantization, str) else dict(quantization)
    notes |= {"quantization": quantization, "source_sha256": weights_hash(model)}
    tflite = _export(flat, specs, asked, stream, batch_size, allow_flex)
    if asked.calibrated:
        _check_varies(stream)
    if asked.mode == "int8" and (silent := silent_activations(tflite)):
        _check_read_again(calibration, silent)
        stream = _calibration(calibration, specs, calibration_samples, asked, quantization)
        tflite = _export(flat, specs, asked, stream, batch_size, allow_flex, in_two_steps=True)
    give_back(flat)
    content = write_metadata(tflite, notes)
    del tflite
    contents = read_contents(content)
    if contents.flex:
        proof = unproven(contents.flex)
    else:
        mode = str(quantization)
        proof = prove(flat, specs, content, arrays, labels, quantization=mode, tolerance=tolerance)
        give_back(flat)  # the runtime's copy of the weights, before the bytes are copied into the result
    if proof.problem and not force:
        raise ConversionError(f"{proof.problem} With force=True it is returned all the same.")
    return TFLiteFile(content, _record(content, contents, quantization, asked, proof, stream))


def _export(flat, specs, asked: Quantization, stream, batch_size, allow_flex, in_two_steps=False) -> bytes:
    options = {"quantization": asked, "samples": stream, "batch_size": batch_size, "allow_flex": allow_flex}
    try:
        return export_tflite(flat, specs, **options, in_two_steps=in_two_steps)
    except OSError as error:
        raise ConversionError(
            f"Expected room for a copy of the model in the folder for temporary files. Received: "
            f"{error.strerror or error}. Free some, or set TMPDIR to another folder."
        ) from error


def _record(content: bytes, contents, quantization, asked: Quantization, proof: Proof, stream):
    return ConversionRecord(
        quantization=quantization,
        contents=contents,
        parity=proof.parity,
        accuracy=proof.accuracy,
        keras_accuracy=proof.keras_accuracy,
        sparse_layers=sparse_layers(content) if asked.sparse else (),
        problem=proof.problem,
        calibrated_on=(stream.read, stream.total) if asked.calibrated else None,
    )


def _calibration(calibration, specs, limit, asked: Quantization, quantization) -> SampleStream | None:
    if calibration is not None:
        return SampleStream(calibration, specs, limit=limit, held=SAMPLES)
    if asked.calibrated:
        raise InputError(
            f"Expected `calibration` for quantization={quantization!r}: the ranges of all activations are "
            f"read off real inputs. Received: calibration=None. Pass some hundred training inputs, "
            f"preprocessed as in training: calibration=x_train, or the training tf.data.Dataset."
        )
    return None


def _check_varies(stream: SampleStream) -> None:
    """Raises on samples of one value throughout: the proof, on the same, would see nothing wrong."""
    if all(array.size > 1 and (array == array.flat[0]).all() for array in stream.head.values()):
        value = float(next(iter(stream.head.values())).flat[0])
        raise InputError(
            f"Expected `calibration` of real inputs: they set the ranges of all activations. Received: "
            f"samples that are {value:g} throughout. Pass some hundred training inputs, preprocessed as in "
            f"training."
        )


def _check_read_again(calibration, silent: tuple[str, ...]) -> None:
    """Raises on what can be read once only, where the ranges must be read in our own way after all."""
    if isinstance(calibration, Iterator):
        raise InputError(
            f"Expected `calibration` that can be read twice, since nothing but 0 ever comes out of "
            f"{len(silent)} operations of the model, the first {silent[0].partition(';')[0]!r}. Received: a "
            f"{type(calibration).__name__}. Pass an array, a data set, or a function that makes a generator."
        )


def _check_data(stream: SampleStream | None, test, specs):
    """Returns what to compare on, arrays by input name, and their labels if there are any."""
    if test is not None:
        kinds = [type(one).__name__ for one in test] if isinstance(test, tuple) else type(test).__name__
        if not isinstance(test, tuple) or len(test) != 2 or not hasattr(test[1], "__len__"):
            raise InputError(
                f"Expected `test` as a tuple (x, y) of inputs and classes, arrays. Received: {kinds}."
            )
        count = known_length(test[0], specs, what="test")
        if count not in (None, len(test[1])):
            raise InputError(
                f"Expected `test` with one class for each of the {count} samples. Received: {len(test[1])} "
                f"classes. Pass (x_test, y_test) of one data set."
            )
        return collect_samples(test[0], specs, limit=len(test[1]), what="test"), test[1]
    return (random_samples(specs, SAMPLES) if stream is None else stream.head), None
