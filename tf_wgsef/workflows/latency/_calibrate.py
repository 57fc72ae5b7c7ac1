"""A table set right where it will be used: at the network that a budget leaves."""

import dataclasses
from collections.abc import Callable

from tf_wgsef.graph import check_keras_model, copy_model
from tf_wgsef.groups import LatencyTable
from tf_wgsef.measure import Target, measure_interleaved
from tf_wgsef.strip import strip
from tf_wgsef.training import sparsify
from tf_wgsef.validation import check_positive_int
from tf_wgsef.workflows._device import file_of_any_weights
from tf_wgsef.workflows.latency._device_times import undisturbed


def calibrate_latency_table(
    model,
    table: LatencyTable,
    microseconds: float,
    *,
    times: int = 2,
    target: str | Target = "local",
    threads: int = 1,
    quantization: str = "none",
    seconds: float = 0.5,
    progress: Callable[[float, str], None] | None = None,
    **options,
) -> LatencyTable:
    """Returns the table scaled so that it is right for the network that a latency budget leaves.

    A table is fitted to shapes all over the model, and may be some percent off in any one place. How many
    channels a budget leaves hardly depends on the weights, so the network is known before the training:
    it is cut out of a copy with new weights and measured, and the whole table is scaled by what was
    measured over what was predicted; then again with the new table.

    Args:
        model: the model of the table; it is not changed.
        table: its latencies.
        microseconds: the budget.
        times: how often it is cut, measured and scaled.
        target: where to measure, as the table was.
        threads: threads of the runtime.
        quantization: of the files.
        seconds: how long each file is run.
        progress: called with the share done, in [0, 1], and what is being done.
        **options: of ``sparsify`` that change what stays: ``scope``, ``skip``, ``round_to``, ``floor``.

    Raises:
        InputError: if the table is of another model, or the budget cannot be met.

    Example:
        ``table = calibrate_latency_table(model, table, half)``, and then
        ``sparsify(model, budget={"latency": (half, table)})``.
    """
    check_positive_int("times", times)
    tell = progress or (lambda share, what: None)
    for number in range(times):
        tell(number / times, "the network that the budget leaves")
        copy = copy_model(check_keras_model(model))
        sparse = sparsify(copy, budget={"latency": (microseconds, table)}, **options)
        sparse.freeze()
        small = strip(sparse).model
        stats = measure_interleaved(
            {"small": file_of_any_weights(small, quantization)},
            target=target, threads=threads, min_seconds=seconds, rounds=10,
        )  # fmt: skip
        factor = undisturbed(stats["small"]) / table.predict(small)
        rows = {
            name: dataclasses.replace(row, microseconds=row.microseconds * factor)
            for name, row in table.layers.items()
        }
        table = dataclasses.replace(table, layers=rows, overhead=table.overhead * factor)
    return table
