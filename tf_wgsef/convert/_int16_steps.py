"""int16x8 files of large models: the float file first, then its quantization, which is done here.

TensorFlow's converter holds the model, its float file and five copies of that at a time, and has no entrance
for ranges found elsewhere. For networks of convolutions and dense layers the rules are few: int8 weights with
a scale per channel, int16 activations around zero, int64 biases. A file with any other operation is left to
TensorFlow, and the tests hold the others against what TensorFlow makes.
"""

import copy

import numpy as np

from ._integers import activation_scale, inverse, rounded, weight_spread, with_room_for_bias
from ._write_model import write_model

_CHANNELS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}  # which axis of the weights
_PAIRS = {"ADD", "MUL"}  # of two activations, or of one and a constant
_SAME_SCALE = {"AVERAGE_POOL_2D", "MAX_POOL_2D", "PAD", "RESHAPE"}
_WITHIN_ONE = {"LOGISTIC", "SOFTMAX", "TANH"}
_KINDS = {*_CHANNELS, *_PAIRS, *_SAME_SCALE, *_WITHIN_ONE, "MEAN"}
_VERSIONS = {"CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "RESHAPE": 1}  # the others: 2


def fits_int16(graph) -> bool:
    """Returns whether all operations of a float file are known here.

    Args:
        graph: the file, as ``read_graph`` returns it.
    """
    ends = (*graph.inputs.values(), *graph.outputs.values())
    return (
        graph.subgraphs == 1
        and all(graph.tensors[number].dtype == "float32" for number in ends)
        and all(_fits(operation, graph.tensors) for operation in graph.operations)
    )


def int16_file(tflite: bytes, ranges: dict[int, tuple[float, float]], io: str) -> bytes:
    """Returns the int16x8 file.

    Args:
        tflite: the float file, one that ``fits_int16``.
        ranges: the least and the largest value of each activation, by the number of its tensor.
        io: "int16" or "float32".
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite, 0))
    names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    kinds = [names[code.builtinCode] for code in model.operatorCodes]
    for code, kind in zip(model.operatorCodes, kinds, strict=True):
        code.version = max(code.version, _VERSIONS.get(kind, 2))
    graph = model.subgraphs[0]
    steps = [(operation, kinds[operation.opcodeIndex]) for operation in graph.operators]
    scales = _scales(graph, steps, ranges)
    constants = _Constants(model, scales)
    for operation, kind in steps:
        if kind in _CHANNELS:
            constants.quantize_weights(operation, _CHANNELS[kind])
        elif kind in _PAIRS:
            constants.quantize_operands(operation)
    constants.drop_floats()
    for number, scale in scales.items():
        _set_type(graph.tensors[number], schema.TensorType.INT16, np.array([scale]))
    if io == "float32":
        _float_ends(model)
    return write_model(model)


def _fits(operation, tensors) -> bool:
    if operation.kind not in _KINDS:
        return False
    given = [tensors[number] for number in operation.inputs if number >= 0]
    stored = [one.stored > 0 for one in given]
    if operation.kind in _PAIRS:
        return not all(stored)
    if operation.kind in _CHANNELS:
        floats = all(one.dtype == "float32" and not one.sparse for one in given)
        return floats and not stored[0] and all(stored[1:])
    return not stored[0]


def _scales(graph, steps, ranges) -> dict[int, np.float32]:
    """Returns the scale of each activation, by the number of its tensor."""
    scales = {number: activation_scale(*ranges[number]) for number in graph.inputs}
    for operation, kind in steps:
        (number,) = operation.outputs
        if kind in _SAME_SCALE:
            scales[number] = scales[operation.inputs[0]]
        elif kind in _WITHIN_ONE:
            scales[number] = np.float32(2**-15)
        else:
            scales[number] = activation_scale(*ranges[number])
    return scales


class _Constants:
    """The weights, biases and constant operands of a file, from float to integers."""

    def __init__(self, model, scales):
        self._model, self._scales = model, scales
        self._graph = model.subgraphs[0]
        self._made = {}
        self._separate()

    def quantize_weights(self, operation, axis):
        from ai_edge_litert import schema_py_generated as schema

        weights, *bias = (self._graph.tensors[number] for number in operation.inputs[1:] if number >= 0)
        kernel, step = self._floats(weights), self._scales[operation.inputs[0]]
        spread = weight_spread(kernel, axis)
        for one in bias:
            spread = with_room_for_bias(spread, self._floats(one), step)
        steps = spread / np.float32(127)
        shape = [-1 if i == axis else 1 for i in range(kernel.ndim)]
        self._put(weights, (np.int8, 127), steps, inverse(spread, 127).reshape(shape), axis)
        for one in bias:
            self._put(one, (np.int64, 1 << 62), step * steps, inverse(step * steps))
        if hasattr(operation.builtinOptions, "quantizedBiasType"):
            operation.builtinOptions.quantizedBiasType = schema.TensorType.INT64

    def quantize_operands(self, operation):
        for number in operation.inputs:
            if number not in self._scales:
                operand = self._graph.tensors[number]
                values = self._floats(operand)
                step = np.array([activation_scale(values.min(), values.max())])
                self._put(operand, (np.int16, 32767), step, inverse(step).reshape([1] * values.ndim))

    def drop_floats(self):
        """Empties the buffers that nothing takes any more."""
        taken = {one.buffer for one in (*self._graph.tensors, *(self._model.metadata or []))}
        for number, buffer in enumerate(self._model.buffers):
            if number not in taken:
                buffer.data = None

    def _separate(self):
        """Gives each use of a constant a tensor of its own: the scale depends on the use."""
        seen = set()
        for operation in self._graph.operators:
            operation.inputs = [int(number) for number in operation.inputs]  # as read, they are read-only
            for position, number in enumerate(operation.inputs):
                if number in seen and number >= 0 and number not in self._scales:
                    operation.inputs[position] = len(self._graph.tensors)
                    self._graph.tensors.append(copy.copy(self._graph.tensors[number]))
                seen.add(number)

    def _floats(self, tensor):
        return np.asarray(self._model.buffers[tensor.buffer].data).view(np.float32).reshape(tensor.shape)

    def _put(self, tensor, kind, steps, factors, axis=0):
        """Stores a tensor's values times ``factors``; those stored like that already are shared."""
        from ai_edge_litert import schema_py_generated as schema

        dtype, limit = kind
        key = (tensor.buffer, dtype, steps.tobytes())
        if key not in self._made:
            buffer = schema.BufferT()
            buffer.data = rounded(self._floats(tensor), factors, dtype, limit).reshape(-1).view(np.uint8)
            self._made[key] = len(self._model.buffers)
            self._model.buffers.append(buffer)
        tensor.buffer = self._made[key]
        _set_type(tensor, getattr(schema.TensorType, np.dtype(dtype).name.upper()), steps, axis)


def _set_type(tensor, kind, steps, axis=0):
    from ai_edge_litert import schema_py_generated as schema

    tensor.type, tensor.quantization = kind, schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = steps, np.zeros(len(steps), np.int64)
    tensor.quantization.quantizedDimension = axis


def _float_ends(model):
    """Puts an operation before each input and after each output, so that both are float."""
    from ai_edge_litert import schema_py_generated as schema

    graph, (signature,) = model.subgraphs[0], model.signatureDefs
    graph.inputs, graph.outputs = list(graph.inputs), list(graph.outputs)
    ends = ((graph.inputs, signature.inputs, "QUANTIZE"), (graph.outputs, signature.outputs, "DEQUANTIZE"))
    for numbers, named, kind in ends:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        code.version = 2
        model.operatorCodes.append(code)
        for position, number in enumerate(list(numbers)):
            inner, outer = graph.tensors[number], len(graph.tensors)
            graph.tensors.append(copy.copy(inner))
            graph.tensors[outer].type, graph.tensors[outer].quantization = schema.TensorType.FLOAT32, None
            inner.name += b"_int16"
            operation = schema.OperatorT()
            operation.opcodeIndex = len(model.operatorCodes) - 1
            first, last = (outer, number) if kind == "QUANTIZE" else (number, outer)
            operation.inputs, operation.outputs = [first], [last]
            graph.operators.insert(0 if kind == "QUANTIZE" else len(graph.operators), operation)
            numbers[position] = outer
            for one in named:
                if one.tensorIndex == number:
                    one.tensorIndex = outer
