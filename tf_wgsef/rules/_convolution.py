"""Layers that sum over their input channels: convolutions of all kinds, and Dense."""

import keras
import numpy as np

from tf_wgsef.rules._activations import apply_to_constants, mixing_activation
from tf_wgsef.rules._call import Call, ParameterAxis
from tf_wgsef.rules._registry import register_rule
from tf_wgsef.rules._rule import LIVE, LayerRule, positions
from tf_wgsef.rules._ties import Ties


class MixingRule(LayerRule):
    """A kernel and a bias: every output channel sums over all input channels.

    Subclasses name the configuration's key of the output count and the kernel's channel axes, and say
    when the sum over a constant input is the same at every position.
    """

    count_key = ""
    input_axis, output_axis = -2, -1

    def refusal(self, call: Call) -> str | None:
        layer = call.layer
        if getattr(layer, "data_format", "channels_last") != "channels_last":
            return "data_format 'channels_first' is not covered"
        if getattr(layer, "groups", 1) != 1:
            return "grouped convolutions are not covered"
        if getattr(layer, "lora_enabled", False):
            return "it carries LoRA weights; merge them first"
        if getattr(layer, "quantization_mode", None) is not None:
            return "it is quantized; strip first, quantize after"
        return None

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        outputs = ties.fresh(call.output_shapes[0][-1])
        mixing = mixing_activation(call.layer)
        if mixing:
            ties.pin(outputs, f"{mixing} of {call.describe()} mixes the channels")
        return [outputs]

    def parameters(
        self, call: Call, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> list[ParameterAxis]:
        layer = call.layer
        rank = len(layer.kernel.shape)
        axes = [
            ParameterAxis(layer.kernel, rank + self.output_axis, outputs[0], "produce"),
            ParameterAxis(layer.kernel, rank + self.input_axis, inputs[0], "consume"),
        ]
        return axes + self.bias_axes(call, outputs[0])

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        kernel = self.kernel(call)
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
        return [apply_to_constants(call.layer.activation, total, call.layer)]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        needed = used[0]
        if mixing_activation(call.layer):
            # Softmax: each of its outputs depends on all sums.
            needed = np.full_like(needed, needed.any())
        return [(self.kernel(call)[:, :, needed] != 0).any((0, 2))]

    def foldable(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        everywhere = self.sums_alike_everywhere(call)
        return [(values[0] == 0) | (everywhere & np.isfinite(values[0]))]

    def absorb(self, call: Call, values: list[np.ndarray]) -> np.ndarray:
        return np.einsum("i,pio->o", values[0], self.kernel(call))

    def resize(self, call: Call, config: dict, inputs: list[int], outputs: list[int]) -> dict:
        return {**config, self.count_key: outputs[0]}

    def macs(self, call: Call) -> int:
        return _size(call.layer.kernel) * positions(call.output_shapes[0])

    def kernel(self, call: Call) -> np.ndarray:
        """The kernel as float64 of shape (taps, inputs, outputs)."""
        kernel = as_float64(call.layer.kernel)
        kernel = np.moveaxis(kernel, (self.input_axis, self.output_axis), (-2, -1))
        return kernel.reshape((-1, *kernel.shape[-2:]))

    def bias_axes(self, call: Call, outputs: np.ndarray) -> list[ParameterAxis]:
        """The bias, which makes the output channels together with the kernel."""
        return [ParameterAxis(call.layer.bias, 0, outputs, "produce")] if call.layer.use_bias else []

    def sums_alike_everywhere(self, call: Call) -> bool:
        """Whether a constant input channel adds the same to every position of the output."""
        raise NotImplementedError


@register_rule(keras.layers.Dense)
class DenseRule(MixingRule):
    """Dense, kernel (inputs, units)."""

    count_key = "units"

    def sums_alike_everywhere(self, call: Call) -> bool:
        """There is no border."""
        return True


@register_rule(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
class ConvRule(MixingRule):
    """Conv1D, 2D and 3D, kernel (*window, inputs, filters)."""

    count_key = "filters"

    def sums_alike_everywhere(self, call: Call) -> bool:
        """Padding brings zeros in at the border, unless the kernel sees one position only."""
        return call.layer.padding == "valid" or set(call.layer.kernel_size) == {1}


@register_rule(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
class ConvTransposeRule(MixingRule):
    """Transposed convolutions, kernel (*window, filters, inputs)."""

    count_key = "filters"
    input_axis, output_axis = -1, -2

    def sums_alike_everywhere(self, call: Call) -> bool:
        """Each position of the output sees other taps of the kernel."""
        return False

    def macs(self, call: Call) -> int:
        return _size(call.layer.kernel) * positions(call.input_shapes[0])


@register_rule(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
class SeparableConvRule(ConvRule):
    """A depthwise convolution and a 1×1 convolution in one layer.

    Kernels (*window, inputs, multiplier) and (1, …, inputs · multiplier, filters).
    """

    def parameters(
        self, call: Call, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> list[ParameterAxis]:
        layer = call.layer
        last = len(layer.pointwise_kernel.shape) - 1
        widened = np.repeat(inputs[0], layer.depth_multiplier)
        axes = [
            ParameterAxis(layer.depthwise_kernel, last - 1, inputs[0], "consume"),
            ParameterAxis(layer.pointwise_kernel, last - 1, widened, "consume"),
            ParameterAxis(layer.pointwise_kernel, last, outputs[0], "produce"),
        ]
        return axes + self.bias_axes(call, outputs[0])

    def kernel(self, call: Call) -> np.ndarray:
        depthwise = as_float64(call.layer.depthwise_kernel)
        depthwise = depthwise.reshape((-1, *depthwise.shape[-2:]))
        inputs, multiplier = depthwise.shape[1:]
        pointwise = as_float64(call.layer.pointwise_kernel).reshape((inputs, multiplier, -1))
        return np.einsum("pim,imo->pio", depthwise, pointwise)

    def macs(self, call: Call) -> int:
        layer = call.layer
        size = _size(layer.depthwise_kernel) + _size(layer.pointwise_kernel)
        return size * positions(call.output_shapes[0])


def as_float64(variable) -> np.ndarray:
    """The value of a Keras variable in float64."""
    return keras.ops.convert_to_numpy(variable).astype(np.float64)


def _size(variable) -> int:
    return int(np.prod(variable.shape, dtype=np.int64))
