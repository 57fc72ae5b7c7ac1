"""Layers that bring several tensors together, channel by channel or one after another."""

import keras
import numpy as np

from tf_wgsef.rules._call import Call
from tf_wgsef.rules._registry import register_rule
from tf_wgsef.rules._rule import LayerRule
from tf_wgsef.rules._ties import Ties


class ElementwiseMergeRule(LayerRule):
    """Channel c of the output is made of channel c of every input: they stay or go together.

    Subclasses say how constants combine.
    """

    def refusal(self, call: Call) -> str | None:
        if len({shape[-1] for shape in call.input_shapes}) != 1:
            return "its inputs are broadcast against each other along the channels"
        return None

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        for other in inputs[1:]:
            ties.unite(inputs[0], other)
        return [inputs[0]]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [self.combine(np.stack(values))]

    def combine(self, values: np.ndarray) -> np.ndarray:
        """Combines constants of shape (inputs, channels), NaN where live, over the inputs."""
        raise NotImplementedError


@register_rule(keras.layers.Add)
class AddRule(ElementwiseMergeRule):
    """Add."""

    def combine(self, values: np.ndarray) -> np.ndarray:
        return values.sum(0)


@register_rule(keras.layers.Subtract)
class SubtractRule(ElementwiseMergeRule):
    """Subtract: the first input minus the second."""

    def combine(self, values: np.ndarray) -> np.ndarray:
        return values[0] - values[1]


@register_rule(keras.layers.Average)
class AverageRule(ElementwiseMergeRule):
    """Average."""

    def combine(self, values: np.ndarray) -> np.ndarray:
        return values.mean(0)


@register_rule(keras.layers.Maximum)
class MaximumRule(ElementwiseMergeRule):
    """Maximum."""

    def combine(self, values: np.ndarray) -> np.ndarray:
        return values.max(0)


@register_rule(keras.layers.Minimum)
class MinimumRule(ElementwiseMergeRule):
    """Minimum."""

    def combine(self, values: np.ndarray) -> np.ndarray:
        return values.min(0)


@register_rule(keras.layers.Multiply)
class MultiplyRule(ElementwiseMergeRule):
    """Multiply: a channel that is zero in one input is zero, whatever the others hold."""

    def combine(self, values: np.ndarray) -> np.ndarray:
        return np.where((values == 0).any(0), 0.0, values.prod(0))


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
