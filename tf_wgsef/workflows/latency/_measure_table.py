"""Measures a latency table: every layer alone, in several sizes, and the whole model in a few shapes."""

import dataclasses
from collections.abc import Callable

import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.graph import build_channel_graph
from tf_wgsef.groups import LatencyTable, LayerLatency, describe_layer, multiplies
from tf_wgsef.measure import Target
from tf_wgsef.workflows.latency._cache import LatencyCache
from tf_wgsef.workflows.latency._counts import input_counts, output_counts, staircase
from tf_wgsef.workflows.latency._device_times import DeviceTimes
from tf_wgsef.workflows.latency._layers import MeasuredLayer, measured_layers
from tf_wgsef.workflows.latency._strippings import random_stripping

_ANCHORS = 6
"""Stripped shapes of the whole model that the sum of its layers is fitted to, beside the dense one."""

_FIRST_SEED = 1000

Progress = Callable[[float, str], None]


def measure_latency_table(
    model,
    *,
    target: str | Target = "local",
    threads: int = 1,
    quantization: str = "none",
    seconds: float = 0.2,
    cache: LatencyCache | None = None,
    progress: Progress | None = None,
) -> LatencyTable:
    """Measures what the layers of a model cost on a device, by the channels that they keep.

    Each layer is converted alone with several numbers of input and output channels. Runtimes compute output
    channels in steps (16 on x86 with AVX-512, 8 on many ARM cores): the step is measured, and sizes
    are chosen at its ends. The time of an almost empty file is taken off each. What the parts do not account
    for (calls, reshapes, caches) is fitted to the whole model in seven shapes:
    whole = overhead + scale · sum of the layers. This form is ours; no source confirms it.

    Args:
        model: a Keras model with inputs of fixed size; it is not changed, and its weights do not matter.
        target: where to measure, as in ``tf_wgsef.measure``.
        threads: threads of the runtime.
        quantization: of the files: ``"none"``, ``"float16"``, ``"dynamic"``, or ``"int8"``, which random
            inputs calibrate.
        seconds: how long each file is run.
        cache: times of earlier measurements; None takes the user's cache folder.
        progress: called with the share done, in [0, 1], and what is being done.

    Returns:
        the table, in microseconds, with ``channel_step`` for ``round_to``.

    Raises:
        InputError: if the model has no layer that can be measured, or open sizes.
        MeasurementError: if the device cannot run a file.

    Example:
        ``sparsify(model, budget={"latency": (0.5 * table.predict(model), table)})``
    """
    graph = build_channel_graph(model)
    layers = measured_layers(graph)
    if not layers:
        raise InputError(
            f"Expected a model with layers that can be measured alone (convolutions, Dense, …). Received: "
            f"{graph.model.name!r}, which has none."
        )
    tell = progress or (lambda share, what: None)
    device = DeviceTimes(target, threads, quantization, seconds, cache or LatencyCache(), tell)
    step = device.channel_step
    sizes = {name: _sizes(layer, step) for name, layer in layers.items()}
    times = device.of_layers([(layer, size) for name, layer in layers.items() for size in sizes[name]])
    rows = {name: _row(layer, sizes[name], times, step, device.fixed) for name, layer in layers.items()}
    shapes = [graph.model, *(random_stripping(graph.model, _FIRST_SEED + seed) for seed in range(_ANCHORS))]
    pairs = zip(graph.calls, graph.rules, strict=True)
    others = tuple(dict.fromkeys(c.name for c, rule in pairs if c.name not in rows and multiplies(c, rule)))
    plain = LatencyTable(device.words, rows, 0.0, step, others)
    sums = [plain.predict(shape) for shape in shapes]
    overhead, scale = fit(sums, device.of_models(shapes))
    scaled = {
        name: dataclasses.replace(row, microseconds=row.microseconds * scale) for name, row in rows.items()
    }
    return dataclasses.replace(plain, layers=scaled, overhead=overhead)


def fit(sums, measured) -> tuple[float, float]:
    """Returns (overhead, scale): measured ≈ overhead + scale · sums, least squares of the relative error.

    Neither is negative; where the fit wants that, the other one is fitted alone.

    Args:
        sums: predicted sums of the layers, microseconds.
        measured: of the whole models, microseconds.

    Example:
        >>> overhead, scale = fit([10.0, 20.0, 40.0], [14.0, 25.0, 47.0])
        >>> round(overhead, 6), round(scale, 6)
        (3.0, 1.1)
    """
    sums, measured = np.asarray(sums, np.float64), np.asarray(measured, np.float64)
    relative = np.stack([1 / measured, sums / measured], axis=1)
    (overhead, scale), *_ = np.linalg.lstsq(relative, np.ones(len(measured)), rcond=None)
    if overhead < 0:
        share = relative[:, 1]
        return 0.0, float(share.sum() / (share @ share))
    if scale < 0:
        return float(measured.min()), 0.0
    return float(overhead), float(scale)


def _sizes(layer: MeasuredLayer, step: int | None) -> list[tuple[int, int]]:
    """The (inputs, outputs) to measure."""
    if layer.tied:
        return [(count, count) for count in output_counts(layer.outputs, step)]
    inputs = (layer.inputs,) if layer.fixed else input_counts(layer.inputs)
    return [(one, other) for one in inputs for other in output_counts(layer.outputs, step)]


def _row(layer: MeasuredLayer, sizes, times: dict[str, float], step, fixed: float) -> LayerLatency:
    own = [max(times[layer.key(*size)] - fixed, 0.0) for size in sizes]
    outputs = tuple(dict.fromkeys(size[1] for size in sizes))
    # A tied layer has one number of channels: a single row, whatever the inputs are said to be.
    inputs = (layer.inputs,) if layer.tied else tuple(dict.fromkeys(size[0] for size in sizes))
    numbers, filled = staircase(outputs, np.reshape(own, (len(inputs), len(outputs))), step)
    return LayerLatency(inputs, numbers, filled, describe_layer(layer.call))
