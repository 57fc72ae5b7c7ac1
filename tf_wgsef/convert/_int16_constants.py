"""Weights, biases and constant operands of an int16x8 file."""

import hashlib

import numpy as np

from ._edit import add_buffer, copy_tensor, make_integer, read_floats
from ._integers import activation_scale, inverse, rounded, weight_spread, with_room_for_bias


class Constants:
    """Those of a float file, made integers one by one.

    Args:
        model: the file, a ``ModelT`` of the generated schema. It is changed.
        operations: those that compute with integers.
        scales: what one step of each activation is worth, by the number of its tensor.
    """

    def __init__(self, model, operations, scales: dict[int, np.float32]):
        self._model, self._scales = model, scales
        self._graph = model.subgraphs[0]
        self._made = {}
        self._separate(operations)

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

    def quantize_operands(self, operation, step: np.float32 | None = None) -> None:
        """Makes what an operation adds, multiplies or compares with int16, where that is no activation.

        Args:
            operation: an ``OperatorT``.
            step: what one step is to be worth; by default what the values need.
        """
        for number in self._floats(operation.inputs):
            self.quantize(number, step)

    def quantize_outputs(self) -> None:
        """Makes outputs of the file that are constants int16."""
        for number in self._floats(self._graph.outputs):
            self.quantize(number)

    def quantize(self, number: int, step: np.float32 | None = None) -> None:
        """Makes a constant int16.

        Args:
            number: of the tensor.
            step: what one step is to be worth; by default what the values need.
        """
        values = read_floats(self._model, self._graph.tensors[number])
        if step is None:
            step = activation_scale(values.min(), values.max())
        steps = np.array([step])
        self._put(self._graph.tensors[number], rounded(values, inverse(steps), np.int16, 32767), steps)

    def quantize_table(self, table: int, rows: int, dtype: str) -> None:
        """Makes a table, and the rows that are looked up in it, integers of one scale.

        Args:
            table: number of the constant.
            rows: number of the output.
            dtype: "int8" or "int16".
        """
        if dtype == "int16":
            self.quantize(table, self._scales[rows])
            return
        table, rows = self._graph.tensors[table], self._graph.tensors[rows]
        values = read_floats(self._model, table)
        spread = max(-values.min(), values.max()) or np.float32(1)
        steps = np.array([spread / np.float32(127)])
        self._put(table, rounded(values, inverse(steps), np.int8, 127), steps)
        make_integer(rows, "int8", steps)

    def _floats(self, numbers) -> list[int]:
        """Returns those of constants that are still floats."""
        from ai_edge_litert import schema_py_generated as schema

        floats, tensors = schema.TensorType.FLOAT32, self._graph.tensors
        given = [number for number in numbers if number >= 0 and number not in self._scales]
        return [number for number in given if tensors[number].type == floats]

    def _separate(self, operations):
        """Gives each use of floats a tensor of its own: the scale of a bias depends on the use."""
        ours = {id(one) for one in operations}
        seen = {int(n) for one in self._graph.operators if id(one) not in ours for n in one.inputs}
        for operation in operations:
            for number in self._floats(operation.inputs):
                if number in seen:
                    operation.inputs[operation.inputs.index(number)] = copy_tensor(self._graph, number)
                seen.add(number)

    def _put(self, tensor, values, steps, axis=0):
        """Stores the integers of a tensor, equal ones once."""
        key = hashlib.sha256(values).digest()
        if key not in self._made:
            self._made[key] = add_buffer(self._model, values)
        tensor.buffer = self._made[key]
        make_integer(tensor, values.dtype.name, steps, axis)
