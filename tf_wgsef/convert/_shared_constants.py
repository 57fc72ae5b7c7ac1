"""Equal constants of a ``.tflite`` file, stored once."""

import collections
import hashlib


def share_constants(model) -> None:
    """Lets tensors of equal constants have one buffer; the other buffers are emptied.

    A runtime only reads them: what it writes to has no data in the file.

    Args:
        model: a ``ModelT`` of the generated schema.
    """
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors or []]
    numbers = sorted({tensor.buffer for tensor in tensors if _size(model.buffers[tensor.buffer])})
    of_size = collections.Counter(_size(model.buffers[number]) for number in numbers)
    first, instead = {}, {}
    for number in numbers:
        buffer = model.buffers[number]
        if of_size[_size(buffer)] > 1:
            instead[number] = first.setdefault(hashlib.sha256(buffer.data).digest(), number)
    for tensor in tensors:
        tensor.buffer = instead.get(tensor.buffer, tensor.buffer)
    for number, kept in instead.items():
        if number != kept:
            model.buffers[number].data = None


def _size(buffer) -> int:
    return 0 if buffer.data is None else len(buffer.data)
