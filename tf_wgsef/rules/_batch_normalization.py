"""Batch normalization over the channel axis."""

import keras
import numpy as np

from tf_wgsef.rules._activations import apply_to_constants
from tf_wgsef.rules._call import Call, ParameterAxis
from tf_wgsef.rules._registry import register_rule
from tf_wgsef.rules._rule import LayerRule, positions


@register_rule(keras.layers.BatchNormalization)
class BatchNormalizationRule(LayerRule):
    """BatchNormalization at inference: gamma · (x − mean) / √(variance + epsilon) + beta."""

    def refusal(self, call: Call) -> str | None:
        rank = len(call.input_shapes[0])
        if [axis % rank for axis in keras.tree.flatten(call.layer.axis)] != [rank - 1]:
            return f"it normalizes axis {call.layer.axis}, not the channels"
        return None

    def parameters(
        self, call: Call, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> list[ParameterAxis]:
        layer, ids = call.layer, inputs[0]
        axes = []
        if layer.scale:
            axes.append(ParameterAxis(layer.gamma, 0, ids, "carry"))
        if layer.center:
            axes.append(ParameterAxis(layer.beta, 0, ids, "carry"))
        # Without gamma, a silent channel becomes −mean / √variance: the mean has to go with it.
        mean = "state" if layer.scale else "shift"
        axes.append(ParameterAxis(layer.moving_mean, 0, ids, mean))
        axes.append(ParameterAxis(layer.moving_variance, 0, ids, "state"))
        if getattr(layer, "renorm", False):
            states = (layer.moving_stddev, layer.renorm_mean, layer.renorm_stddev)
            axes += [ParameterAxis(one, 0, ids, "state") for one in states]
        return axes

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        layer = call.layer
        rank = len(call.input_shapes[0])

        def normalize(x):
            return keras.ops.reshape(layer(keras.ops.reshape(x, (1,) * (rank - 1) + (-1,))), (-1,))

        # A channel with gamma = 0 is the constant beta, whatever comes in.
        silent = ~self._scaled(call)
        return [apply_to_constants(normalize, np.where(silent, 0.0, values[0]), layer)]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        return [used[0] & self._scaled(call)]

    def work(self, call: Call) -> list[tuple]:
        """One multiply-add per element; converters fold it into the convolution before it."""
        return [(call.outputs[0], positions(call.output_shapes[0]))]

    def _scaled(self, call: Call) -> np.ndarray:
        if not call.layer.scale:
            return np.ones(call.input_shapes[0][-1], bool)
        return keras.ops.convert_to_numpy(call.layer.gamma) != 0
