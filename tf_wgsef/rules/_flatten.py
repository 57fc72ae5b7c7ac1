"""Flatten: a channel of an image becomes one unit per position."""

import keras
import numpy as np

from tf_wgsef.rules._call import Call
from tf_wgsef.rules._registry import register_rule
from tf_wgsef.rules._rule import LayerRule, positions
from tf_wgsef.rules._ties import Ties


@register_rule(keras.layers.Flatten)
class FlattenRule(LayerRule):
    """Flatten, channels last: unit p·channels + c is position p of channel c."""

    def refusal(self, call: Call) -> str | None:
        if call.layer.data_format != "channels_last":
            return "data_format 'channels_first' is not covered"
        if None in call.input_shapes[0][1:]:
            return f"the size of its input is not known: {call.input_shapes[0]}"
        return None

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        return [np.tile(inputs[0], positions(call.input_shapes[0]))]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [np.tile(values[0], positions(call.input_shapes[0]))]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        return [used[0].reshape(positions(call.input_shapes[0]), -1).any(0)]
