"""Measure one file, or several that take turns."""

import os
from collections.abc import Callable, Mapping

from tf_wgsef.errors import InputError

from ._model_file import read_model_file
from ._plan import SamplingPlan
from ._resolve import resolve_target
from ._stats import LatencyStats
from ._targets import Target


def measure(
    tflite: bytes | str | os.PathLike,
    *,
    target: str | Target = "local",
    preset: str = "normal",
    threads: int = SamplingPlan.threads,
    min_runs: int | None = None,
    min_seconds: float | None = None,
    warmup_seconds: float | None = None,
    rounds: int | None = None,
    seed: int = SamplingPlan.seed,
    operators: bool = False,
    name: str | None = None,
    progress: Callable[[float], None] | None = None,
) -> LatencyStats:
    """Returns the latency of one ``.tflite`` file, in microseconds.

    Runs until both ``min_runs`` and ``min_seconds`` are reached; warming up counts for neither.
    To set two files against each other use ``compare_latency``: figures of two calls are not taken
    at the same time and may differ by several percent on a busy machine.

    Args:
        tflite: the bytes of the file, or its path.
        target: where to run it; "local" is this machine, "ssh://user@host" a board,
            or a ``Target``.
        preset: "quick", "normal" or "mlperf", as in ``SamplingPlan.from_preset``; what is passed below
            replaces the preset's setting, None keeps it.
        threads: threads that the runtime may use.
        min_runs: the least number of timed runs.
        min_seconds: seconds that the timing loop takes at least.
        warmup_seconds: seconds of untimed runs at the start.
        rounds: how often the file is loaded afresh; the runs are spread over these rounds.
        seed: seed of the random inputs (floats N(0, 1), quantized integers over their full range).
        operators: whether to ask for times per operator (``LatencyStats.operators``), after the rounds, from
            runs of their own: by LiteRT's profiler where Python runs, else by the native tool.
        name: what reports call the file; its file name by default.
        progress: called with the share done, in [0, 1].

    Raises:
        InputError: if an argument or the file is not what was expected.
        MeasurementError: if the file cannot be run.

    Example:
        ``print(tf_wgsef.measure("model.tflite", threads=1).p50)``
    """
    file = read_model_file(tflite, name=name)
    stats = measure_interleaved(
        {file.name: file.content},
        target=target,
        preset=preset,
        threads=threads,
        min_runs=min_runs,
        min_seconds=min_seconds,
        warmup_seconds=warmup_seconds,
        rounds=rounds,
        seed=seed,
        operators=operators,
        progress=progress,
    )
    return stats[file.name]


def measure_interleaved(
    files: Mapping[str, bytes | str | os.PathLike],
    *,
    target: str | Target = "local",
    preset: str = "normal",
    threads: int = SamplingPlan.threads,
    min_runs: int | None = None,
    min_seconds: float | None = None,
    warmup_seconds: float | None = None,
    rounds: int | None = None,
    seed: int = SamplingPlan.seed,
    operators: bool = False,
    progress: Callable[[float], None] | None = None,
) -> dict[str, LatencyStats]:
    """Returns the latency of several files that take turns in short rounds, in microseconds.

    Any two of the results can be compared with ``LatencyComparison.from_stats``.

    Args:
        files: the bytes or path of each file under the name that reports show.
        target: where to run them, as in ``measure``.
        preset: "quick", "normal" or "mlperf", as in ``SamplingPlan.from_preset``; what is passed below
            replaces the preset's setting, None keeps it.
        threads: threads that the runtime may use.
        min_runs: the least number of timed runs of each file.
        min_seconds: seconds that each file's timing loop takes at least.
        warmup_seconds: seconds of untimed runs of each file at the start.
        rounds: how often the files take turns, each loaded afresh.
        seed: seed of the random inputs.
        operators: whether to ask for times per operator (``LatencyStats.operators``), after the rounds, from
            runs of their own: by LiteRT's profiler where Python runs, else by the native tool.
        progress: called with the share done, in [0, 1].

    Raises:
        InputError: if an argument or a file is not what was expected.
        MeasurementError: if a file cannot be run.

    Example:
        ``stats = measure_interleaved({"dense": "dense.tflite", "small": small_bytes})``
    """
    if not isinstance(files, Mapping) or not files:
        raise InputError(
            f"Expected `files` as a dict of at least one file by name. Received: files of type "
            f'{type(files).__name__}. Pass {{"dense": "dense.tflite", "small": small_bytes}}.'
        )
    plan = SamplingPlan.from_preset(
        preset,
        threads=threads,
        min_runs=min_runs,
        min_seconds=min_seconds,
        warmup_seconds=warmup_seconds,
        rounds=rounds,
        seed=seed,
        operators=operators,
    )
    device = resolve_target(target)
    checked = [read_model_file(tflite, name=name) for name, tflite in files.items()]
    return dict(zip(files, device.run(checked, plan, progress=progress), strict=True))
