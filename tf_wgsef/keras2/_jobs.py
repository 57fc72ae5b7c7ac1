"""The jobs: quantization-aware training, weight clustering, 2:4 sparsity."""

import numpy as np

from tf_wgsef.keras2 import _bridge, _clusters, _export, _quantize, _sparse, _train
from tf_wgsef.keras2._batches import read_batch
from tf_wgsef.keras2._refusal import Refusal
from tf_wgsef.keras2._rewrite import rewrite

# Batches that the ranges of activations are measured on before training.
_RANGE_BATCHES = 8


def do_job(job: dict, folder, stream, report) -> None:
    """Does what the job says, and leaves the results in its folder.

    Args:
        job: what to do; "job" is its kind.
        folder: of the job.
        stream: batches.
        report: called with the fields of an event.

    Raises:
        Refusal: naming layers that cannot be rebuilt or quantized, before any batch is read.
    """
    import tensorflow_model_optimization  # noqa: F401  a missing one shall be said before anything is built
    import tf_keras

    tf_keras.utils.set_random_seed(job["seed"])
    weights = _load_weights(folder / "weights.npz", job["description"])
    samples = _load(folder / "samples.npz")
    report(event="stage", stage="rebuild in Keras 2")
    bridge = _bridge.build(job["description"], weights)
    inputs, expected = _numbered(samples, "x"), _numbered(samples, "y")
    report(event="bridged", difference=_bridge.check(bridge, inputs, expected))
    if job["job"] == "quantize":
        _train_quantized(job, weights, inputs, expected, folder, stream, report)
    else:
        _train_weights(job, bridge, folder, stream, report)


def _train_quantized(job, weights, inputs, expected, folder, stream, report):
    report(event="stage", stage="quantize")
    bridge = _bridge.build(*rewrite(job["description"], weights))
    _bridge.check(bridge, inputs, expected)
    _quantize.check_quantizable(bridge)
    model = _quantize.quantize(bridge)
    _train.compile_model(model, job)
    report(event="ready")
    report(event="stage", stage="measure ranges")
    first = _read_some(stream)
    batches = [batch[0] for batch in first if batch is not None]
    _quantize.measure_ranges(model, batches)
    report(event="stage", stage="train")
    _train.train(model, job, stream, report, first=first)
    _quantize.refresh_kernel_ranges(model, batches[0])
    report(event="stage", stage="convert")
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    np.savez(folder / "outputs.npz", **{f"y{i}": np.asarray(one) for i, one in enumerate(outputs)})
    _write(folder / "model.tflite", _export.export(model, job, folder))


def _train_weights(job, bridge, folder, stream, report):
    wrapping = _clusters if job["job"] == "cluster" else _sparse
    model, chosen, on_epoch_end = wrapping.wrap(bridge, job)
    if not chosen:
        raise Refusal(wrapping.WHAT, [("model", job["description"]["name"], wrapping.NONE)])
    _train.compile_model(model, job)
    begin = getattr(on_epoch_end, "begin", None)
    if begin:
        begin(model)
    report(event="ready", layers=chosen)
    report(event="stage", stage="train")
    _train.train(model, job, stream, report, on_epoch_end=on_epoch_end)
    found = wrapping.unwrap(model, bridge)
    arrays = {f"{i}.{k}": a for i, layer in enumerate(found) for k, a in enumerate(layer)}
    np.savez(folder / "trained.npz", **arrays)


def _read_some(stream):
    """The first batches, up to the end of the first epoch (None), which is kept in the list."""
    batches = []
    while len(batches) < _RANGE_BATCHES and None not in batches:
        batches.append(read_batch(stream))
    return batches


def _load(path):
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _load_weights(path, description):
    arrays = _load(path)
    counts = [entry["weights"] for entry in description["layers"]]
    return [[arrays[f"{i}.{k}"] for k in range(count)] for i, count in enumerate(counts)]


def _numbered(arrays, letter):
    return [arrays[f"{letter}{i}"] for i in range(sum(name[0] == letter for name in arrays))]


def _write(path, content: bytes):
    with path.open("xb") as file:
        file.write(content)
