"""The demo: LeNet-5 on real handwritten digits, from training to a measured file, in under three minutes."""

import contextlib
import os
import pathlib

import keras

from tf_wgsef.output_files import check_new_folder, new_file, new_folder
from tf_wgsef.report import Report, save_report
from tf_wgsef.strip import strip
from tf_wgsef.training import sparsify
from tf_wgsef.workflows._device import probe_device
from tf_wgsef.workflows._progress import EpochProgress, WorkflowProgress
from tf_wgsef.workflows._report_models import (
    AFTER,
    AFTER_INT8,
    BEFORE,
    TestData,
    convert_models,
    report_models,
)
from tf_wgsef.workflows.data import ImageData, load_digits_28
from tf_wgsef.workflows.networks import lenet5

_BATCH = 32
_DENSE_EPOCHS = 12
_SPARSE_EPOCHS = 24

# Shares of the bar, in seconds on two cores.
_STEPS = {
    "Train dense": 20,
    "Train sparse": 40,
    "Strip": 1,
    "Convert": 4,
    "Measure": 10,
    "Write report": 4,
}

_FILES = {BEFORE: "dense_float.tflite", AFTER: "stripped_float.tflite", AFTER_INT8: "stripped_int8.tflite"}


def run_demo(
    output: str | os.PathLike = "tf_wgsef_demo",
    *,
    sparsity: float = 0.75,
    seed: int = 0,
    overwrite: bool = False,
    console=None,
) -> Report:
    """Trains LeNet-5 dense and sparse, strips, converts, measures, and writes everything into a folder.

    Args:
        output: the folder, new or empty.
        sparsity: share of the filters and neurons of each layer to remove.
        seed: of the weights, the data order and the split.
        overwrite: whether files in ``output`` may be replaced.
        console: a ``rich`` console for the progress bar; standard error if None.

    Returns:
        The report; the folder holds both Keras models, the ``.tflite`` files, report.json, report.html
        and report.png.

    Raises:
        InputError: if the folder is taken, or the sparsity out of range.
    """
    check_new_folder(output, overwrite=overwrite)
    sparsify(lenet5(), sparsity=sparsity)  # a wrong sparsity shows before any work is done
    folder = new_folder(output, overwrite=overwrite)
    keras.utils.set_random_seed(seed)
    data = load_digits_28(seed)
    with _saying_what_is_there(folder), WorkflowProgress(_STEPS, console=console) as progress:
        progress.begin("Train dense")
        dense_history = _train(lenet5(), data, _DENSE_EPOCHS, progress, folder, "dense.keras")
        progress.begin("Train sparse")
        sparse = sparsify(_load(folder / "dense.keras"), sparsity=sparsity)
        sparse_history = _train(sparse, data, _SPARSE_EPOCHS, progress, folder, None)
        progress.begin("Strip")
        result = strip(sparse)
        _save(result.model, folder / "stripped.keras")
        progress.begin("Convert")
        dense = _load(folder / "dense.keras")
        files = convert_models(
            dense, result.model, calibration=data.x_train, step=lambda share: progress.advance(share)
        )
        for name, file in files.items():
            with new_file(folder / _FILES[name], overwrite=True) as path:
                path.write_bytes(file)
        progress.begin("Measure")
        device = probe_device()
        report = report_models(
            dense,
            result.model,
            files,
            title="LeNet-5 on handwritten digits",
            command=f"tf-wgsef demo --sparsity {sparsity:g} --seed {seed}",
            test=TestData(data.x_test, data.y_test, data.name),
            device=device,
            reasons=result.skipped,
            progress=lambda share: progress.advance(0.3 + 0.7 * share),
            history=_join(dense_history, sparse_history),
            phases={"dense": _DENSE_EPOCHS, "WGSEF": _SPARSE_EPOCHS},
            max_abs_diff=result.max_abs_diff,
            output_range=result.output_range,
        )
        progress.begin("Write report")
        save_report(report, folder)
    return report


@contextlib.contextmanager
def _saying_what_is_there(folder: pathlib.Path):
    """An interrupt says where finished files are, unless it says so already."""
    try:
        yield
    except KeyboardInterrupt as error:
        there = f"what was finished is in {folder}" if any(folder.iterdir()) else ""
        raise KeyboardInterrupt(str(error) or there) from None


def _train(model, data: ImageData, epochs: int, progress, folder: pathlib.Path, name: str | None) -> dict:
    """Trains and saves; what an interrupted training had reached is saved too."""
    steps = epochs * -(-len(data.x_train) // _BATCH)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-3, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    plain = getattr(model, "model", model)
    try:
        history = model.fit(
            data.x_train,
            data.y_train,
            validation_data=(data.x_test, data.y_test),
            batch_size=_BATCH,
            epochs=epochs,
            callbacks=[EpochProgress(progress)],
            verbose=0,
        )
    except KeyboardInterrupt:
        _save(plain, folder / "interrupted.keras")
        raise KeyboardInterrupt(
            f"what was trained so far is saved as {folder / 'interrupted.keras'}"
        ) from None
    if name:
        _save(plain, folder / name)
    return history.history


def _save(model, path: pathlib.Path) -> None:
    with new_file(path, overwrite=True) as temporary:
        model.save(temporary)


def _load(path: pathlib.Path) -> keras.Model:
    return keras.models.load_model(path, compile=False)


def _join(dense: dict, sparse: dict) -> dict[str, list[float]]:
    """One curve through both trainings; values that only one has are NaN in the other."""
    lengths = [len(next(iter(history.values()))) for history in (dense, sparse)]
    joined = {}
    for name in (*dense, *(key for key in sparse if key not in dense)):
        parts = [
            history.get(name, [float("nan")] * length)
            for history, length in zip((dense, sparse), lengths, strict=True)
        ]
        joined[name] = [float(value) for part in parts for value in part]
    return joined
