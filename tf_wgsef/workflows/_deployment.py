"""What a deployment holds: the strip, each file with its record, latencies; and how it is shown."""

import dataclasses

from rich import box
from rich.table import Table

from tf_wgsef.convert import TFLiteFile
from tf_wgsef.measure import LatencyStats
from tf_wgsef.strip import StripResult
from tf_wgsef.workflows._sparse_gain import SparseGain


@dataclasses.dataclass(frozen=True)
class Deployment:
    """What ``deploy`` returns.

    Attributes:
        strip: what went and what stayed.
        files: the ``.tflite`` files by quantization, each with its record.
        sparsity: shares of the channels, parameters and MACs that are gone.
        latency: of each file on the device, in microseconds; empty if it was not measured.
        written: paths of what was written, by kind; empty without ``output``.
        sparse_gains: with ``sparse=True``, what each file stored sparse gains against the same stored dense.
        not_measured: why there is no latency although it was asked for; None otherwise.
    """

    strip: StripResult
    files: dict[str, TFLiteFile]
    sparsity: dict[str, float]
    latency: dict[str, LatencyStats]
    written: dict[str, str]
    sparse_gains: dict[str, SparseGain] = dataclasses.field(default_factory=dict)
    not_measured: str | None = None

    def to_dict(self) -> dict:
        """Returns all but the files themselves as JSON types."""
        return {
            "sparsity": self.sparsity,
            "removed": self.strip.removed,
            "skipped": self.strip.skipped,
            "files": {name: file.record.to_dict() for name, file in self.files.items()},
            "latency": {name: stats.to_dict() for name, stats in self.latency.items()},
            "sparse_gains": {name: gain.to_dict() for name, gain in self.sparse_gains.items()},
            "not_measured": self.not_measured,
            "written": self.written,
        }

    def report(self) -> str:
        """Returns what was removed and the record of each file, as text."""
        records = (f"{name}\n{file.report()}" for name, file in self.files.items())
        gains = (f"{name}, {gain}" for name, gain in self.sparse_gains.items())
        latency = (str(stats) for stats in self.latency.values())
        parts = [self.strip.report(), *records, *latency, *gains]
        return "\n\n".join([*parts, f"not measured: {self.not_measured}"] if self.not_measured else parts)

    def __str__(self):
        return self.report()

    def table(self) -> Table:
        """Returns a ``rich`` table with one line per file."""
        gone = ", ".join(
            f"{share:.0%} of all {name.replace('macs', 'MACs')}" for name, share in self.sparsity.items()
        )
        table = Table(title=f"Removed: {gone}", box=box.SIMPLE_HEAD)
        table.add_column("File")
        for title in ("Bytes", "Numbers", "Largest difference", "Top-1 agreement", "Accuracy", "p50, µs"):
            table.add_column(title, justify="right")
        for name, file in self.files.items():
            record = file.record
            table.add_row(
                name,
                f"{len(file):,}",
                record.contents.computes_with,
                f"{record.parity.relative:.2g} of the range",
                _percent(record.parity.top1_agreement),
                _percent(record.accuracy),
                f"{self.latency[name].p50:,.1f}" if name in self.latency else "–",
            )
        return table


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.2%}"
