"""Layers that sum over their input channels: Conv2D and Dense."""

import keras
import numpy as np

from tf_wgsef.rules._activations import apply_to_constants, mixing_activation
from tf_wgsef.rules._call import Call, ParameterAxis
from tf_wgsef.rules._registry import register_rule
from tf_wgsef.rules._rule import LIVE, LayerRule, positions
from tf_wgsef.rules._ties import Ties


class MixingRule(LayerRule):
    """A kernel of shape (..., inputs, outputs) and a bias: every output sums over all inputs.

    Subclasses name the configuration's key of the output count, and say when the sum over a constant
    input is the same at every position.
    """

    count_key = ""

    def refusal(self, call: Call) -> str | None:
        if getattr(call.layer, "lora_enabled", False):
            return "it carries LoRA weights; merge them first"
        if getattr(call.layer, "quantization_mode", None) is not None:
            return "it is quantized; strip first, quantize after"
        return None

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        outputs = ties.fresh(call.layer.kernel.shape[-1])
        mixing = mixing_activation(call.layer)
        if mixing:
            ties.pin(outputs, f"{mixing} of {call.describe()} mixes the channels")
        return [outputs]

    def parameters(
        self, call: Call, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> list[ParameterAxis]:
        layer = call.layer
        last = len(layer.kernel.shape) - 1
        axes = [
            ParameterAxis(layer.kernel, last, outputs[0], "produce"),
            ParameterAxis(layer.kernel, last - 1, inputs[0], "consume"),
        ]
        if layer.use_bias:
            axes.append(ParameterAxis(layer.bias, 0, outputs[0], "produce"))
        return axes

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        kernel = _kernel(call)
        variable = ~(np.isfinite(values[0]) & self.foldable(call, values)[0])
        depends = np.abs(kernel[:, variable]).sum((0, 1)) != 0
        bias = np.zeros(kernel.shape[-1])
        if call.layer.use_bias:
            bias = keras.ops.convert_to_numpy(call.layer.bias).astype(np.float64)
        total = bias + self.absorb(call, [np.where(variable, 0.0, values[0])])
        total = np.where(depends, LIVE, total)
        if mixing_activation(call.layer):
            return [np.full_like(total, LIVE)]
        if call.layer.activation is None:
            return [total]
        return [apply_to_constants(call.layer.activation, total)]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        return [np.abs(_kernel(call)[:, :, used[0]]).sum((0, 2)) != 0]

    def foldable(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        everywhere = self.sums_alike_everywhere(call)
        return [(values[0] == 0) | (everywhere & np.isfinite(values[0]))]

    def absorb(self, call: Call, values: list[np.ndarray]) -> np.ndarray:
        return np.einsum("i,pio->o", values[0], _kernel(call))

    def resize(self, call: Call, config: dict, inputs: list[int], outputs: list[int]) -> dict:
        return {**config, self.count_key: outputs[0]}

    def macs(self, call: Call) -> int:
        size = int(np.prod(call.layer.kernel.shape, dtype=np.int64))
        return size * positions(call.output_shapes[0])

    def sums_alike_everywhere(self, call: Call) -> bool:
        """Whether a constant input channel adds the same to every position of the output."""
        raise NotImplementedError


@register_rule(keras.layers.Conv2D)
class Conv2DRule(MixingRule):
    """Conv2D, kernel (height, width, inputs, filters)."""

    count_key = "filters"

    def refusal(self, call: Call) -> str | None:
        layer = call.layer
        if layer.data_format != "channels_last":
            return "data_format 'channels_first' is not covered"
        if layer.groups != 1:
            return "grouped convolutions are not covered"
        return super().refusal(call)

    def sums_alike_everywhere(self, call: Call) -> bool:
        """'same' padding brings zeros in at the border, unless the kernel sees one pixel only."""
        return call.layer.padding == "valid" or set(call.layer.kernel_size) == {1}


@register_rule(keras.layers.Dense)
class DenseRule(MixingRule):
    """Dense, kernel (inputs, units)."""

    count_key = "units"

    def sums_alike_everywhere(self, call: Call) -> bool:
        """There is no border."""
        return True


def _kernel(call: Call) -> np.ndarray:
    """The kernel as float64 of shape (taps, inputs, outputs)."""
    kernel = keras.ops.convert_to_numpy(call.layer.kernel).astype(np.float64)
    return kernel.reshape((-1, *kernel.shape[-2:]))
