"""Raw operations that reduce positions: mean, sum, largest and smallest value."""

import keras
import numpy as np

from tf_wgsef.rules._call import Call
from tf_wgsef.rules._registry import register_operation
from tf_wgsef.rules._rule import LIVE, LayerRule


class ReductionRule(LayerRule):
    """A reduction over axes other than the channels."""

    def refusal(self, call: Call) -> str | None:
        axes, rank = call.layer.axis, len(call.input_shapes[0])
        if axes is None or any(axis % rank == rank - 1 for axis in keras.tree.flatten(axes)):
            return "it runs over the channels"
        if getattr(call.layer, "initial", None) is not None:
            return "it starts from a value of its own"
        return None


@register_operation("Mean", "Max", "Min", "Amax", "Amin")
class MeanOrExtremeRule(ReductionRule):
    """``keras.ops.mean``, ``max``, ``min`` over positions: that of equal values is the value."""


@register_operation("Sum")
class SumRule(ReductionRule):
    """``keras.ops.sum`` over positions: only zeros add up to what they are."""

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [np.where(values[0] == 0, 0.0, LIVE)]
