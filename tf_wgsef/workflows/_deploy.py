"""One call from a trained sparse model to proven files: strip, quantize, convert, check, report."""

import os
from collections.abc import Iterator, Mapping, Sequence

from tf_wgsef.convert import TFLiteFile, convert
from tf_wgsef.convert.aware import check_training, convert_aware
from tf_wgsef.errors import InputError, MeasurementError
from tf_wgsef.graph import check_keras_model, profile
from tf_wgsef.measure import LatencyComparison, Target, measure_interleaved, resolve_target
from tf_wgsef.output_files import check_new_folder
from tf_wgsef.strip import StripResult, strip
from tf_wgsef.workflows._deployment import Deployment
from tf_wgsef.workflows._deployment_files import write_deployment
from tf_wgsef.workflows._progress import WorkflowProgress
from tf_wgsef.workflows._sparse_gain import SparseGain

_SPARSE = ("none", "float", "float16")
_STEPS = {"Strip": 1, "Convert": 4, "Measure": 4, "Write": 1}


def deploy(
    model,
    *,
    calibration=None,
    test=None,
    quantization: str | Sequence[str | Mapping] | Mapping | None = None,
    output: str | os.PathLike | None = None,
    round_to: int = 1,
    io: str | None = None,
    sparse: bool = False,
    metadata: Mapping | None = None,
    with_c_array: bool = False,
    latency: bool = True,
    target: str | Target = "local",
    train=None,
    epochs: int = 3,
    force: bool = False,
    overwrite: bool = False,
    console=None,
) -> Deployment:
    """Strips a model, converts and checks it in each mode, measures the files, and writes them all.

    Nothing is written before every file has passed its check, and no file is ever half written.

    Args:
        model: a trained ``ProximalModel`` or any functional or Sequential Keras model. It is only read.
        calibration: real inputs, as ``convert`` takes them. A stream that can be read once only does for one
            calibrated mode.
        test: labelled data ``(x, y)``, arrays, for agreement and accuracy of each file.
        quantization: a mode or several, as ``convert`` takes them, or "aware": int8 after training on with
            its rounding, on ``train``. By default "none", and "int8" if there is calibration.
        output: a folder, new or empty, for the stripped model, the files and ``deploy.json``.
        round_to: as ``strip``: keep a multiple of so many filters or units.
        io: type of the inputs and outputs of calibrated files, as ``convert`` takes it.
        sparse: whether to store weights of float files that are mostly zero as such. What that gains is
            measured against the same file stored dense.
        metadata: JSON values for the files, such as labels; what strip removed is added as "sparsity".
        with_c_array: whether to write a C header beside each file.
        latency: whether to measure.
        target: where to measure, as ``tf_wgsef.measure`` takes it: "local" is this machine.
        train: training data for "aware": ``(x, y)``, or a data set of batches ``(x, y)``, as
            ``train_quantized`` takes them.
        epochs: how often they are read.
        force: whether to go on with a file that fails its check, see ``convert``.
        overwrite: whether files in ``output`` may be replaced; those of an earlier ``deploy`` that this one
            does not make are removed.
        console: a ``rich`` console for the progress bar; standard error if None.

    Raises:
        InputError: if an argument is not what is expected.
        StripError: if the smaller model would compute something else.
        ConversionError: if a file cannot be made, or computes something else.

    Example:
        >>> done = deploy(model, calibration=x_train, output="deployed", latency=False)
        >>> sorted(done.files), sorted(done.written)
        (['int8', 'none'], ['int8', 'keras', 'none', 'report'])
    """
    modes = _modes(quantization, calibration)
    _check_train(modes, train)
    target = resolve_target(target)
    if output is not None:
        check_new_folder(output, overwrite=overwrite)
    with WorkflowProgress(_STEPS, console=console) as progress:
        progress.begin("Strip")
        result = strip(model, round_to=round_to)
        sparsity = _sparsity(check_keras_model(model), result)
        options = {"metadata": _notes(metadata, sparsity), "test": test}
        own = {
            "aware": {"train": train, "epochs": epochs, "io": io},
            "others": {"calibration": calibration, "force": force, "io": io, "sparse": sparse},
        }
        progress.begin("Convert")
        files = _convert(result.model, modes, options, own, progress)
        progress.begin("Measure")
        dense = _dense(result.model, files, calibration) if sparse else {}
        stats, problem = _measure(files, dense, target, progress) if latency else ({}, None)
        gains = {name: _gain(name, file, files[name], stats) for name, file in dense.items()}
        done = Deployment(result, files, sparsity, stats, {}, gains, problem)
        progress.begin("Write")
        if output is None:
            return done
        return write_deployment(done, output, with_c_array=with_c_array, overwrite=overwrite)


def _convert(model, modes: Mapping, options: Mapping, own: Mapping, progress) -> dict[str, TFLiteFile]:
    """Returns the file of each mode; ``own`` holds the options of those that are trained, and of others."""
    files = dict.fromkeys(modes)
    # Training comes last: it may take hours, and is lost if another file is refused.
    for count, name in enumerate(sorted(modes, key=lambda name: name == "aware")):
        mode = modes[name]
        progress.advance(count / len(modes), name)
        if mode == "aware":

            def advance(now, count=count):
                progress.advance((count + now.share) / len(modes), f"aware: {now.stage}")

            files[name] = convert_aware(model, progress=advance, **own["aware"], **options)
            continue
        choice = dict(own["others"])
        if _is_calibrated(mode):
            choice["sparse"] = False
        else:
            choice |= {"io": None, "sparse": choice["sparse"] and mode in _SPARSE}
            if isinstance(choice["calibration"], Iterator) and any(map(_is_calibrated, modes.values())):
                choice["calibration"] = None  # it can be read once, and is for the mode that must
        files[name] = convert(model, quantization=mode, **choice, **options)
    return files


def _is_calibrated(mode) -> bool:
    return isinstance(mode, Mapping) or mode in ("int8", "int16x8")


def _dense(model, files: Mapping, calibration) -> dict[str, TFLiteFile]:
    """Returns those files that are stored sparse once more, dense."""
    inputs = None if isinstance(calibration, Iterator) else calibration
    names = (name for name in files if name in _SPARSE)
    return {name: convert(model, quantization=name, calibration=inputs, force=True) for name in names}


def _measure(files: Mapping, dense: Mapping, target, progress):
    """Returns the latencies, and why there are none: the files, trained perhaps, are worth keeping then."""
    named = {**files, **{f"{name}, dense": file for name, file in dense.items()}}
    try:
        return measure_interleaved(named, target=target, progress=progress.advance), None
    except (InputError, MeasurementError) as error:  # whatever the device makes of our own files
        return {}, str(error)


def _gain(name: str, dense: TFLiteFile, sparse: TFLiteFile, stats: Mapping) -> SparseGain:
    both = LatencyComparison.from_stats(stats[f"{name}, dense"], stats[name]) if stats else None
    return SparseGain.of(dense, sparse, both)


def _check_train(modes: Mapping, train) -> None:
    if "aware" in modes:
        check_training(train)
    elif train is not None:
        raise InputError(
            "Expected `train` with the quantization 'aware' only. Received: it without. Pass "
            "quantization=['none', 'aware']."
        )


def _modes(quantization, calibration) -> dict:
    """Returns the modes under the names that their files get."""
    if quantization is None:
        quantization = ["none"] if calibration is None else ["none", "int8"]
    one = isinstance(quantization, str | Mapping)
    if not one and not isinstance(quantization, Sequence):
        raise InputError(
            f"Expected `quantization` as a mode or a list of several. Received: {quantization!r:.200}."
        )
    found = {}
    for mode in [quantization] if one else list(quantization):
        mode = "none" if mode == "float" else mode  # two words for one
        name = "mixed" if isinstance(mode, Mapping) else str(mode)
        if name in found:
            raise InputError(f"Expected each quantization once. Received: {name!r} twice.")
        found[name] = mode
    if not found:
        raise InputError("Expected at least one quantization. Received: none.")
    return found


def _notes(metadata, sparsity: Mapping):
    """Returns what goes into the files; what is no dict is left to ``convert``, which says so."""
    return {"sparsity": sparsity, **(metadata or {})} if isinstance(metadata, Mapping | None) else metadata


def _sparsity(model, result: StripResult) -> dict[str, float]:
    before, after = profile(model), profile(result.model)
    channels = sum(layer.before for layer in result.layers)
    gone = {
        "channels": (sum(result.removed.values()), channels),
        "parameters": (before.parameters - after.parameters, before.parameters),
        "macs": (before.macs - after.macs, before.macs),
    }
    return {name: round(part / whole, 6) if whole else 0.0 for name, (part, whole) in gone.items()}
