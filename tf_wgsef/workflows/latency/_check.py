"""Predicted latencies against measured ones."""

import dataclasses
from collections.abc import Callable

import numpy as np

from tf_wgsef.groups import LatencyTable
from tf_wgsef.measure import Target, measure_interleaved
from tf_wgsef.validation import check_positive_int
from tf_wgsef.workflows._device import file_of_any_weights
from tf_wgsef.workflows.latency._strippings import random_stripping


@dataclasses.dataclass(frozen=True)
class LatencyCheck:
    """Predictions of a table beside what was measured.

    Attributes:
        predicted: microseconds, one per stripped model.
        measured: the same.
    """

    predicted: tuple[float, ...]
    measured: tuple[float, ...]

    @property
    def errors(self) -> np.ndarray:
        """|predicted / measured − 1|, shape (models,)."""
        return np.abs(np.divide(self.predicted, self.measured) - 1)

    @property
    def median_error(self) -> float:
        """The median of ``errors``."""
        return float(np.median(self.errors))


def check_latency_table(
    model,
    table: LatencyTable,
    *,
    count: int = 20,
    seed: int = 0,
    target: str | Target = "local",
    threads: int = 1,
    quantization: str = "none",
    seconds: float = 0.3,
    progress: Callable[[float, str], None] | None = None,
) -> LatencyCheck:
    """Strips a model at random, predicts the latency of each result from the table, and measures it.

    Args:
        model: the model of the table; it is not changed.
        table: its latencies.
        count: number of stripped models.
        seed: of their shapes; those that the table was fitted to have others.
        target: where to measure.
        threads: threads of the runtime.
        quantization: of the files.
        seconds: how long each file is run.
        progress: called with the share done, in [0, 1], and what is being done.

    Example:
        ``check_latency_table(model, table).median_error``
    """
    check_positive_int("count", count)
    tell = progress or (lambda share, what: None)
    files, predicted = {}, []
    for number in range(count):
        tell(0.7 * number / count, f"stripped model {number + 1}/{count}")
        small = random_stripping(model, seed + number)
        predicted.append(table.predict(small))
        files[str(number)] = file_of_any_weights(small, quantization)
    tell(0.7, "measuring")
    stats = measure_interleaved(
        files, target=target, threads=threads, min_seconds=seconds, rounds=10, warmup_seconds=0.05,
        progress=lambda share: tell(0.7 + 0.3 * share, "measuring"),
    )  # fmt: skip
    return LatencyCheck(tuple(predicted), tuple(one.p50 for one in stats.values()))
