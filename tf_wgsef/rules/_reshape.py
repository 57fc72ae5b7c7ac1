"""Layers that lay the same values out in another shape, and the raw operations that do."""

import keras
import numpy as np

from tf_wgsef.rules._call import Call
from tf_wgsef.rules._registry import register_operation, register_rule
from tf_wgsef.rules._rule import LayerRule, count
from tf_wgsef.rules._ties import Ties


class LayoutRule(LayerRule):
    """The last axis of the output runs over whole pixels: unit p·channels + c is channel c of pixel p."""

    def refusal(self, call: Call) -> str | None:
        if getattr(call.layer, "data_format", "channels_last") != "channels_last":
            return "data_format 'channels_first' is not covered"
        if None in call.input_shapes[0][1:]:
            return f"the size of its input is not known: {call.input_shapes[0]}"
        if call.output_shapes[0][-1] % call.input_shapes[0][-1]:
            return f"it cuts pixels apart: {call.input_shapes[0]} to {call.output_shapes[0]}"
        return None

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        return [np.tile(inputs[0], _pixels(call))]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [np.tile(values[0], _pixels(call))]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        return [used[0].reshape(_pixels(call), -1).any(0)]

    def identity(self, call: Call, needed: list[bool]) -> bool:
        return call.input_shapes[0] == call.output_shapes[0] and not call.masked


@register_rule(keras.layers.Flatten)
class FlattenRule(LayoutRule):
    """Flatten: a channel of an image becomes one unit per position."""


@register_rule(keras.layers.Reshape)
class ReshapeRule(LayoutRule):
    """Reshape, where it keeps each pixel's channels together and in order."""

    def resize(self, call: Call, config: dict, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> dict:
        shape = call.layer.target_shape  # as it was given: a model for any size has a -1 there
        return {**config, "target_shape": (*shape[:-1], -1 if shape[-1] == -1 else count(outputs[0]))}


@register_operation("Reshape")
class ReshapeOperationRule(LayoutRule):
    """``keras.ops.reshape`` to a shape of numbers, where it keeps each pixel's channels together."""

    def refusal(self, call: Call) -> str | None:
        shape = call.layer.newshape
        if not all(isinstance(size, int) for size in shape):
            return f"its new shape is not all numbers: {shape}"
        return super().refusal(call)

    def resize(self, call: Call, config: dict, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> dict:
        shape = tuple(call.layer.newshape)
        return {**config, "newshape": (*shape[:-1], shape[-1] if shape[-1] == -1 else count(outputs[0]))}

    def identity(self, call: Call, needed: list[bool]) -> bool:
        # One size alone may be unknown: two unknown ones can trade places.
        return super().identity(call, needed) and call.input_shapes[0].count(None) < 2


@register_rule(keras.layers.Permute)
class PermuteRule(LayerRule):
    """Permute, where the channels stay the last axis."""

    def refusal(self, call: Call) -> str | None:
        last = call.layer.dims[-1] == len(call.layer.dims)
        return None if last else f"it moves the channels: dims={call.layer.dims}"

    def identity(self, call: Call, needed: list[bool]) -> bool:
        return list(call.layer.dims) == sorted(call.layer.dims) and not call.masked


@register_operation("Transpose")
class TransposeRule(LayerRule):
    """``keras.ops.transpose``, where the channels stay the last axis."""

    def refusal(self, call: Call) -> str | None:
        last = self.order(call)[-1] == len(call.input_shapes[0]) - 1
        return None if last else f"it moves the channels: axes={call.layer.axes}"

    def identity(self, call: Call, needed: list[bool]) -> bool:
        order = self.order(call)
        return order == sorted(order) and not call.masked

    def order(self, call: Call) -> list[int]:
        """The input's axes in the order of the output's."""
        rank = len(call.input_shapes[0])
        return [axis % rank for axis in call.layer.axes or range(rank - 1, -1, -1)]


@register_operation("ExpandDims", "Squeeze")
class UnitAxisRule(LayerRule):
    """``keras.ops.expand_dims`` and ``squeeze`` of axes before the channels."""

    def refusal(self, call: Call) -> str | None:
        axes = call.layer.axis
        if axes is None:
            return "it squeezes every axis of size 1: name them"
        rank = max(len(call.input_shapes[0]), len(call.output_shapes[0]))
        last = any(axis % rank == rank - 1 for axis in keras.tree.flatten(axes))
        return f"its axis {axes} is behind the channels" if last else None


@register_operation("Flip")
class FlipRule(LayerRule):
    """``keras.ops.flip`` of positions."""

    def refusal(self, call: Call) -> str | None:
        axes, rank = call.layer.axis, len(call.input_shapes[0])
        if axes is None or any(axis % rank == rank - 1 for axis in keras.tree.flatten(axes)):
            return "it reverses the channels"
        return None


def _pixels(call: Call) -> int:
    """How many pixels one row of the output's last axis holds."""
    return call.output_shapes[0][-1] // call.input_shapes[0][-1]
