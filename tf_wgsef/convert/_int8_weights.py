"""Weights of a float file as int8, before TensorFlow's quantizer sees it: it then works on a quarter.

The quantizer holds a file three times over. Here weights become the integers that it would make of them, each
with an operation that turns it into floats, which the quantizer folds away: files look so after
quantization-aware training.
"""

import copy

import numpy as np

from ._edit import add_buffer, drop_unused_buffers, kinds_of, make_integer, make_operation, read_floats
from ._integers import inverse, rounded, weight_spread

_CHANNELS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}  # which axis of the weights
# TensorFlow has rules of its own for channels of next to nothing, and for biases that outgrow their scale of
# input times weight (from 2³⁰ on): such weights are left to it.
_LEAST_SPREAD = 1e-5
_LARGEST_BIAS = 1 << 24


def quantize_weights(model, ranges: dict[int, tuple[float, float]], floats=()) -> None:
    """Makes the weights of convolutions and dense layers int8, one scale per channel.

    Args:
        model: a float file of one graph, a ``ModelT`` of the generated schema. It is changed.
        ranges: the least and the largest value of each activation, by the number of its tensor.
        floats: names of the outputs of operations that stay in float.
    """
    kinds, graph = kinds_of(model), model.subgraphs[0]
    uses = [int(number) for operation in graph.operators for number in operation.inputs]
    steps = []
    for operation in graph.operators:
        axis = _CHANNELS.get(kinds[operation.opcodeIndex])
        name = graph.tensors[operation.outputs[0]].name.decode()
        if axis is not None and name not in floats and uses.count(int(operation.inputs[1])) == 1:
            spread = _spread(model, operation, axis, ranges)
            if spread is not None:
                steps.append(_stored_as_int8(model, int(operation.inputs[1]), axis, spread))
        steps.append(operation)
    graph.operators = steps
    drop_unused_buffers(model)


def _spread(model, operation, axis, ranges) -> np.ndarray | None:
    """Returns the largest absolute weight of each channel, or None if TensorFlow is to see to them."""
    tensors = model.subgraphs[0].tensors
    source, number, *biases = (int(number) for number in operation.inputs)
    weights = read_floats(model, tensors[number])
    if weights is None or source not in ranges:
        return None
    spread, (low, high) = weight_spread(weights.reshape(tensors[number].shape), axis), ranges[source]
    largest = _LARGEST_BIAS * (high - low) / 255 * spread / 127
    for bias in (read_floats(model, tensors[one]) for one in biases if one >= 0):
        if bias is None or (np.abs(bias) > largest).any():
            return None
    return spread if (spread > _LEAST_SPREAD).all() else None


def _stored_as_int8(model, number, axis, spread):
    """Returns the operation that makes floats of a constant, which is stored as int8 from here on."""
    tensors = model.subgraphs[0].tensors
    floats = tensors[number]
    weights = read_floats(model, floats).reshape(floats.shape)
    scales = (spread.astype(np.float64) / 127).astype(np.float32)
    factors = inverse(scales).reshape([-1 if i == axis else 1 for i in range(weights.ndim)])
    stored = copy.copy(floats)
    stored.buffer = add_buffer(model, rounded(weights, factors, np.int8, 127))
    make_integer(stored, "int8", scales, axis)
    floats.buffer, floats.name = 0, floats.name + b"_float"  # computed now, and folded away
    tensors.append(stored)
    return make_operation(model, "DEQUANTIZE", len(tensors) - 1, number)
