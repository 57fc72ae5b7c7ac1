"""The rule of a layer nobody has taught: everything it touches stays."""

import numpy as np

from tf_wgsef.rules._call import Call
from tf_wgsef.rules._rule import LIVE, LayerRule
from tf_wgsef.rules._ties import Ties


class BarrierRule(LayerRule):
    """Pins all channels that go in and come out.

    Args:
        reason: why the layer is a barrier, for the reports.
    """

    def __init__(self, reason: str):
        self.reason = reason

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        for ids in inputs:
            ties.pin(ids, f"feeds {call.describe()}: {self.reason}")
        outputs = [ties.fresh(_channels(shape)) for shape in call.output_shapes]
        for ids in outputs:
            ties.pin(ids, f"comes from {call.describe()}: {self.reason}")
        return outputs

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [np.full(_channels(shape), LIVE) for shape in call.output_shapes]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        return [np.ones(_channels(shape), bool) for shape in call.input_shapes]

    def foldable(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [np.zeros(len(value), bool) for value in values]


class SourceRule(BarrierRule):
    """The model's input: all its channels stay."""

    def __init__(self):
        super().__init__("")

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        outputs = [ties.fresh(_channels(shape)) for shape in call.output_shapes]
        for ids in outputs:
            ties.pin(ids, "the model's input")
        return outputs


def _channels(shape) -> int:
    """The size of the last axis; 1 for a scalar or an unknown size, whose channels all stay."""
    return (shape[-1] or 1) if shape else 1
