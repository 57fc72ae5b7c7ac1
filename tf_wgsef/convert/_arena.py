"""How much memory the activations of a file need on a microcontroller."""

import math

from ._schema import Graph

_ALIGNMENT = 16
_LIMIT = 1 << 62
_BYTES = {"float64": 8, "int64": 8, "float32": 4, "int32": 4, "float16": 2, "int16": 2, "int8": 1}
_BYTES |= {"uint8": 1, "bool": 1, "uint32": 4, "uint64": 8, "uint16": 2, "complex64": 8}


def estimate_arena(graph: Graph) -> int | None:
    """Estimates the bytes of the tensor arena that activations share in TFLite Micro.

    Tensors that are alive at the same time get places of their own, the largest first, each at the lowest
    offset that is free during its life: "greedy by size" of Pisarchyk and Lee, Efficient Memory Management
    for Deep Neural Net Inference, arXiv:2001.03288, which TFLite Micro's planner follows. What an
    interpreter adds for its own structures and for scratch space of kernels is not counted: it depends on
    the operators, the kernels and the compiler. Take the figure as a lower bound and measure on the device.

    Args:
        graph: as ``read_graph`` returns it.

    Returns:
        Bytes, or None if a size is unknown or beyond any memory, or the file has several graphs.
    """
    sizes = {}
    for number, tensor in enumerate(graph.tensors):
        if not tensor.stored:
            if tensor.dtype not in _BYTES or any(size < 0 for size in tensor.shape):
                return None
            bytes_ = math.prod(tensor.shape) * _BYTES[tensor.dtype]
            sizes[number] = -(-bytes_ // _ALIGNMENT) * _ALIGNMENT
    if graph.subgraphs != 1:
        return None
    if sum(sizes.values()) > _LIMIT:  # no memory is; the sizes of a damaged file may be
        return None
    return _plan(sizes, _lives(graph))


def _lives(graph: Graph) -> dict[int, tuple[int, int]]:
    """Returns {tensor: (first, last operation that it is alive at)}."""
    lives = {number: (0, 0) for number in graph.inputs.values()}
    for step, operation in enumerate(graph.operations):
        for number in (*operation.inputs, *operation.outputs):
            lives[number] = (lives.get(number, (step, step))[0], step)
    end = len(graph.operations)
    return lives | {number: (lives.get(number, (0, 0))[0], end) for number in graph.outputs.values()}


def _plan(sizes: dict[int, int], lives: dict[int, tuple[int, int]]) -> int:
    placed: list[tuple[int, int, tuple[int, int]]] = []  # (offset, end, life)
    for number in sorted((n for n in lives if n in sizes), key=lambda n: (-sizes[n], lives[n])):
        first, last = lives[number]
        offset = 0
        for start, end, (begin, until) in sorted(placed):
            if begin > last or until < first:
                continue
            if start - offset >= sizes[number]:
                break
            offset = max(offset, end)
        placed.append((offset, offset + sizes[number], (first, last)))
    return max((end for _, end, _ in placed), default=0)
