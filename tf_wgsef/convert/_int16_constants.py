"""Weights, biases and constant operands of an int16x8 file."""

import copy
import hashlib

import numpy as np

from ._edit import add_buffer, make_integer, read_floats
from ._integers import activation_scale, inverse, rounded, weight_spread, with_room_for_bias


class Constants:
    """Those of a float file, made integers one by one.

    Args:
        model: the file, a ``ModelT`` of the generated schema. It is changed.
        scales: what one step of each activation is worth, by the number of its tensor.
    """

    def __init__(self, model, scales: dict[int, np.float32]):
        self._model, self._scales = model, scales
        self._graph = model.subgraphs[0]
        self._made = {}
        self._separate()

    def quantize_weights(self, operation, source: int, weights: int, biases, *, axis: int, seen) -> None:
        """Makes the weights of an operation int8, and its bias int64.

        Args:
            operation: an ``OperatorT``.
            source: number of the activation.
            weights: number of the weights.
            biases: number of the bias, if there is one; -1 is none as well.
            axis: of the weights: that of the channels.
            seen: what one step of the input would be worth by its own range; pooling keeps its input's scale.
        """
        from ai_edge_litert import schema_py_generated as schema

        weights, *biases = (self._graph.tensors[number] for number in (weights, *biases) if number >= 0)
        kernel, step = read_floats(self._model, weights).reshape(weights.shape), self._scales[source]
        spread = weight_spread(kernel, axis)
        for bias in biases:
            spread = with_room_for_bias(spread, read_floats(self._model, bias), seen)
        steps = spread / np.float32(127)
        factors = inverse(spread, 127).reshape([-1 if i == axis else 1 for i in range(kernel.ndim)])
        self._put(weights, rounded(kernel, factors, np.int8, 127), steps, axis)
        for bias in biases:
            values = rounded(read_floats(self._model, bias), inverse(step * steps), np.int64, 1 << 62)
            self._put(bias, values, step * steps)
        if hasattr(operation.builtinOptions, "quantizedBiasType"):
            operation.builtinOptions.quantizedBiasType = schema.TensorType.INT64

    def quantize_operands(self, operation) -> None:
        """Makes what an operation adds or multiplies with int16, where that is no activation.

        Args:
            operation: an ``OperatorT``.
        """
        for number in operation.inputs:
            if number not in self._scales:
                operand = self._graph.tensors[number]
                values = read_floats(self._model, operand)
                step = np.array([activation_scale(values.min(), values.max())])
                self._put(operand, rounded(values, inverse(step), np.int16, 32767), step)

    def _separate(self):
        """Gives each use of floats a tensor of its own: the scale of a bias depends on the use."""
        from ai_edge_litert import schema_py_generated as schema

        tensors, seen = self._graph.tensors, set()
        for operation in self._graph.operators:
            operation.inputs = [int(number) for number in operation.inputs]  # as read, they are read-only
            for position, number in enumerate(operation.inputs):
                if number < 0 or number in self._scales or tensors[number].type != schema.TensorType.FLOAT32:
                    continue
                if number in seen:
                    operation.inputs[position] = len(tensors)
                    tensors.append(copy.copy(tensors[number]))
                seen.add(number)

    def _put(self, tensor, values, steps, axis=0):
        """Stores the integers of a tensor, equal ones once."""
        key = hashlib.sha256(values).digest()
        if key not in self._made:
            self._made[key] = add_buffer(self._model, values)
        tensor.buffer = self._made[key]
        make_integer(tensor, values.dtype.name, steps, axis)
