"""Batch normalization folded into the weights before it, as values: the graph stays what it is.

TensorFlow's converter does it too, and holds each kernel once more for that. Here a convolution or a dense
layer takes the factors of the batch normalization behind it, which is left with factors of exactly 1.
"""

import collections
from collections.abc import Iterator

import numpy as np

from ._flat import channel_graph


def folded_values(flat) -> Iterator[tuple]:
    """Yields (variable, the value that it has with batch normalization folded).

    A layer takes it over if nothing else reads what it computes, both are used once, and nothing in the model
    can read their variables but they themselves.

    Args:
        flat: a functional Keras model. It is only read.
    """
    graph = channel_graph(flat)
    if graph is None or graph.barriers() or not all(map(_reads_its_own, graph.calls)):
        return
    uses = collections.Counter(id(call.layer) for call in graph.calls)
    readers = collections.defaultdict(list)
    for call in graph.calls:
        for key in call.inputs:
            readers[key].append(call)
    for key in graph.outputs:
        readers[key].append(None)
    for call in graph.calls:
        if len(call.outputs) == 1 and len(behind := readers[call.outputs[0]]) == 1 and behind[0] is not None:
            pair = (call, behind[0])
            if all(uses[id(one.layer)] == 1 and one.times == 1 for one in pair) and _fits(*pair):
                yield from _folded(call.layer, behind[0].layer)


def _reads_its_own(call) -> bool:
    """Whether an application is known to read no other layer's variables: others would get folded ones."""
    import keras

    code = (call.layer, getattr(call.layer, "activation", None))
    origins = {getattr(one, "__module__", "keras").partition(".")[0] for one in code}
    given = keras.tree.flatten(call.arguments)
    return origins <= {"keras", "tf_wgsef"} and not any(isinstance(one, keras.Variable) for one in given)


def _fits(call, behind) -> bool:
    import keras

    layer, norm = call.layer, behind.layer
    return (
        type(norm) is keras.layers.BatchNormalization
        and norm.axis in (-1, len(call.output_shapes[0]) - 1)
        and type(layer) in _layouts()
        and layer.activation is keras.activations.linear
        and getattr(layer, "data_format", "channels_last") == "channels_last"
        and isinstance(layer.kernel, keras.Variable)  # and no sum with the products of LoRA
        and layer.kernel.dtype == norm.moving_mean.dtype == "float32"
    )


def _layouts():
    """Returns, by layer, how factors of the output channels are laid out to multiply the kernel."""
    from keras import layers

    dense = (layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D)
    transposed = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
    depthwise = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)
    return {
        **dict.fromkeys(dense, lambda factors, kernel: factors),
        **dict.fromkeys(transposed, lambda factors, kernel: factors[:, None]),
        **dict.fromkeys(depthwise, lambda factors, kernel: factors.reshape(kernel.shape[-2:])),
    }


def _variances_of_one(count: int, epsilon: float) -> np.ndarray:
    """Returns variances of which batch normalization makes factors of exactly 1, as computed here.

    Where TensorFlow has AVX-512, its ``rsqrt(1)`` is 0.9999999 in full vectors, and 1 in what is left over.
    """
    import keras

    one = np.float32(1)
    below = np.nextafter(one, np.float32(0))
    found = np.full(count, one - np.float32(epsilon), np.float32)
    for total in (one, below, np.nextafter(below, np.float32(0)), np.nextafter(one, np.float32(2))):
        variances = np.full(count, total - np.float32(epsilon), np.float32)
        exact = keras.ops.rsqrt(keras.ops.convert_to_tensor(variances) + epsilon) == 1
        found = np.where(keras.ops.convert_to_numpy(exact), variances, found)
    return found


def _folded(layer, norm):
    def read(variable, otherwise=None):
        return otherwise if variable is None else np.asarray(variable.numpy()).astype(np.float64)

    factors = read(norm.gamma, 1.0) / np.sqrt(read(norm.moving_variance) + norm.epsilon)
    kernel = np.asarray(layer.kernel.numpy())
    yield layer.kernel, (kernel * _layouts()[type(layer)](factors, kernel)).astype(np.float32)
    if layer.bias is not None:
        yield layer.bias, (read(layer.bias) * factors).astype(np.float32)
    if norm.gamma is not None:
        yield norm.gamma, np.ones(factors.shape, np.float32)
    yield norm.moving_mean, (read(norm.moving_mean) * factors).astype(np.float32)
    yield norm.moving_variance, _variances_of_one(factors.size, norm.epsilon)
