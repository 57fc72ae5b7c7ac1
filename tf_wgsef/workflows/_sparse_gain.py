"""What weights stored sparse gain on a device: measured, against the same file stored dense."""

import dataclasses

from tf_wgsef.convert import TFLiteFile
from tf_wgsef.measure import LatencyComparison

_WORTH = 0.01


@dataclasses.dataclass(frozen=True)
class SparseGain:
    """A file with weights stored sparse against the same model stored dense; both took turns.

    Attributes:
        bytes: of the sparse file.
        dense_bytes: of the dense one.
        stored: names of the layers stored sparse.
        layers: names of the layers that sparse kernels would take, on processors that have them.
        latency: dense against sparse; None if it was not measured.
    """

    bytes: int
    dense_bytes: int
    stored: tuple[str, ...]
    layers: tuple[str, ...]
    latency: LatencyComparison | None = None

    @classmethod
    def of(cls, dense: TFLiteFile, sparse: TFLiteFile, latency: LatencyComparison | None) -> "SparseGain":
        """Returns the gain of ``sparse`` over ``dense``."""
        layers = sparse.record.sparse_layers
        stored, taken = (one for one in layers if one.stored), (one for one in layers if one.obstacle is None)
        names = (tuple(one.name.partition(";")[0] for one in some) for some in (stored, taken))
        return cls(len(sparse), len(dense), *names, latency)

    @property
    def verdict(self) -> str:
        """What may be said of the speed: "faster", "slower", "no gain", "unclear" or "not measured".

        No gain is what the interval does not show, and what is below one percent: rounds can be so even that
        they show less than that. It is unclear where the machine slowed down too far meanwhile.
        """
        if self.latency is None:
            return "not measured"
        if self.latency.throttled:
            return "unclear"
        if not self.latency.differs or abs(self.latency.ratio - 1) < _WORTH:
            return "no gain"
        return "faster" if self.latency.ratio > 1 else "slower"

    def to_dict(self) -> dict:
        """Returns the values as JSON types."""
        values = dataclasses.asdict(dataclasses.replace(self, latency=None))
        return values | {
            "verdict": self.verdict,
            "latency": None if self.latency is None else self.latency.to_dict(),
        }

    def __str__(self) -> str:
        count = f"{len(self.stored)} layers stored sparse" if self.stored else "no layer stored sparse"
        size = f"{count}: {self.bytes:,} bytes, {self.dense_bytes:,} dense"
        taken = f"layers that sparse kernels would take: {', '.join(self.layers) or 'none'}"
        if self.latency is None:
            return f"{size}; {taken}; speed not measured"
        found = self.latency
        figures = f"{found.ratio:.3f} ({found.low:.3f} to {found.high:.3f}, {100 * found.confidence:.4g} %)"
        where = f"on {found.b.target} ({found.b.machine.cpu})"
        return f"{size}; {taken}; dense / sparse latency {where}: {figures}, {self._word()}{found.caveat}"

    def _word(self) -> str:
        return {
            "faster": "faster",
            "slower": "slower, not faster",
            "no gain": "no gain in speed",
            "unclear": "no gain can be claimed, measure again",
        }[self.verdict]
