"""Raw ``keras.ops`` calls on Keras tensors, such as ``x + 1`` or ``keras.ops.relu(x)``.

Their classes are not public, so they are known by name; what they compute is asked of themselves.
"""

import keras
import numpy as np

from tf_wgsef.rules._call import Call
from tf_wgsef.rules._merging import ElementwiseMergeRule
from tf_wgsef.rules._registry import register_operation
from tf_wgsef.rules._rule import LIVE

# Per operation on two tensors, the number on the left and on the right that changes nothing.
_NEUTRAL = {
    "Add": (0.0, 0.0),
    "Subtract": (None, 0.0),
    "Multiply": (1.0, 1.0),
    "Divide": (None, 1.0),
    "TrueDivide": (None, 1.0),
}


@register_operation(
    *"Abs Absolute Celu Clip Elu Exp Gelu HardSigmoid HardSilu HardSwish HardTanh LeakyRelu".split(),
    *"LogSigmoid Mish Negative Relu Relu6 Selu Sigmoid Silu SoftShrink Softplus Softsign".split(),
    *"Sqrt Square Swish Tanh HardShrink TanhShrink SparsePlus Squareplus Threshold Erf Log Log1p".split(),
    *"Expm1 Sin Cos Reciprocal Rsqrt Power".split(),
    *"Add Subtract Multiply Divide TrueDivide Maximum Minimum".split(),
)
class ElementwiseOperationRule(ElementwiseMergeRule):
    """Element-wise operations on one tensor, on a tensor and a number, or on several tensors."""

    def refusal(self, call: Call) -> str | None:
        if not all(value is None or isinstance(value, int | float) for value in call.arguments):
            return "it combines each channel with its own number"
        if call.arguments.count(None) != len(call.inputs):
            return "it takes more than tensors and numbers"
        return None

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        channels = call.output_shapes[0][-1]
        stacked = np.stack([np.broadcast_to(value, channels) for value in values])
        known = np.isfinite(stacked).all(0)
        tensors = iter(np.where(known, stacked, 0.0))
        arguments = [next(tensors) if value is None else value for value in call.arguments]
        with np.errstate(all="ignore"):
            result = keras.ops.convert_to_numpy(call.layer.call(*arguments)).astype(np.float64)
        result = np.where(known & np.isfinite(result), result, LIVE)
        if type(call.layer).__name__ == "Multiply":
            result = np.where((stacked == 0).any(0), 0.0, result)
        return [result]

    def neutral_values(self, call: Call) -> list[float | None]:
        neutral = _NEUTRAL.get(type(call.layer).__name__, (None, None))
        return [number for number, value in zip(neutral, call.arguments, strict=False) if value is None]

    def identity(self, call: Call, needed: list[bool]) -> bool:
        neutral = _NEUTRAL.get(type(call.layer).__name__, ())
        pairs = zip(neutral, call.arguments, strict=False)
        changes = [value for number, value in pairs if value is not None and value != number]
        return bool(neutral) and not changes and super().identity(call, needed)
