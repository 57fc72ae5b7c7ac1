"""Layers that lay the same values out in another shape."""

import keras
import numpy as np

from tf_wgsef.rules._call import Call
from tf_wgsef.rules._registry import register_rule
from tf_wgsef.rules._rule import LayerRule
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


@register_rule(keras.layers.Flatten)
class FlattenRule(LayoutRule):
    """Flatten: a channel of an image becomes one unit per position."""


@register_rule(keras.layers.Reshape)
class ReshapeRule(LayoutRule):
    """Reshape, where it keeps each pixel's channels together and in order."""

    def resize(self, call: Call, config: dict, inputs: list[int], outputs: list[int]) -> dict:
        return {**config, "target_shape": (*call.output_shapes[0][1:-1], outputs[0])}


@register_rule(keras.layers.Permute)
class PermuteRule(LayerRule):
    """Permute, where the channels stay the last axis."""

    def refusal(self, call: Call) -> str | None:
        last = call.layer.dims[-1] == len(call.layer.dims)
        return None if last else f"it moves the channels: dims={call.layer.dims}"


def _pixels(call: Call) -> int:
    """How many pixels one row of the output's last axis holds."""
    return call.output_shapes[0][-1] // call.input_shapes[0][-1]
