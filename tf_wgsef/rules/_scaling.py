"""Layers that scale each channel by its own number: rescaling, normalization of data, LayerScale."""

import keras
import numpy as np

from tf_wgsef.rules._activations import apply_to_constants
from tf_wgsef.rules._call import Call, ParameterAxis
from tf_wgsef.rules._merging import scaled
from tf_wgsef.rules._registry import register_keras_layer, register_rule
from tf_wgsef.rules._rule import LIVE, LayerRule, count
from tf_wgsef.rules._ties import Ties


@register_rule(keras.layers.Rescaling)
class RescalingRule(LayerRule):
    """Rescaling: scale · x + offset, each a number or one per channel; these stay in the configuration."""

    def refusal(self, call: Call) -> str | None:
        channels = call.input_shapes[0][-1]
        shapes = {np.shape(call.layer.scale), np.shape(call.layer.offset)}
        return None if shapes <= {(), (1,), (channels,)} else "it scales each position by its own number"

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        if np.ndim(call.layer.scale) or np.ndim(call.layer.offset):
            ties.pin(inputs[0], f"feeds {call.describe()}: its configuration has one number per channel")
        return [inputs[0]]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        silent = ~self.passes(call)
        return [apply_to_constants(call.layer, np.where(silent, 0.0, values[0]), call.layer)]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        return [used[0] & self.passes(call)]

    def passes(self, call: Call) -> np.ndarray:
        """Which channels the scale lets through."""
        return np.broadcast_to(np.not_equal(call.layer.scale, 0), call.input_shapes[0][-1])


@register_rule(keras.layers.Normalization)
class NormalizationRule(LayerRule):
    """Normalization of data by the mean and the variance it was adapted to; its channels stay."""

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        ties.pin(inputs[0], f"feeds {call.describe()}: its statistics are those of the data")
        return [inputs[0]]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        layer, rank = call.layer, len(call.input_shapes[0])
        if any(size != 1 for size in layer.mean.shape[:-1]):
            return [np.full_like(values[0], LIVE)]  # each position has statistics of its own

        def normalize(x):
            return keras.ops.reshape(layer(keras.ops.reshape(x, (1,) * (rank - 1) + (-1,))), (-1,))

        return [apply_to_constants(normalize, values[0], layer)]


@register_keras_layer("LayerScale")
class LayerScaleRule(LayerRule):
    """ConvNeXt's LayerScale: gamma · x, gamma (channels,)."""

    def parameters(
        self, call: Call, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> list[ParameterAxis]:
        return [ParameterAxis(call.layer.gamma, 0, inputs[0], "carry")]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [scaled(values[0], self.gamma(call))]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        return [used[0] & (self.gamma(call) != 0)]

    def resize(self, call: Call, config: dict, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> dict:
        return {**config, "projection_dim": count(outputs[0])}

    def gamma(self, call: Call) -> np.ndarray:
        """The scales, float64 of shape (channels,)."""
        return keras.ops.convert_to_numpy(call.layer.gamma).astype(np.float64)
