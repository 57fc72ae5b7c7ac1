"""Raw ``keras.ops`` calls on Keras tensors, such as ``x + 1`` or ``keras.ops.relu(x)``.

Their classes are not public, so they are known by name; what they compute is asked of themselves.
"""

import keras
import numpy as np

from tf_wgsef.rules._call import Call
from tf_wgsef.rules._registry import register_operation
from tf_wgsef.rules._rule import LIVE, LayerRule
from tf_wgsef.rules._ties import Ties


@register_operation(
    *"Abs Absolute Celu Clip Elu Exp Gelu HardSigmoid HardSilu HardSwish HardTanh LeakyRelu".split(),
    *"LogSigmoid Mish Negative Relu Relu6 Selu Sigmoid Silu SoftShrink Softplus Softsign".split(),
    *"Sqrt Square Swish Tanh".split(),
    *"Add Subtract Multiply Divide TrueDivide Maximum Minimum".split(),
)
class ElementwiseOperationRule(LayerRule):
    """Element-wise operations on one tensor, on a tensor and a number, or on several tensors alike."""

    def refusal(self, call: Call) -> str | None:
        if any(shape[-1] != call.output_shapes[0][-1] for shape in call.input_shapes):
            return "its inputs are broadcast against each other along the channels"
        if not all(value is None or isinstance(value, int | float) for value in call.arguments):
            return "it combines each channel with its own number"
        return None

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        for other in inputs[1:]:
            ties.unite(inputs[0], other)
        return [inputs[0]]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        known = np.isfinite(values).all(0)
        tensors = iter([np.where(known, value, 0.0).astype("float32") for value in values])
        arguments = [next(tensors) if value is None else value for value in call.arguments]
        with np.errstate(all="ignore"):
            result = keras.ops.convert_to_numpy(call.layer.call(*arguments)).astype(np.float64)
        result = np.where(known & np.isfinite(result), result, LIVE)
        if type(call.layer).__name__ == "Multiply":
            result = np.where((np.stack(values) == 0).any(0), 0.0, result)
        return [result]
