"""int16x8 files of large models: the float file first, then its quantization, which is done here.

TensorFlow's converter holds the model, its float file and five copies of that at a time, and has no entrance
for ranges found elsewhere. For most operations the rules are few: int8 weights with
a scale per channel, int16 activations around zero, int64 biases. A file with any other operation is left to
TensorFlow, and the tests hold the others against what TensorFlow makes.
"""

import copy

import numpy as np

from ._edit import drop_unused_buffers, kinds_of, make_integer, make_operation
from ._int16_constants import Constants
from ._integers import activation_scale
from ._write_model import write_model

# Where the activation and the weights are among the inputs, and which axis of the weights is the channels'.
_CHANNELS = {
    "CONV_2D": (0, 1, 0),
    "DEPTHWISE_CONV_2D": (0, 1, 3),
    "FULLY_CONNECTED": (0, 1, 0),
    "TRANSPOSE_CONV": (2, 1, 0),
}
_PAIRS = {"ADD", "MUL", "SUB"}  # of two activations, or of one and a constant
_TO_ONE_SCALE = {"CONCATENATION", "MAXIMUM", "MINIMUM", "PACK"}  # that of the output
# Where the activation is whose scale the outputs keep.
_SAME_SCALE = {
    "AVERAGE_POOL_2D": 0,
    "GATHER": 0,
    "MAX_POOL_2D": 0,
    "MIRROR_PAD": 0,
    "PAD": 0,
    "REDUCE_MAX": 0,
    "RESHAPE": 0,
    "RESIZE_BILINEAR": 0,
    "REVERSE_V2": 0,
    "SPLIT": 1,
    "STRIDED_SLICE": 0,
    "TILE": 0,
    "TRANSPOSE": 0,
    "UNPACK": 0,
}
_WITHIN_ONE = {"LOGISTIC", "SOFTMAX", "TANH"}
_BY_RANGE = {"ABS", "BATCH_MATMUL", "EXP", "GELU", "LEAKY_RELU", "LOG", "MEAN", "RELU", "RELU6"}
_KINDS = {*_CHANNELS, *_PAIRS, *_TO_ONE_SCALE, *_SAME_SCALE, *_WITHIN_ONE, *_BY_RANGE}
_VERSIONS = {  # of the others: 2
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "RESHAPE": 1,
    "RESIZE_BILINEAR": 3,
    "REVERSE_V2": 3,
    "TILE": 3,
    "TRANSPOSE_CONV": 3,
    "UNPACK": 1,
}


def fits_int16(graph) -> bool:
    """Returns whether all operations of a float file are known here.

    Args:
        graph: the file, as ``read_graph`` returns it.
    """
    ends = (*graph.inputs.values(), *graph.outputs.values())
    return (
        graph.subgraphs == 1
        and len(graph.operations) > 0
        and all(_computed(graph.tensors[number]) for number in ends)
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
    kinds = kinds_of(model)
    for code, kind in zip(model.operatorCodes, kinds, strict=True):
        code.version = max(code.version, _VERSIONS.get(kind, 2))
    graph = model.subgraphs[0]
    steps = [(operation, kinds[operation.opcodeIndex]) for operation in graph.operators]
    scales = _scales(graph, steps, ranges)
    constants = Constants(model, scales)
    for operation, kind in steps:
        if kind in _CHANNELS:
            source, weights, axis = _CHANNELS[kind]
            biases = operation.inputs[max(source, weights) + 1 :]
            seen = activation_scale(*ranges[operation.inputs[source]])
            taken = (operation.inputs[source], operation.inputs[weights], biases)
            constants.quantize_weights(operation, *taken, axis=axis, seen=seen)
        elif kind in _PAIRS:
            constants.quantize_operands(operation)
            if kind != "MUL":
                operation.builtinOptions.potScaleInt16 = False  # any scale, not only powers of two
    drop_unused_buffers(model)
    for number, scale in scales.items():
        make_integer(graph.tensors[number], "int16", np.array([scale]))
    for operation, kind in steps:
        if kind in _TO_ONE_SCALE:
            _bring_to_one_scale(model, operation, scales)
    if io == "float32":
        _float_ends(model)
    return write_model(model)


def _fits(operation, tensors) -> bool:
    if operation.kind not in _KINDS or any(tensors[i].dtype != "float32" for i in operation.outputs):
        return False
    given = [None if number < 0 else tensors[number] for number in operation.inputs]
    if operation.kind in _CHANNELS:
        source, weights, _ = _CHANNELS[operation.kind]
        constants = [given[weights], *given[max(source, weights) + 1 :]]
        return _computed(given[source]) and all(one is None or _constant(one) for one in constants)
    if operation.kind in _PAIRS:
        return any(map(_computed, given)) and all(_computed(one) or _constant(one) for one in given)
    if operation.kind in _SAME_SCALE:
        return _computed(given.pop(_SAME_SCALE[operation.kind])) and all(one.stored for one in given)
    return all(map(_computed, given)) or (operation.kind == "MEAN" and _computed(given[0]))


def _computed(tensor) -> bool:
    return tensor.dtype == "float32" and not tensor.stored


def _constant(tensor) -> bool:
    return tensor.dtype == "float32" and tensor.stored > 0 and not tensor.sparse


def _scales(graph, steps, ranges) -> dict[int, np.float32]:
    """Returns the scale of each activation, by the number of its tensor."""
    scales = {number: activation_scale(*ranges[number]) for number in graph.inputs}
    for operation, kind in steps:
        for number in operation.outputs:
            if kind in _SAME_SCALE:
                scales[number] = scales[operation.inputs[_SAME_SCALE[kind]]]
            elif kind in _WITHIN_ONE:
                scales[number] = np.float32(2**-15)
            else:
                scales[number] = activation_scale(*ranges[number])
    return scales


def _bring_to_one_scale(model, operation, scales):
    """Puts an operation before each input whose scale is not that of the output."""
    graph, (output,) = model.subgraphs[0], operation.outputs
    before = next(i for i, other in enumerate(graph.operators) if other is operation)
    for position, number in enumerate(operation.inputs):
        if scales[number] != scales[output]:
            operation.inputs[position] = _copy(graph, number)
            one = graph.tensors[operation.inputs[position]]
            one.name, one.quantization = one.name + b"_requantized", graph.tensors[output].quantization
            graph.operators.insert(
                before, make_operation(model, "QUANTIZE", number, operation.inputs[position])
            )


def _float_ends(model):
    """Puts an operation before each input and after each output, so that both are float."""
    from ai_edge_litert import schema_py_generated as schema

    graph, (signature,) = model.subgraphs[0], model.signatureDefs
    graph.inputs, graph.outputs = list(graph.inputs), list(graph.outputs)
    ends = ((graph.inputs, signature.inputs, "QUANTIZE"), (graph.outputs, signature.outputs, "DEQUANTIZE"))
    for numbers, named, kind in ends:
        for position, inner in enumerate(numbers):
            outer = numbers[position] = _copy(graph, inner)
            graph.tensors[outer].type, graph.tensors[outer].quantization = schema.TensorType.FLOAT32, None
            graph.tensors[inner].name += b"_int16"
            first = kind == "QUANTIZE"
            pair = (outer, inner) if first else (inner, outer)
            graph.operators.insert(0 if first else len(graph.operators), make_operation(model, kind, *pair))
            for one in named:
                one.tensorIndex = outer if one.tensorIndex == inner else one.tensorIndex


def _copy(graph, number) -> int:
    """Returns the number of a new tensor, a copy."""
    graph.tensors.append(copy.copy(graph.tensors[number]))
    return len(graph.tensors) - 1
