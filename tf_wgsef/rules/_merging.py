"""Layers that bring several tensors together, channel by channel or one after another.

The raw operations of the same names (``x + y``, ``keras.ops.concatenate``) have the same rules.
"""

import keras
import numpy as np

from tf_wgsef.rules._call import Call
from tf_wgsef.rules._registry import register_keras_layer, register_operation, register_rule
from tf_wgsef.rules._rule import LIVE, LayerRule
from tf_wgsef.rules._ties import Ties


class ElementwiseMergeRule(LayerRule):
    """Channel c of the output is made of channel c of every input: they stay or go together.

    An input with one channel is broadcast: it stays, and goes into every channel of the output. Subclasses
    say how constants combine, and may say which inputs can be left out.

    Attributes:
        neutral: per input, the number that changes nothing there, or None; the last one holds for all
            further inputs.
    """

    neutral: tuple[float | None, ...] = (None,)

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        channels = call.output_shapes[0][-1]
        wide = [ids for ids in inputs if len(ids) == channels]
        for ids in inputs:
            if len(ids) != channels:
                ties.pin(ids, f"feeds {call.describe()}: its one channel meets {channels} others")
        if not wide:
            return [ties.fresh(channels)]
        for other in wide[1:]:
            ties.unite(wide[0], other)
        return [wide[0]]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        channels = call.output_shapes[0][-1]
        return [self.combine(np.stack([np.broadcast_to(value, channels) for value in values]))]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        return [
            used[0] if shape[-1] == len(used[0]) else used[0].any(keepdims=True)
            for shape in call.input_shapes
        ]

    def combine(self, values: np.ndarray) -> np.ndarray:
        """Combines constants of shape (inputs, channels), NaN where live, over the inputs."""
        raise NotImplementedError

    def needs(self, call: Call, values: list[np.ndarray], keeps: list[np.ndarray]) -> list[bool]:
        neutral = self.neutral_values(call)
        drop = [
            number is not None and bool((value[keep] == number).all())
            for number, value, keep in zip(neutral, values, keeps, strict=True)
        ]
        # One of the inputs that stay has the shape of the output: it is not broadcast any more.
        # Unknown sizes may differ, or be 1: then all must stay.
        full = [
            shape[1:] == call.output_shapes[0][1:] and None not in shape[1:] for shape in call.input_shapes
        ]
        if not any(full) or call.masked:
            return [True] * len(drop)
        if not any(one and not out for one, out in zip(full, drop, strict=True)):
            drop[full.index(True)] = False
        return [not one for one in drop]

    def identity(self, call: Call, needed: list[bool]) -> bool:
        # What was dropped is neutral, and what is left has the shape of the output.
        return sum(needed) == 1 and not call.masked

    def neutral_values(self, call: Call) -> list[float | None]:
        """Per input, the number that changes nothing there, or None."""
        more = max(len(call.inputs) - len(self.neutral), 0)
        return [*self.neutral[: len(call.inputs)], *[self.neutral[-1]] * more]


class _MaskedMergeRule(ElementwiseMergeRule):
    """Merges that read the masks of their inputs: what is masked out does not count."""

    def refusal(self, call: Call) -> str | None:
        return "its inputs carry a mask, which it reads" if call.masked else None


@register_rule(keras.layers.Add)
class AddRule(ElementwiseMergeRule):
    """Add."""

    neutral = (0.0,)

    def combine(self, values: np.ndarray) -> np.ndarray:
        return values.sum(0)


@register_rule(keras.layers.Subtract)
class SubtractRule(ElementwiseMergeRule):
    """Subtract: the first input minus the second."""

    neutral = (None, 0.0)

    def combine(self, values: np.ndarray) -> np.ndarray:
        return values[0] - values[1]


@register_keras_layer("CustomScaleLayer")
class ScaledAddRule(ElementwiseMergeRule):
    """InceptionResNetV2's residual sum: the first input plus ``scale`` times the second."""

    neutral = (None, 0.0)

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        scale = float(call.layer.scale)
        return super().forward(call, [values[0], scaled(values[1], scale)])

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        first, second = super().backward(call, used)
        return [first, second & (call.layer.scale != 0)]

    def needs(self, call: Call, values: list[np.ndarray], keeps: list[np.ndarray]) -> list[bool]:
        return super().needs(call, [values[0], scaled(values[1], float(call.layer.scale))], keeps)

    def combine(self, values: np.ndarray) -> np.ndarray:
        return values.sum(0)


@register_rule(keras.layers.Average)
class AverageRule(ElementwiseMergeRule):
    """Average."""

    def combine(self, values: np.ndarray) -> np.ndarray:
        return values.mean(0)


@register_rule(keras.layers.Maximum)
class MaximumRule(_MaskedMergeRule):
    """Maximum."""

    def combine(self, values: np.ndarray) -> np.ndarray:
        return values.max(0)


@register_rule(keras.layers.Minimum)
class MinimumRule(_MaskedMergeRule):
    """Minimum."""

    def combine(self, values: np.ndarray) -> np.ndarray:
        return values.min(0)


@register_rule(keras.layers.Multiply)
class MultiplyRule(_MaskedMergeRule):
    """Multiply: a channel that is zero in one input is zero, whatever the others hold."""

    neutral = (1.0,)

    def combine(self, values: np.ndarray) -> np.ndarray:
        return np.where((values == 0).any(0), 0.0, values.prod(0))


@register_rule(keras.layers.Concatenate)
@register_operation("Concatenate")
class ConcatenateRule(LayerRule):
    """Concatenate: along the channels one input's after another's; along another axis they are the same."""

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        if _joins_channels(call):
            return [np.concatenate(inputs)]
        for other in inputs[1:]:
            ties.unite(inputs[0], other)
        return [inputs[0]]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        if _joins_channels(call):
            return [np.concatenate(values)]
        return [common_constants(values)]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        if not _joins_channels(call):
            return [used[0]] * len(call.inputs)
        ends = np.cumsum([shape[-1] for shape in call.input_shapes])
        return np.split(used[0], ends[:-1])

    def needs(self, call: Call, values: list[np.ndarray], keeps: list[np.ndarray]) -> list[bool]:
        if not _joins_channels(call) or call.masked:
            return [True] * len(call.inputs)
        kept = [bool(keep.any()) for keep in keeps]
        return kept if any(kept) else [True, *kept[1:]]

    def identity(self, call: Call, needed: list[bool]) -> bool:
        return sum(needed) == 1 and not call.masked


@register_operation("Stack")
class StackRule(LayerRule):
    """``keras.ops.stack`` along a new axis before the channels: all inputs have the same ones."""

    def refusal(self, call: Call) -> str | None:
        last = call.layer.axis in (-1, len(call.output_shapes[0]) - 1)
        return "it stacks behind the channels" if last else None

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        for other in inputs[1:]:
            ties.unite(inputs[0], other)
        return [inputs[0]]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [common_constants(values)]


def common_constants(values: list[np.ndarray]) -> np.ndarray:
    """The constants that are the same in all of ``values``, shapes (channels,); else NaN."""
    same = (np.stack(values) == values[0]).all(0)
    return np.where(same, values[0], LIVE)


def scaled(values: np.ndarray, scale) -> np.ndarray:
    """Constants times ``scale``, shapes (channels,); zero where the scale is, even for live channels."""
    return np.where(np.equal(scale, 0), 0.0, values * scale)


def _joins_channels(call: Call) -> bool:
    axis = getattr(call.layer, "axis", -1)
    return axis in (-1, len(call.output_shapes[0]) - 1)
