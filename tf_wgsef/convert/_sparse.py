"""Which layers of a file are stored sparse, and which of them a runtime can compute so.

XNNPACK, the CPU kernels of LiteRT, keeps a chain of layers in channels-first order and skips zero weights of
the 1×1 convolutions in it. Its conditions are read in its source (``xnn_check_nchw_compatibility`` and
``xnn_subgraph_rewrite_for_nchw`` in ``src/subgraph.c``), not measured: whether it is faster is for
``tf_wgsef.compare_latency`` to say, on the device.
"""

import dataclasses
import math

import numpy as np

from tf_wgsef.errors import InputError

from ._schema import Graph, Operation, Tensor, read_buffer, read_graph

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_IN_CHAIN = {"ADD", "MUL", "RELU", "RELU6", "RELU_N1_TO_1", "LOGISTIC", "HARD_SWISH", "LEAKY_RELU", "ABS"}
_IN_CHAIN |= {"NEG", "SQUARE", "ELU", "RESIZE_BILINEAR"}
_ENDS = {"MEAN", "DEPTH_TO_SPACE"}
_BYTES = {"float32": 4, "float16": 2, "int8": 1}
_THRESHOLD = 2 / 3
_FAST_ON = "sparse kernel on ARM, none on x86 with AVX"


@dataclasses.dataclass(frozen=True)
class SparseLayer:
    """One layer with weights.

    Attributes:
        name: of its tensor of weights.
        kind: of its operation.
        zeros: share of the weights that are zero.
        stored: whether only what is not zero is stored.
        bytes: of its weights in the file.
        dense_bytes: that they would take otherwise.
        obstacle: why sparse kernels do not take it; None if they do, on processors that have them.
    """

    name: str
    kind: str
    zeros: float
    stored: bool
    bytes: int
    dense_bytes: int
    obstacle: str | None

    def __str__(self) -> str:
        sizes = f"{self.bytes:,} of {self.dense_bytes:,} bytes"
        stored = f"stored sparse, {sizes}" if self.stored else "stored dense"
        speed = f"no sparse kernel: {self.obstacle}" if self.obstacle else _FAST_ON
        return f"{self.kind} {self.name.partition(';')[0]!r}: {self.zeros:.0%} zeros, {stored}; {speed}"


def sparse_layers(tflite) -> tuple[SparseLayer, ...]:
    """Returns the layers with weights of a file, in order of execution.

    Args:
        tflite: the file: its bytes, or its path.

    Example:
        >>> [layer.stored for layer in sparse_layers(tflite)]
        [False, False]
    """
    graph = read_graph(tflite)
    _check_inputs(graph)
    makers = {number: one for one in graph.operations for number in one.outputs}
    found = {}
    for operation in graph.operations:
        if operation.kind in _WEIGHTED:
            weights = _stored(operation.inputs[1], graph, makers)
            if weights is not None:
                found[operation] = (weights, *_zeros(tflite, weights))
    chain, reason = _chain(graph, makers)
    obstacles = _obstacles(found, chain, reason, graph)
    return tuple(
        SparseLayer(
            name=weights.name,
            kind=operation.kind,
            zeros=zeros / total if total else 0.0,
            stored=weights.sparse,
            bytes=weights.stored,
            dense_bytes=total * _BYTES.get(weights.dtype, 0),
            obstacle=obstacles[operation],
        )
        for operation, (weights, zeros, total) in found.items()
    )


def _check_inputs(graph: Graph) -> None:
    """Raises on operations without the inputs that are looked at below: a damaged file."""
    for one in graph.operations:
        needed = 2 if one.kind in _WEIGHTED else one.kind in ("DENSIFY", "DEQUANTIZE", "PAD")
        if len(one.inputs) < needed or min(one.inputs[:needed], default=0) < 0:
            raise InputError(
                f"Expected a whole .tflite file. Received: {one.kind} without its inputs. Convert the model "
                f"again."
            )


def _stored(number: int, graph: Graph, makers) -> Tensor | None:
    """Returns the constant behind a tensor, through what only unpacks it."""
    while number in makers:
        if makers[number].kind not in ("DENSIFY", "DEQUANTIZE"):
            return None
        number = makers[number].inputs[0]
    return graph.tensors[number] if graph.tensors[number].stored else None


def _zeros(tflite, weights: Tensor) -> tuple[int, int]:
    total, size = math.prod(weights.shape), _BYTES.get(weights.dtype, 0)
    content = read_buffer(tflite, weights.buffer)
    if not size:
        return 0, total
    if len(content) % size:
        raise InputError(
            f"Expected a whole .tflite file. Received: {len(content)} bytes of weights in {weights.dtype}. "
            f"Convert the model again."
        )
    values = np.frombuffer(content, f"V{size}")
    if weights.sparse:
        return total - len(values), total
    # All bytes zero: +0.0; TensorFlow writes no other zero of its own.
    return total - int(np.count_nonzero(values.view(f"u{size}"))), total


def _obstacles(found, chain, reason, graph) -> dict[Operation, str | None]:
    pointwise = [one for one in found if one in chain and _is_pointwise(one, graph)]
    zeros = sum(found[one][1] for one in pointwise)
    total = sum(found[one][2] for one in pointwise)
    obstacles = {}
    for one in found:
        if one.kind != "CONV_2D" or not _is_pointwise(one, graph):
            obstacles[one] = "not a 1×1 convolution of stride 1"
        elif one not in chain:
            obstacles[one] = reason
        elif zeros <= _THRESHOLD * total:
            obstacles[one] = (
                f"the 1×1 convolutions of its chain are {zeros / total:.0%} zeros, not more than 67 %"
            )
        else:
            obstacles[one] = None
    return obstacles


def _chain(graph: Graph, makers) -> tuple[set[Operation], str]:
    """Returns the operations that may be computed channels first, and why others may not."""
    users: dict[int, list[Operation]] = {}
    for operation in graph.operations:
        for number in operation.inputs:
            users.setdefault(number, []).append(operation)
    stems = [one for one in graph.operations if _is_stem(one, graph, makers)]
    if not stems:
        return set(), (
            "no stem: a 3×3 convolution of 3 input channels and stride 2, behind ZeroPadding2D(1) and with "
            "padding='valid'"
        )
    chain, waiting = set(stems), list(stems)
    while waiting:
        for user in (user for number in waiting.pop().outputs for user in users.get(number, [])):
            if user in chain or user.kind in _ENDS:
                continue
            if not _fits_chain(user, graph):
                name = user.output.partition(";")[0]
                return set(), f"its chain meets {user.kind} {name!r}, which has no such kernel"
            chain.add(user)
            waiting.append(user)
    return chain, "not in the chain of layers that starts at the stem"


def _fits_chain(one: Operation, graph: Graph) -> bool:
    if one.kind == "CONV_2D":
        return _is_pointwise(one, graph)
    if one.kind == "DEPTHWISE_CONV_2D":
        window = graph.tensors[one.inputs[1]].shape[1:3]
        symmetric = one.padding == "same" if one.strides == (1, 1) else False
        return window in ((3, 3), (5, 5)) and symmetric and one.multiplier == 1
    return one.kind in _IN_CHAIN


def _is_pointwise(one: Operation, graph: Graph) -> bool:
    return graph.tensors[one.inputs[1]].shape[1:3] == (1, 1) and one.strides == (1, 1)


def _is_stem(one: Operation, graph: Graph, makers) -> bool:
    if one.kind != "CONV_2D" or one.strides != (2, 2) or one.padding != "valid":
        return False
    padded = makers.get(one.inputs[0])
    return graph.tensors[one.inputs[1]].shape[1:] == (3, 3, 3) and padded is not None and padded.kind == "PAD"
