"""StripResult: the smaller model, what went, what stayed and why, and the proof."""

import dataclasses
from typing import Any

from tf_wgsef.strip._proof import Proof
from tf_wgsef.terminal_text import clean


@dataclasses.dataclass(frozen=True)
class StrippedLayer:
    """One layer before and after.

    Attributes:
        name: the layer's name.
        kind: its class.
        before: number of its output channels before.
        after: and after; 0 where the whole layer has vanished.
        window: how its kernel's window shrinks, such as ``5×5 → 3×3``; empty if it does not.
        reason: why channels stayed that could not go; empty if there is nothing to explain.
    """

    name: str
    kind: str
    before: int
    after: int
    window: str = ""
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class StripResult:
    """What ``strip`` returns.

    Attributes:
        model: the new, smaller model; the one that was passed in is unchanged.
        layers: every layer with weights, in order of execution; those of nested models and the parts of
            compound layers by their path, such as ``encoder/conv1`` or ``attention/query``.
        vanished: names of all layers that are no more: on a branch of zeros, or returning their input.
        proof: the comparison of the two models on random inputs.
    """

    model: Any
    layers: tuple[StrippedLayer, ...]
    vanished: tuple[str, ...]
    proof: Proof

    @property
    def changed(self) -> bool:
        """Whether anything went."""
        return bool(self.removed or self.vanished or any(row.window for row in self.layers))

    @property
    def removed(self) -> dict[str, int]:
        """{layer name: number of channels that went}, of the layers that lost some."""
        return {row.name: row.before - row.after for row in self.layers if row.after < row.before}

    @property
    def kept(self) -> dict[str, int]:
        """{layer name: number of channels that stayed}."""
        return {row.name: row.after for row in self.layers}

    @property
    def skipped(self) -> dict[str, str]:
        """{layer name: reason} of the layers with channels that could not go."""
        return {row.name: row.reason for row in self.layers if row.reason}

    @property
    def max_abs_diff(self) -> float:
        """Largest difference between the outputs of the two models on random inputs."""
        return self.proof.max_abs_diff

    @property
    def output_range(self) -> float:
        """Largest output minus smallest, on the same inputs."""
        return self.proof.output_range

    def report(self) -> str:
        """Returns one line per layer: ``conv1 (Conv2D): kept 5 of 20``, with the reason for what stayed."""
        lines = []
        for layer in self.layers:
            window = f", window {layer.window}" if layer.window else ""
            because = f": {layer.reason}" if layer.reason else ""
            kept = f"kept {layer.after} of {layer.before}"
            lines.append(f"{layer.name} ({layer.kind}): {kept}{window}{because}")
        if self.vanished:
            lines.append(f"vanished: {', '.join(self.vanished)}")
        lines.append(
            f"largest output difference {self.max_abs_diff:.2g} over a range of {self.output_range:.3g} "
            f"({self.proof.samples} random inputs)"
        )
        return "\n".join(map(clean, lines))
