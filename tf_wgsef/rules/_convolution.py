"""Layers that sum over their input channels: convolutions of all kinds, and Dense."""

import keras
import numpy as np

from tf_wgsef.rules._activations import apply_to_constants, mixing_activation
from tf_wgsef.rules._call import Call, ParameterAxis
from tf_wgsef.rules._registry import register_rule
from tf_wgsef.rules._rule import LIVE, LayerRule, count, positions
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
        if getattr(layer, "lora_enabled", False):
            return "it carries LoRA weights; merge them first"
        if getattr(layer, "quantization_mode", None) is not None:
            return "it is quantized; strip first, quantize after"
        return None

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        outputs = self.channels(call, inputs[0], ties)
        mixing = mixing_activation(call.layer)
        if mixing:
            ties.pin(outputs, f"{mixing} of {call.describe()} mixes the channels")
        return [outputs]

    def channels(self, call: Call, inputs: np.ndarray, ties: Ties) -> np.ndarray:
        """Ids of the output's channels: new ones."""
        return ties.fresh(call.output_shapes[0][-1])

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
        depends = (kernel[:, variable] != 0).any((0, 1))
        total = self.own_constant(call) + self._sums(call, np.where(variable, 0.0, values[0]))
        total = np.where(depends, LIVE, total)
        if mixing_activation(call.layer):
            return [np.full_like(total, LIVE)]
        activation = getattr(call.layer, "activation", None)
        return [total if activation is None else apply_to_constants(activation, total, call.layer)]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        needed = used[0]
        if mixing_activation(call.layer):
            # Softmax: each of its outputs depends on all sums.
            needed = np.full_like(needed, needed.any())
        kernel = self.kernel(call)
        return [(kernel if needed.all() else kernel[:, :, needed]).any((0, 2))]

    def foldable(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        everywhere = self.sums_alike_everywhere(call)
        return [(values[0] == 0) | (everywhere & np.isfinite(values[0]))]

    def absorb(self, call: Call, values: list[np.ndarray]) -> np.ndarray:
        total, bias = self._sums(call, values[0]), self.bias(call)
        return total if bias is None else total.reshape(bias.shape)

    def identity(self, call: Call, needed: list[bool]) -> bool:
        layer, bias = call.layer, self.bias(call)
        if call.masked:  # some of these layers pass a mask on, some end it
            return False
        if getattr(layer, "activation", None) not in (None, keras.activations.linear):
            return False
        if bias is not None and keras.ops.convert_to_numpy(bias).any():
            return False
        centre = self.centre(call)
        kernel = self.kernel(call)
        if centre is None or kernel.shape[1] != kernel.shape[2]:
            return False
        others = np.delete(kernel, centre, axis=0)
        return bool((kernel[centre] == np.eye(kernel.shape[1])).all() and not others.any())

    def resize(self, call: Call, config: dict, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> dict:
        return {**config, self.count_key: count(outputs[0])}

    def work(self, call: Call) -> list[tuple]:
        return [(call.layer.kernel, positions(call.output_shapes[0]))]

    def _sums(self, call: Call, constants: np.ndarray) -> np.ndarray:
        """What constant inputs add to each output, shape (outputs,), float64."""
        some = constants != 0
        kernel = self.kernel(call)
        if not some.any():
            return np.zeros(kernel.shape[-1])
        return np.einsum("i,pio->o", constants[some], kernel[:, some].astype(np.float64))

    def own_constant(self, call: Call) -> np.ndarray | float:
        """The bias, shape (outputs,)."""
        return as_float64(call.layer.bias).reshape(-1) if call.layer.use_bias else 0.0

    def centre(self, call: Call) -> int | None:
        """The tap that reads the position it writes to, if the layer writes to each position it reads."""
        return None

    def kernel(self, call: Call) -> np.ndarray:
        """The kernel in shape (taps, inputs, outputs)."""
        kernel = keras.ops.convert_to_numpy(call.layer.kernel)
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

    def centre(self, call: Call) -> int | None:
        return 0

    def sums_alike_everywhere(self, call: Call) -> bool:
        """There is no border."""
        return True


class WindowRule(MixingRule):
    """A kernel that slides over positions, (*window, inputs, filters)."""

    count_key = "filters"

    def window(self, call: Call):
        return call.layer.kernel

    def centre(self, call: Call) -> int | None:
        layer = call.layer
        if set(layer.strides) != {1} or any(size % 2 == 0 for size in layer.kernel_size):
            return None
        if layer.padding != "same" and set(layer.kernel_size) != {1}:
            return None
        return int(np.prod(layer.kernel_size)) // 2

    def sums_alike_everywhere(self, call: Call) -> bool:
        """Padding brings zeros in at the border, unless the kernel sees one position only."""
        return call.layer.padding == "valid" or set(call.layer.kernel_size) == {1}


@register_rule(keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
class ConvRule(WindowRule):
    """Conv1D, 2D and 3D, kernel (*window, inputs / groups, filters).

    Group q reads the q-th part of the inputs and makes the q-th part of the filters. With one input per
    group, a channel and its filters stay or go together, as in a depthwise convolution.
    """

    def channels(self, call: Call, inputs: np.ndarray, ties: Ties) -> np.ndarray:
        if _is_depthwise(call):
            return np.repeat(inputs, call.layer.filters // call.layer.groups)
        return super().channels(call, inputs, ties)

    def parameters(
        self, call: Call, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> list[ParameterAxis]:
        axes = super().parameters(call, inputs, outputs)
        if call.layer.groups == 1:
            return axes
        axes = [axis for axis in axes if axis.role != "consume"]
        role = "carry" if _is_depthwise(call) else "produce"
        return [ParameterAxis(axis.variable, axis.axis, axis.ids, role) for axis in axes]

    def restore(
        self, call: Call, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        groups = call.layer.groups
        if groups == 1 or _is_depthwise(call):
            return inputs, outputs
        ins, outs = inputs[0].reshape(groups, -1), outputs[0].reshape(groups, -1)
        alive = ins.any(1) | outs.any(1)
        return [fill_rows(ins, alive).reshape(-1)], [fill_rows(outs, alive).reshape(-1)]

    def select(
        self, call: Call, variable, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> np.ndarray | None:
        groups = call.layer.groups
        if groups == 1 or _is_depthwise(call) or variable is not call.layer.kernel:
            return None
        kernel = keras.ops.convert_to_numpy(variable)
        parts = zip(
            np.split(kernel, groups, -1),
            inputs[0].reshape(groups, -1),
            outputs[0].reshape(groups, -1),
            strict=True,
        )
        return np.concatenate([part[..., i, :][..., o] for part, i, o in parts if o.any()], -1)

    def resize(self, call: Call, config: dict, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> dict:
        config = super().resize(call, config, inputs, outputs)
        if _is_depthwise(call):
            return {**config, "groups": count(inputs[0])}
        return {**config, "groups": count(outputs[0].reshape(call.layer.groups, -1).any(1))}

    def kernel(self, call: Call) -> np.ndarray:
        """The kernel in shape (taps, inputs, outputs), with zeros between the groups."""
        kernel, groups = super().kernel(call), call.layer.groups
        if groups == 1:
            return kernel
        taps, inputs, outputs = kernel.shape
        whole = np.zeros((taps, groups, inputs, groups, outputs // groups), kernel.dtype)
        for group, part in enumerate(np.split(kernel, groups, -1)):
            whole[:, group, :, group] = part
        return whole.reshape(taps, groups * inputs, outputs)


def _is_depthwise(call: Call) -> bool:
    """Whether each group reads one channel."""
    return call.layer.groups > 1 and call.layer.groups == call.input_shapes[0][-1]


def fill_rows(keeps: np.ndarray, alive: np.ndarray, *, at_least: int = 1) -> np.ndarray:
    """Keeps equally many entries in each row that is alive: as many as the fullest has.

    Args:
        keeps: which entries stay, bool of shape (rows, entries).
        alive: which rows stay, bool of shape (rows,).
        at_least: number of entries, if there are so many.
    """
    number = max(at_least, int(keeps.sum(1).max()))
    order = np.argsort(~keeps, axis=1, kind="stable")  # those that stay first
    filled = keeps.copy()
    np.put_along_axis(filled, order[:, :number], True, axis=1)
    return filled & alive[:, None]


@register_rule(keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
class ConvTransposeRule(MixingRule):
    """Transposed convolutions, kernel (*window, filters, inputs)."""

    count_key = "filters"
    input_axis, output_axis = -1, -2

    def sums_alike_everywhere(self, call: Call) -> bool:
        """Each position of the output sees other taps of the kernel."""
        return False

    def work(self, call: Call) -> list[tuple]:
        return [(call.layer.kernel, positions(call.input_shapes[0]))]


@register_rule(keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
class SeparableConvRule(WindowRule):
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

    def window(self, call: Call):
        return call.layer.depthwise_kernel

    def kernel(self, call: Call) -> np.ndarray:
        depthwise = as_float64(call.layer.depthwise_kernel)
        depthwise = depthwise.reshape((-1, *depthwise.shape[-2:]))
        inputs, multiplier = depthwise.shape[1:]
        pointwise = as_float64(call.layer.pointwise_kernel).reshape((inputs, multiplier, -1))
        return np.einsum("pim,imo->pio", depthwise, pointwise)

    def work(self, call: Call) -> list[tuple]:
        kernels = (call.layer.depthwise_kernel, call.layer.pointwise_kernel)
        return [(kernel, positions(call.output_shapes[0])) for kernel in kernels]


def as_float64(variable) -> np.ndarray:
    """The value of a Keras variable in float64."""
    return keras.ops.convert_to_numpy(variable).astype(np.float64)
