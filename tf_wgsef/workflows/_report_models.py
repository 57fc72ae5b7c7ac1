"""Two models into one report: convert both, measure the files in turns, put every figure in one place."""

import dataclasses

import keras
import numpy as np

from tf_wgsef.convert import accuracy as file_accuracy
from tf_wgsef.convert import convert
from tf_wgsef.graph import profile
from tf_wgsef.measure import LatencyComparison, measure_interleaved
from tf_wgsef.report import Comparison, LayerRow, Report, Variant, explain_latency
from tf_wgsef.workflows._device import DeviceFacts, probe_device
from tf_wgsef.workflows._environment import describe_environment
from tf_wgsef.workflows._progress import WorkflowProgress

BEFORE, AFTER, AFTER_INT8 = "dense float", "stripped float", "stripped int8"


@dataclasses.dataclass(frozen=True)
class TestData:
    """Labelled data that accuracies are taken on.

    Attributes:
        x: inputs, shape (n, ...).
        y: labels, shape (n,).
        name: what reports call it.
    """

    x: np.ndarray
    y: np.ndarray
    name: str


def convert_models(
    before: keras.Model, after: keras.Model, *, calibration=None, step=None
) -> dict[str, bytes]:
    """Converts both models to float files, and the second to int8 if there are calibration data.

    Args:
        before: the dense model.
        after: the smaller one.
        calibration: inputs, as ``convert`` takes them.
        step: called with the share done.
    """
    step = step or (lambda share: None)
    files = {BEFORE: convert(before, calibration=calibration)}
    step(0.4)
    files[AFTER] = convert(after, calibration=calibration)
    step(0.7)
    if calibration is not None:
        files[AFTER_INT8] = convert(after, quantization="int8", calibration=calibration)
    return files


def report_models(
    before: keras.Model,
    after: keras.Model,
    files: dict[str, bytes],
    *,
    title: str,
    command: str,
    test: TestData | None = None,
    device: DeviceFacts | None = None,
    reasons: dict[str, str] | None = None,
    threads: int = 1,
    progress=None,
    **more,
) -> Report:
    """Measures the files in turns and returns the report.

    Args:
        before: the dense model.
        after: the smaller one.
        files: the files of ``convert_models``.
        title: of the report.
        command: how it was made.
        test: labelled data, for the accuracy of each file on the runtime.
        device: what explains a latency on this device.
        reasons: {layer name: why channels of it stayed}.
        threads: threads of the runtime.
        progress: called with the share of the measurement done.
        **more: further fields of ``Report``.
    """
    stats = measure_interleaved(files, threads=threads, progress=progress)
    costs = {BEFORE: profile(before), AFTER: profile(after)}
    variants = tuple(
        Variant(
            name=name,
            parameters=costs.get(name, costs[AFTER]).parameters,
            macs=costs.get(name, costs[AFTER]).macs,
            file_bytes=len(file),
            latency=stats[name].to_dict(),
            accuracy=file_accuracy(file, test.x, test.y) if test else None,
            accuracy_on=test.name if test else "",
        )
        for name, file in files.items()
    )
    comparisons = tuple(_compare(stats, BEFORE, name) for name in files if name != BEFORE)
    rows = _layer_rows(costs[BEFORE], costs[AFTER], reasons or {})
    return Report(
        title=title,
        variants=variants,
        layers=rows,
        comparisons=comparisons,
        explanation=explain_latency(
            rows,
            before_us=stats[BEFORE].p50,
            after_us=stats[AFTER].p50,
            comparison=comparisons[0],
            fixed_cost_us=device.fixed_cost_us if device else None,
            channel_step=device.channel_step if device else None,
        ),
        environment=describe_environment(command),
        **more,
    )


def compare_two_models(
    before: keras.Model, after: keras.Model, *, calibration=None, console=None, **options
) -> Report:
    """Converts and measures two models under a progress bar, and returns the report.

    Args:
        before: the dense model.
        after: the smaller one.
        calibration: inputs, as ``convert`` takes them; with them there is an int8 file too.
        console: a ``rich`` console for the bar; standard error if None.
        **options: those of ``report_models``.
    """
    with WorkflowProgress({"Convert": 5, "Measure": 8}, console=console) as progress:
        progress.begin("Convert")
        files = convert_models(before, after, calibration=calibration, step=progress.advance)
        progress.begin("Measure")
        device = probe_device(threads=options.get("threads", 1))
        progress.advance(0.3)
        return report_models(
            before,
            after,
            files,
            device=device,
            progress=lambda share: progress.advance(0.3 + 0.7 * share),
            **options,
        )


def _compare(stats: dict, before: str, after: str) -> Comparison:
    result = LatencyComparison.from_stats(stats[before], stats[after])
    return Comparison(
        a=before,
        b=after,
        ratio=result.ratio,
        low=result.low,
        high=result.high,
        confidence=result.confidence,
        claims_difference=result.differs,
        note=f"files measured in turns, in one run{result.caveat}",
    )


def _layer_rows(before, after, reasons: dict[str, str]) -> tuple[LayerRow, ...]:
    """Layers that have weights, before and after; a layer that is gone has zeros."""
    found = {layer.name: layer for layer in after.layers}
    rows = []
    for layer in before.layers:
        if not layer.parameters:
            continue
        small = found.get(layer.name)
        rows.append(
            LayerRow(
                name=layer.name,
                kind=layer.kind,
                channels_before=layer.channels,
                channels_after=small.channels if small else 0,
                parameters_before=layer.parameters,
                parameters_after=small.parameters if small else 0,
                macs_before=layer.macs,
                macs_after=small.macs if small else 0,
                note=reasons.get(layer.name, ""),
            )
        )
    return tuple(rows)
