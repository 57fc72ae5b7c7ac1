"""Layers that multiply two tensors that both come from the input: Dot, Attention, AdditiveAttention."""

import dataclasses
from typing import Any

import keras
import numpy as np

from tf_wgsef.rules._call import Call, ParameterAxis
from tf_wgsef.rules._merging import ElementwiseMergeRule
from tf_wgsef.rules._registry import register_rule
from tf_wgsef.rules._rule import LIVE, CompoundRule, LayerRule, positions
from tf_wgsef.rules._ties import Ties


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelPair:
    """Stands for what is made of equal channels of two tensors, before they are summed.

    Attributes:
        name: its name in the path.
        product: their products; else their sums.
    """

    name: str
    product: bool
    weights = ()


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelSum:
    """Stands for a sum over channels whose result has positions in their place.

    Attributes:
        name: its name in the path.
        scale: a variable (channels,) that the channels are multiplied by first, or None.
    """

    name: str
    scale: Any = None

    @property
    def weights(self) -> list:
        """Its variables."""
        return [] if self.scale is None else [self.scale]


@dataclasses.dataclass(frozen=True, eq=False)
class PositionMix:
    """Stands for weighted sums over the positions of one tensor, with weights from the other.

    Attributes:
        name: its name in the path.
        terms: how many positions are summed.
        channels: which of the two inputs passes its channels on; those of the other one are positions.
        softmax: whether the weights are a softmax, which is never zero.
    """

    name: str
    terms: int
    channels: int = 1
    softmax: bool = False
    weights = ()


@register_rule(ChannelPair)
class ChannelPairRule(ElementwiseMergeRule):
    """The channels of the two are tied; of the products, one that is zero in either adds nothing."""

    def combine(self, values: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        left, right = values
        if not call.layer.product:
            return [left + right]
        return [np.where((left == 0) | (right == 0), 0.0, left * right)]


@register_rule(ChannelSum)
class ChannelSumRule(LayerRule):
    """Zeros may go from a sum; what comes out are no channels, and stay."""

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        outputs = ties.fresh(call.output_shapes[0][-1])
        ties.pin(outputs, f"comes from {call.describe()}: the sums are positions")
        return [outputs]

    def parameters(
        self, call: Call, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> list[ParameterAxis]:
        scale = call.layer.scale
        return [] if scale is None else [ParameterAxis(scale, 0, inputs[0], "consume")]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        silent = (values[0] == 0).all()
        return [np.full(call.output_shapes[0][-1], 0.0 if silent else LIVE)]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        reads = np.ones(call.input_shapes[0][-1], bool)
        if call.layer.scale is not None:
            reads = keras.ops.convert_to_numpy(call.layer.scale) != 0
        return [reads & used[0].any()]

    def foldable(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [values[0] == 0]

    def work(self, call: Call) -> list[tuple]:
        return [(call.inputs[0], positions(call.input_shapes[0]))]


@register_rule(PositionMix)
class PositionMixRule(LayerRule):
    """Channel c of the output is a weighted sum of channel c: only zero stays a constant."""

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        ties.pin(
            inputs[1 - call.layer.channels], f"feeds {call.layer.name}: its channels are positions there"
        )
        return [inputs[call.layer.channels]]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        unweighted = (values[1 - call.layer.channels] == 0).all() and not call.layer.softmax
        return [np.where((values[call.layer.channels] == 0) | unweighted, 0.0, LIVE)]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        other = np.full(call.input_shapes[1 - call.layer.channels][-1], used[0].any())
        return [other, used[0]] if call.layer.channels else [used[0], other]

    def foldable(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        able = [np.zeros(len(value), bool) for value in values]
        able[call.layer.channels][:] = True
        return able

    def work(self, call: Call) -> list[tuple]:
        return [(call.outputs[0], call.layer.terms * positions(call.output_shapes[0]))]


@register_rule(keras.layers.Dot)
class DotRule(CompoundRule):
    """Dot: products summed over one axis of each input.

    Over the channels of both, these are tied, and may go where either is zero. Over other axes, the
    channels of the second input (or of the first, where the second has none left) pass.
    """

    def refusal(self, call: Call) -> str | None:
        first, second = (len(shape) for shape in call.input_shapes)
        left, right = _dot_axes(call)
        if 0 in (left, right):
            return "it sums over the batch"
        if left < first - 1 and right == second - 1 and second > 2:
            return "it sums over the channels of one input and the positions of the other"
        return None

    def parts(self, call: Call) -> list[Call]:
        parts, keys = [], list(call.inputs)
        axes = _dot_axes(call)
        for number, (axis, shape) in enumerate(zip(axes, call.input_shapes, strict=True)):
            if call.layer.normalize:
                norm = keras.layers.UnitNormalization(axis=axis, name=f"{call.layer.name}_norm_{number}")
                inner = call.inside(norm.name)
                parts.append(_part(call, norm, [keys[number]], inner, [shape], shape))
                keys[number] = inner
        last = [axis == len(shape) - 1 for axis, shape in zip(axes, call.input_shapes, strict=True)]
        shapes, out = list(call.input_shapes), call.output_shapes[0]
        if all(last):
            return parts + _summed_products(call, keys, shapes, call.outputs[0], out)
        mix = PositionMix("mix", shapes[0][axes[0]] or 1, channels=0 if last[1] else 1)
        return [*parts, _part(call, mix, keys, call.outputs[0], shapes, out)]


@register_rule(keras.layers.Attention)
class DotAttentionRule(CompoundRule):
    """Attention without heads: query · key are tied, a value's channel is the output's."""

    def refusal(self, call: Call) -> str | None:
        if call.layer.score_mode != "dot":
            return f"the score mode {call.layer.score_mode!r} is not covered"
        return _attention_refusal(call)

    def parts(self, call: Call) -> list[Call]:
        query, key, shapes, scores = _attention_inputs(call)
        inner = call.inside("scores")
        products = _summed_products(call, [query, key], [shapes[0], shapes[2]], inner, scores)
        return [*products, _weighted_values(call, inner, scores)]


@register_rule(keras.layers.AdditiveAttention)
class AdditiveAttentionRule(CompoundRule):
    """AdditiveAttention: the scores are Σ scale · tanh(query + key) over tied channels."""

    def refusal(self, call: Call) -> str | None:
        return _attention_refusal(call)

    def parts(self, call: Call) -> list[Call]:
        query, key, shapes, scores = _attention_inputs(call)
        name, both = call.layer.name, (*scores, shapes[0][-1])
        add, tanh = ChannelPair("pairs", product=False), keras.layers.Activation("tanh", name=f"{name}_tanh")
        total = ChannelSum("sums", call.layer.scale if call.layer.use_scale else None)
        pairs, squashed, inner = (call.inside(part) for part in ("pairs", "squashed", "scores"))
        return [
            _part(call, add, [query, key], pairs, [both, both], both),
            _part(call, tanh, [pairs], squashed, [both], both),
            _part(call, total, [squashed], inner, [both], scores),
            _weighted_values(call, inner, scores),
        ]


def _dot_axes(call: Call) -> tuple[int, int]:
    """The two axes that are summed over, counted from the front."""
    axes = call.layer.axes
    pair = (axes, axes) if isinstance(axes, int) else axes
    return tuple(axis % len(shape) for axis, shape in zip(pair, call.input_shapes, strict=True))


def _summed_products(call: Call, keys, shapes, result, result_shape) -> list[Call]:
    """The channels of two tensors, multiplied and summed."""
    inner, shape = call.inside("products"), (*result_shape, shapes[0][-1])
    return [
        _part(call, ChannelPair("products", product=True), keys, inner, [shape, shape], shape),
        _part(call, ChannelSum("sums"), [inner], result, [shape], result_shape),
    ]


def _weighted_values(call: Call, inner, scores) -> Call:
    """The softmax of the scores, times the values."""
    mix = PositionMix("mix", scores[-1], softmax=True)
    shapes = [scores, call.input_shapes[1]]
    return _part(call, mix, [inner, call.inputs[1]], call.outputs[0], shapes, call.output_shapes[0])


def _attention_refusal(call: Call) -> str | None:
    if len(call.output_shapes) > 1 or len(call.input_shapes) not in (2, 3):
        return "it returns its scores too"
    if any(len(shape) != 3 or shape[1] is None for shape in call.input_shapes):
        return f"its inputs are no sequences of known length: {call.input_shapes}"
    return None


def _attention_inputs(call: Call):
    """Keys of query and key, the shapes of query, value and key, and that of the scores."""
    shapes = [*call.input_shapes, call.input_shapes[1]][:3]
    key = call.inputs[2 if len(call.inputs) > 2 else 1]
    return call.inputs[0], key, shapes, (*shapes[0][:2], shapes[2][1])


def _part(call: Call, layer, keys, result, shapes, result_shape) -> Call:
    given = tuple(str(number) for number in range(len(keys)))
    path = f"{call.name}/{layer.name}"
    return Call(
        layer, tuple(keys), (result,), tuple(shapes), (result_shape,), given, path=path, times=call.times
    )
