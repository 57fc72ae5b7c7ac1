"""int16x8 files: the float file first, then its quantization, which is done here.

TensorFlow's converter holds the model, its float file and five copies of that at a time, refuses operations
for which it has no rule, such as those of layer normalization, and quantizes some that LiteRT then computes
wrongly (SUM). For most operations the rules are few: int8 weights with a scale per channel, int16 activations
around zero, int64 biases; the tests hold them against what TensorFlow makes. The others stay in float.
"""

import numpy as np

from tf_wgsef.errors import InputError

from ._edit import copy_tensor, drop_unused_buffers, kinds_of, make_integer, make_operation, read_floats
from ._int16_borders import set_borders
from ._int16_constants import Constants
from ._int16_kinds import CHANNELS, SAME_SCALE, TO_ONE_SCALE, VERSIONS, WITHIN_ONE
from ._int16_types import exact_tensors, is_lookup, types_of
from ._integers import activation_scale, power_of_two
from ._schema import read_graph
from ._write_model import write_model


def int16_file(tflite: bytes, ranges: dict[int, tuple[float, float]], io: str) -> bytes:
    """Returns the int16x8 file.

    Args:
        tflite: the float file.
        ranges: the least and the largest value of each activation of its main graph, by the number of its
            tensor.
        io: "int16" or "float32".
    """
    from ai_edge_litert import schema_py_generated as schema

    read = read_graph(tflite)
    types = types_of(tflite, read, ranges, io)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite, 0))
    graph, kinds = model.subgraphs[0], kinds_of(model)
    ours = [
        (one, kinds[one.opcodeIndex], dtype)
        for one, dtype in zip(graph.operators, types, strict=True)
        if dtype != "float32"
    ]
    lookups = [(one, dtype) for one, kind, dtype in ours if is_lookup(kind, one, read.tensors)]
    tables = {id(one) for one, _ in lookups}
    steps = [(one, kind) for one, kind, _ in ours if id(one) not in tables]
    _set_versions(model, kinds, ours)
    sources = set_borders(model, types, io)
    scales = _given_scales(read, sources, ranges) | _table_scales(model, lookups)
    _add_scales(scales, steps, ranges)
    constants = Constants(model, [one for one, *_ in ours], scales)
    for operation, dtype in lookups:
        constants.quantize_table(operation.inputs[0], operation.outputs[0], dtype)
    for operation, kind in steps:
        if kind in CHANNELS:
            source, weights, axis = CHANNELS[kind]
            biases = operation.inputs[max(source, weights) + 1 :]
            source, weights = operation.inputs[source], operation.inputs[weights]
            seen = activation_scale(*ranges[sources.get(source, source)])
            constants.quantize_weights(operation, source, weights, biases, axis=axis, seen=seen)
        else:
            to_one = kind in TO_ONE_SCALE
            constants.quantize_operands(operation, scales[operation.outputs[0]] if to_one else None)
    if io == "int16":
        constants.quantize_outputs()
    drop_unused_buffers(model)
    for number, scale in scales.items():
        make_integer(graph.tensors[number], "int16", np.array([scale]))
    for operation, kind in steps:
        if kind in TO_ONE_SCALE:
            _bring_to_one_scale(model, operation, scales)
        elif kind in ("ADD", "SUB"):
            operation.builtinOptions.potScaleInt16 = False  # any scale, not only powers of two
    return write_model(model)


def _set_versions(model, kinds, ours) -> None:
    """Lets the entries of a file's list of operations say since when they take integers."""
    for number in {operation.opcodeIndex for operation, *_ in ours}:
        code = model.operatorCodes[number]
        code.version = max(code.version, VERSIONS.get(kinds[number], 2))


def _given_scales(graph, sources, ranges) -> dict[int, np.float32]:
    """Returns the scales of inputs, and of what QUANTIZE gives, by the number of their tensor.

    Those of inputs that must be exact are powers of two: what is whole stays so.
    """
    scales = {number: activation_scale(*ranges[source]) for number, source in sources.items()}
    exact = exact_tensors(graph)
    for name, number in graph.inputs.items():
        if number in scales and number in exact:
            scales[number] = power_of_two(scales[number])
            largest = max(map(abs, ranges[number]))
            if scales[number] > 1:
                raise InputError(
                    f"Expected whole numbers of at most 32767 in an input of int16 that numbers rows, or is "
                    f"compared or rounded. Received: input {name!r} of up to {largest:g}. "
                    f'Pass io="float32".'
                )
    return scales


def _table_scales(model, lookups) -> dict[int, np.float32]:
    """Returns the scales of rows of int16, which are those of their tables."""
    scales = {}
    for operation, dtype in lookups:
        if dtype == "int16":
            table = read_floats(model, model.subgraphs[0].tensors[operation.inputs[0]])
            scales[operation.outputs[0]] = activation_scale(table.min(), table.max())
    return scales


def _add_scales(scales: dict[int, np.float32], steps, ranges) -> None:
    """Adds those of what is computed in int16."""
    for operation, kind in steps:
        for number in operation.outputs:
            if kind in SAME_SCALE:
                scales[number] = scales[operation.inputs[SAME_SCALE[kind]]]
            elif kind in WITHIN_ONE:
                scales[number] = np.float32(2**-15)
            else:
                scales[number] = max(activation_scale(*ranges[number]), _least_scale(operation))


def _least_scale(operation) -> np.float32:
    """Returns the least scale that LiteRT takes: a bound of 6 or 1 in such steps must be an int32."""
    from ai_edge_litert import schema_py_generated as schema

    kinds = schema.ActivationFunctionType
    fused = getattr(operation.builtinOptions, "fusedActivationFunction", kinds.NONE)
    return np.float32(2**-28 if fused in (kinds.RELU6, kinds.RELU_N1_TO_1) else 0)


def _bring_to_one_scale(model, operation, scales):
    """Puts an operation before each input whose scale is not that of the output."""
    graph, (output,) = model.subgraphs[0], operation.outputs
    before = next(i for i, other in enumerate(graph.operators) if other is operation)
    for position, number in enumerate(operation.inputs):
        if scales.get(number, scales[output]) != scales[output]:
            operation.inputs[position] = copy_tensor(graph, number)
            one = graph.tensors[operation.inputs[position]]
            one.name, one.quantization = one.name + b"_requantized", graph.tensors[output].quantization
            graph.operators.insert(
                before, make_operation(model, "QUANTIZE", number, operation.inputs[position])
            )
