"""EinsumDense: a dense layer along any axes."""

import keras
import numpy as np

from tf_wgsef.rules._call import Call, ParameterAxis
from tf_wgsef.rules._convolution import MixingRule
from tf_wgsef.rules._registry import register_rule
from tf_wgsef.rules._rule import LIVE, count


@register_rule(keras.layers.EinsumDense)
class EinsumDenseRule(MixingRule):
    """EinsumDense whose equation sums over the input's last axis and makes the output's last axis.

    Such as ``"abc,cd->abd"``, or ``"abc,chd->abhd"``: there the kernel has an axis more, and an output
    channel is one index d for all h.
    """

    def refusal(self, call: Call) -> str | None:
        reason = super().refusal(call)
        if reason:
            return reason
        if call.layer.equation.replace(" ", "").partition(",")[0].endswith("..."):
            return f"its equation {call.layer.equation!r} does not name the channels"
        given, kernel, result = _labels(call.layer)
        if given[-1] not in kernel or given[-1] in result or result[-1] not in kernel or result[-1] in given:
            return f"its equation {call.layer.equation!r} does not sum over the channels"
        return None

    def parameters(
        self, call: Call, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> list[ParameterAxis]:
        given, kernel, result = _labels(call.layer)
        axes = [
            ParameterAxis(call.layer.kernel, kernel.index(result[-1]), outputs[0], "produce"),
            ParameterAxis(call.layer.kernel, kernel.index(given[-1]), inputs[0], "consume"),
        ]
        bias = call.layer.bias
        if bias is not None and bias.shape[-1] == len(outputs[0]):
            axes.append(ParameterAxis(bias, len(bias.shape) - 1, outputs[0], "produce"))
        return axes

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        if self.bias(call) is None or self.bias(call).shape[-1] == call.output_shapes[0][-1]:
            return super().forward(call, values)
        return [np.full(call.output_shapes[0][-1], LIVE)]  # one bias for all channels

    def own_constant(self, call: Call) -> np.ndarray | float:
        """The bias where it is the same at every position, else NaN."""
        if self.bias(call) is None:
            return 0.0
        bias = keras.ops.convert_to_numpy(self.bias(call)).astype(np.float64)
        bias = bias.reshape((-1, bias.shape[-1]))
        return np.where((bias == bias[0]).all(0), bias[0], LIVE)

    def absorb(self, call: Call, values: list[np.ndarray]) -> np.ndarray | None:
        bias = self.bias(call)
        return super().absorb(call, values) if bias is None or len(bias.shape) == 1 else None

    def kernel(self, call: Call) -> np.ndarray:
        given, kernel, result = _labels(call.layer)
        value = keras.ops.convert_to_numpy(call.layer.kernel)
        value = np.moveaxis(value, (kernel.index(given[-1]), kernel.index(result[-1])), (-2, -1))
        return value.reshape((-1, *value.shape[-2:]))

    def sums_alike_everywhere(self, call: Call) -> bool:
        """Not where the kernel differs by a position of the output, or the bias cannot take the sum in."""
        given, kernel, result = _labels(call.layer)
        alike = set(kernel) & set(result) == {result[-1]} and set(kernel) - set(result) <= set(given)
        return alike and self.bias(call) is not None and len(self.bias(call).shape) == 1

    def resize(self, call: Call, config: dict, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> dict:
        shape = config["output_shape"]
        shape = count(outputs[0]) if isinstance(shape, int) else (*shape[:-1], count(outputs[0]))
        return {**config, "output_shape": shape}

    def work(self, call: Call) -> list[tuple]:
        """Each index of the equation runs once over its size, the batch left out."""
        given, kernel, result = _labels(call.layer)
        sizes = dict(zip(kernel, call.layer.kernel.shape, strict=True))
        ellipsis = call.layer.equation.startswith("...")
        shape = call.input_shapes[0][-len(given) :] if ellipsis else call.input_shapes[0]
        for label, size in zip(given, shape, strict=True):
            sizes.setdefault(label, size or 1)
        batch = given[0] if not ellipsis else ""
        total = int(np.prod([size for label, size in sizes.items() if label != batch], dtype=np.int64))
        rest = call.input_shapes[0][1 : -len(given)] if ellipsis else ()
        total *= int(np.prod([size or 1 for size in rest], dtype=np.int64))
        return [(call.layer.kernel, total // max(int(np.prod(call.layer.kernel.shape)), 1))]


def _labels(layer) -> tuple[str, str, str]:
    """The labels of input, kernel and output, dots and blanks left out."""
    left, result = layer.equation.replace(" ", "").replace("...", "").split("->")
    given, kernel = left.split(",")
    return given, kernel, result
