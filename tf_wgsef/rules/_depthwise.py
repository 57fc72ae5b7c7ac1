"""Depthwise convolution: each input channel makes its own output channels."""

import keras
import numpy as np

from tf_wgsef.rules._activations import apply_to_constants, mixing_activation
from tf_wgsef.rules._call import Call, ParameterAxis
from tf_wgsef.rules._convolution import as_float64
from tf_wgsef.rules._registry import register_rule
from tf_wgsef.rules._rule import LIVE, LayerRule, positions
from tf_wgsef.rules._ties import Ties


@register_rule(keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
class DepthwiseConvRule(LayerRule):
    """Depthwise convolution, kernel (*window, inputs, multiplier): input c makes outputs c·multiplier + m."""

    def refusal(self, call: Call) -> str | None:
        if call.layer.data_format != "channels_last":
            return "data_format 'channels_first' is not covered"
        mixing = mixing_activation(call.layer)
        return f"its activation {mixing} mixes the channels" if mixing else None

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        return [np.repeat(inputs[0], call.layer.depth_multiplier)]

    def parameters(
        self, call: Call, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> list[ParameterAxis]:
        axes = [ParameterAxis(call.layer.kernel, len(call.layer.kernel.shape) - 2, inputs[0], "carry")]
        if call.layer.use_bias:
            axes.append(ParameterAxis(call.layer.bias, 0, outputs[0], "carry"))
        return axes

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        layer, value = call.layer, values[0]
        kernel = _taps(layer)
        no_border = layer.padding == "valid" or set(layer.kernel_size) == {1}
        known = (value == 0) | (no_border & np.isfinite(value))
        total = kernel.sum(0) * np.where(known, value, 0.0)[:, None]
        total[~known] = np.where(np.abs(kernel).sum(0)[~known] == 0, 0.0, LIVE)
        total = total.reshape(-1)
        if layer.use_bias:
            total = total + keras.ops.convert_to_numpy(layer.bias)
        if layer.activation is None:
            return [total]
        return [apply_to_constants(layer.activation, total, layer)]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        reaches = np.abs(_taps(call.layer)).sum(0) != 0
        return [(reaches & used[0].reshape(reaches.shape)).any(-1)]

    def window(self, call: Call):
        return call.layer.kernel

    def work(self, call: Call) -> list[tuple]:
        return [(call.layer.kernel, positions(call.output_shapes[0]))]


def _taps(layer) -> np.ndarray:
    """The kernel as float64 of shape (taps, inputs, multiplier)."""
    kernel = as_float64(layer.kernel)
    return kernel.reshape((-1, *kernel.shape[-2:]))
