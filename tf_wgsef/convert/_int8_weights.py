"""Weights of a float file as int8, before TensorFlow's quantizer sees it: it then works on a quarter.

The quantizer holds a file three to five times over. Here weights become the integers that it would make of
them, each with an operation that turns it into floats, which the quantizer folds away: files look so after
quantization-aware training.
"""

import collections
import copy
import dataclasses

import numpy as np

from ._edit import add_buffer, drop_unused_buffers, kinds_of, make_integer, make_operation, read_floats
from ._integers import inverse, rounded, rounded_around, weight_spread

_CHANNELS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}  # which axis of the weights
_TO_ONE_SCALE = {"CONCATENATION", "MAXIMUM", "MINIMUM", "PACK"}
# TensorFlow has rules of its own for channels of next to nothing, and for biases that outgrow their scale of
# input times weight (from 2³⁰ on): such weights are left to it.
_LEAST_SPREAD = 1e-5
_LARGEST_BIAS = 1 << 24


@dataclasses.dataclass(frozen=True)
class Stored:
    """A constant as integers.

    Attributes:
        number: of the tensor.
        values: the integers.
        scales: what one step is worth, one or one per channel.
        axis: that of the channels.
        zero_point: the integer that is zero.
    """

    number: int
    values: np.ndarray
    scales: np.ndarray
    axis: int = 0
    zero_point: int = 0


def quantize_weights(model, ranges: dict[int, tuple[float, float]], floats=()) -> None:
    """Makes the weights of convolutions, dense layers, embeddings and products of matrices int8.

    Args:
        model: a float file of one graph, a ``ModelT`` of the generated schema. It is changed.
        ranges: the least and the largest value of each activation, by the number of its tensor.
        floats: names of the outputs of operations that stay in float.
    """
    kinds, graph = kinds_of(model), model.subgraphs[0]
    uses = collections.defaultdict(list)
    for operation in graph.operators:
        for number in operation.inputs:
            uses[int(number)].append(kinds[operation.opcodeIndex])
    steps = []
    for operation in graph.operators:
        kind, output = kinds[operation.opcodeIndex], int(operation.outputs[0])
        left = kind not in _MAKERS or graph.tensors[output].name.decode() in floats
        if kind == "GATHER" and _TO_ONE_SCALE.intersection(uses[output]):
            left = True  # what comes out gets another scale
        if not left and len(uses[int(operation.inputs[_weights_position(kind)])]) == 1:
            stored = _MAKERS[kind](model, operation, kind, ranges)
            steps += [] if stored is None else [_store(model, stored)]
        steps.append(operation)
    graph.operators = steps
    drop_unused_buffers(model)


def _weights_position(kind) -> int:
    return 0 if kind == "GATHER" else 1


def _of_channels(model, operation, kind, ranges) -> Stored | None:
    """Returns weights with a scale per channel, or None if TensorFlow is to see to them."""
    source, number, *biases = (int(number) for number in operation.inputs)
    weights, axis = _constant(model, number), _CHANNELS[kind]
    if weights is None or source not in ranges:
        return None
    spread, (low, high) = weight_spread(weights, axis), ranges[source]
    if not (spread > _LEAST_SPREAD).all():
        return None
    largest = _LARGEST_BIAS * (high - low) / 255 * spread / 127
    for bias in (_constant(model, one) for one in biases if one >= 0):
        if bias is None or (np.abs(bias) > largest).any():
            return None
    scales = (spread.astype(np.float64) / 127).astype(np.float32)
    factors = inverse(scales).reshape([-1 if i == axis else 1 for i in range(weights.ndim)])
    return Stored(number, rounded(weights, factors, np.int8, 127), scales, axis)


def _of_a_product(model, operation, kind, ranges) -> Stored | None:
    """Returns the constant that activations are multiplied with, on a scale of its own."""
    number = int(operation.inputs[1])
    weights = _constant(model, number)
    return None if weights is None else _whole(number, weights, weights.min(), weights.max(), np.float64)


def _of_a_lookup(model, operation, kind, ranges) -> Stored | None:
    """Returns the table that rows are taken from, on the scale of what comes out."""
    number, target = int(operation.inputs[0]), int(operation.outputs[0])
    table = _constant(model, number)
    return (
        None if table is None or target not in ranges else _whole(number, table, *ranges[target], np.float32)
    )


_MAKERS = {
    **dict.fromkeys(_CHANNELS, _of_channels),
    "BATCH_MATMUL": _of_a_product,
    "GATHER": _of_a_lookup,
}


def _whole(number, values, low, high, precision) -> Stored | None:
    """Returns a constant with one scale, for all from ``low`` to ``high`` and zero.

    TensorFlow computes that in double precision for a constant, in single for an activation.
    """
    low, high = precision(min(low, 0)), precision(max(high, 0))
    if not high - low > _LEAST_SPREAD:
        return None
    step = (high - low) / precision(255)
    zero_point = int(np.clip(np.floor(-128 - low / step + 0.5), -128, 127))
    integers = rounded_around(values, np.float32(step), zero_point)
    return Stored(number, integers, np.array([step], np.float32), zero_point=zero_point)


def _store(model, stored: Stored):
    """Returns the operation that makes floats of a constant, which is stored as int8 from here on."""
    tensors = model.subgraphs[0].tensors
    floats = tensors[stored.number]
    integers = copy.copy(floats)
    integers.buffer = add_buffer(model, stored.values)
    make_integer(integers, "int8", stored.scales, stored.axis, stored.zero_point)
    floats.buffer, floats.name = 0, floats.name + b"_float"  # computed now, and folded away
    tensors.append(integers)
    return make_operation(model, "DEQUANTIZE", len(tensors) - 1, stored.number)


def _constant(model, number) -> np.ndarray | None:
    tensor = model.subgraphs[0].tensors[number]
    values = read_floats(model, tensor)
    return None if values is None else values.reshape(tensor.shape)
