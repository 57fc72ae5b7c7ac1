"""Weights that are mostly zero, stored as what is not zero and where.

TensorFlow has this as an optimization of its converter, ``EXPERIMENTAL_SPARSITY``. It holds the file seven
times over, makes it larger where a third of the weights is zero, and answers NaN for blocks in float16. The
rules here are otherwise those of its pass (``dense_to_sparse.cc``): weights are compressed row by row, or in
blocks of 1×4, for which dense layers have a kernel; in front of others goes an operation that unpacks them.
"""

import copy
import dataclasses

import numpy as np

from ._edit import add_buffer, drop_unused_buffers, kinds_of, make_operation, read_floats
from ._write_model import write_model

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
_LEAST_ZEROS = 0.3
_BLOCK = 4
_LEAST_IN_BLOCKS = 0.9  # how much of the zeros must be in blocks of zeros
_DENSE_LAYER_OF_BLOCKS = 8  # the version of FULLY_CONNECTED
_INDICES = (("Uint8Vector", np.uint8), ("Uint16Vector", np.uint16), ("Int32Vector", np.int32))
_TABLES = 512  # bytes of tables that a compressed tensor brings along, and the operation before it


@dataclasses.dataclass(frozen=True)
class _Compressed:
    """What is not zero of a matrix, row by row.

    Attributes:
        values: what is not zero: numbers, or blocks of four.
        segments: where each row starts among them, and the end.
        columns: where each of them is in its row.
    """

    values: np.ndarray
    segments: np.ndarray
    columns: np.ndarray

    @property
    def bytes(self) -> int:
        return self.values.nbytes + self.segments.nbytes + self.columns.nbytes + _TABLES


def compressed(tflite: bytes) -> bytes:
    """Returns a file with weights compressed of which 30 % or more are zero, where that makes it smaller.

    Args:
        tflite: a file of float32 or float16 weights.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite, 0))
    kinds = kinds_of(model)
    for graph in model.subgraphs:
        before = {}
        for number, users in _weights(graph, kinds).items():
            values = read_floats(model, graph.tensors[number])
            if values is None or not 0 < np.count_nonzero(values) <= (1 - _LEAST_ZEROS) * values.size:
                continue  # a constant without any value would be none
            values = values.reshape(graph.tensors[number].shape)
            of_dense_layers = all(kinds[one.opcodeIndex] == "FULLY_CONNECTED" for one in users)
            blocks = of_dense_layers and _fits_blocks(values)
            smaller = _compress(values, blocks)
            if smaller.bytes >= values.nbytes:
                continue
            _store(model, graph.tensors[number], smaller, values.shape)
            if blocks:
                code = model.operatorCodes[users[0].opcodeIndex]
                code.version = max(code.version, _DENSE_LAYER_OF_BLOCKS)
            else:
                unpack = _unpack(model, graph, number, users)
                before.setdefault(id(users[0]), []).append(unpack)
        graph.operators = [one for user in graph.operators for one in (*before.get(id(user), ()), user)]
    drop_unused_buffers(model)
    return write_model(model)


def _weights(graph, kinds) -> dict[int, list]:
    """Returns the operations that take each tensor of weights: those that compute, or make float32 of it.

    What anything else reads, too, is left out: LiteRT unpacks it for its fast kernels only.
    """
    makers, users, found = {}, {}, {}
    for operation in graph.operators:
        operation.inputs = [int(number) for number in _listed(operation.inputs)]
        makers |= {int(number): operation for number in _listed(operation.outputs)}
        for number in operation.inputs:
            users.setdefault(number, []).append(operation)
    results = {int(number) for number in graph.outputs}

    def is_weights(number):
        return number not in results and all(
            kinds[one.opcodeIndex] in _WEIGHTED and one.inputs.index(number) == 1 for one in users[number]
        )

    for operation in graph.operators:
        if kinds[operation.opcodeIndex] in _WEIGHTED and is_weights(number := operation.inputs[1]):
            maker = makers.get(number)
            if maker is None:
                found[number] = users[number]
            elif kinds[maker.opcodeIndex] == "DEQUANTIZE" and len(users[maker.inputs[0]]) == 1:
                found[maker.inputs[0]] = [maker]
    return found


def _listed(numbers):
    return () if numbers is None else numbers  # as the schema reads an empty list


def _fits_blocks(values) -> bool:
    if values.ndim != 2 or values.shape[1] % _BLOCK:
        return False
    zeros = values.size - np.count_nonzero(values)
    in_blocks = _BLOCK * np.count_nonzero(~values.reshape(-1, _BLOCK).any(axis=1))
    return in_blocks > _LEAST_IN_BLOCKS * zeros


def _compress(values, blocks) -> _Compressed:
    rows = values.reshape(-1, values.shape[-1])
    if blocks:
        rows = rows.reshape(len(rows), -1, _BLOCK)
    kept = rows.any(axis=-1) if blocks else rows != 0
    ends = np.cumsum(np.count_nonzero(kept, axis=1))
    segments, columns = np.concatenate([[0], ends]), np.nonzero(kept)[1]
    return _Compressed(rows[kept], _smallest(segments), _smallest(columns))


def _smallest(numbers):
    """Returns non-negative integers in the smallest type that the format has for them."""
    largest = numbers.max(initial=0)
    return numbers.astype(next(dtype for _, dtype in _INDICES if largest <= np.iinfo(dtype).max))


def _store(model, tensor, smaller, shape) -> None:
    from ai_edge_litert import schema_py_generated as schema

    inner = smaller.values.shape[1:]  # of blocks
    tensor.buffer = add_buffer(model, smaller.values)
    tensor.sparsity = schema.SparsityParametersT()
    tensor.sparsity.traversalOrder = np.arange(len(shape) + len(inner), dtype=np.int32)
    tensor.sparsity.blockMap = np.ones(len(inner), np.int32)
    rows = schema.DimensionMetadataT()
    rows.format = schema.DimensionType.SPARSE_CSR
    rows.arraySegmentsType, rows.arraySegments = _table(smaller.segments)
    rows.arrayIndicesType, rows.arrayIndices = _table(smaller.columns)
    tensor.sparsity.dimMetadata = [*map(_dense, shape[:-1]), rows, *map(_dense, inner)]


def _dense(size):
    from ai_edge_litert import schema_py_generated as schema

    dimension = schema.DimensionMetadataT()
    dimension.format, dimension.denseSize = schema.DimensionType.DENSE, int(size)
    return dimension


def _table(numbers):
    """Returns the type and the table of some integers."""
    from ai_edge_litert import schema_py_generated as schema

    name = next(name for name, dtype in _INDICES if numbers.dtype == dtype)
    table = getattr(schema, f"{name}T")()
    table.values = numbers
    return getattr(schema.SparseIndexVector, name), table


def _unpack(model, graph, number, users):
    """Returns the operation that unpacks a tensor; its users take what comes out."""
    tensor = copy.copy(graph.tensors[number])
    tensor.name, tensor.buffer, tensor.sparsity = tensor.name + b"_dense", 0, None
    graph.tensors.append(tensor)
    unpacked = len(graph.tensors) - 1
    for user in users:
        user.inputs = [unpacked if one == number else one for one in user.inputs]
    return make_operation(model, "DENSIFY", number, unpacked, version=1)
