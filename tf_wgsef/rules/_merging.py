"""Layers that bring several tensors together: Add and Concatenate."""

import keras
import numpy as np

from tf_wgsef.rules._call import Call
from tf_wgsef.rules._registry import register_rule
from tf_wgsef.rules._rule import LayerRule
from tf_wgsef.rules._ties import Ties


@register_rule(keras.layers.Add)
class AddRule(LayerRule):
    """Add: channel c of the sum is channel c of every input, so they stay or go together."""

    def refusal(self, call: Call) -> str | None:
        if len({shape[-1] for shape in call.input_shapes}) != 1:
            return "its inputs are broadcast against each other along the channels"
        return None

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        for other in inputs[1:]:
            ties.unite(inputs[0], other)
        return [inputs[0]]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [np.sum(values, axis=0)]


@register_rule(keras.layers.Concatenate)
class ConcatenateRule(LayerRule):
    """Concatenate along the channels: the inputs' channels one after another."""

    def refusal(self, call: Call) -> str | None:
        rank = len(call.input_shapes[0])
        if call.layer.axis not in (-1, rank - 1):
            return f"it concatenates axis {call.layer.axis}, not the channels"
        return None

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        return [np.concatenate(inputs)]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [np.concatenate(values)]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        ends = np.cumsum([shape[-1] for shape in call.input_shapes])
        return np.split(used[0], ends[:-1])
