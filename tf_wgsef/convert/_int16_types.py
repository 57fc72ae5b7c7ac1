"""Which operations of an int16x8 file compute with integers: by kind, and by the values that they meet."""

import math

import numpy as np

from ._int16_kinds import BY_RANGE, CHANNELS, EXACT, LOOKUP, PAIRS, SAME_SCALE, TO_ONE_SCALE, WITHIN_ONE
from ._schema import view_floats

_LARGEST = 1e30  # LiteRT ends the process on scales near the largest float
# Of the values that share one scale, by how much the largest may exceed another's: a mask of -1e9 would leave
# nothing of the scores that it is added to. From 2¹⁴ on LiteRT ends the process, or turns signs over.
_APART = 1024
_SUMMANDS = 1 << 16  # times 2¹⁵ they fill the int32 that LiteRT adds them up in
_TABLE_APART = (8, 4096)  # of a table: up to which int8 and int16 keep the small values
_POSITIONS = 64  # of a softmax: LiteRT gives each 2 steps of 2⁻¹⁵, however small it is


def types_of(tflite, graph, ranges, end: str) -> list[str]:
    """Returns what each operation gives.

    That is "int16", "int8" if it looks rows of such a table up, or "float32" if it is left. What is made in
    float stays so until it meets integers or weights, and by a product also then: a variance that is
    quantized between the operations of a normalization can be next to 0 where it should not.

    Args:
        tflite: the float file.
        graph: the same, as ``read_graph`` returns it.
        ranges: the least and the largest value of each activation, by the number of its tensor.
        end: type of the file's inputs and outputs: "int16" or "float32".
    """
    sizes, exact = _Sizes(tflite, graph, ranges), exact_tensors(graph)
    types, floats = [], set(graph.inputs.values()) if end == "float32" else set()
    for operation in graph.operations:
        dtype = _type(operation, graph.tensors, sizes, exact)
        given = {n for n in operation.inputs if n >= 0 and _computed(graph.tensors[n])}
        goes_on = operation.kind == "MUL" and not given.isdisjoint(floats)
        if dtype == "int16" and given and operation.kind not in CHANNELS and (goes_on or given <= floats):
            dtype = "float32"
        if dtype == "float32":
            floats.update(operation.outputs)
        types.append(dtype)
    return types


def exact_tensors(graph) -> set[int]:
    """Returns the numbers of the tensors that lead to numbers of elements, comparisons or roundings.

    Args:
        graph: the float file, as ``read_graph`` returns it.
    """
    exact = set()
    for operation in reversed(graph.operations):
        goes_on = operation.kind not in CHANNELS and not exact.isdisjoint(operation.outputs)
        if operation.kind in EXACT or goes_on:
            exact.update(operation.inputs)
    return exact


def is_lookup(kind: str, operation, tensors) -> bool:
    """Returns whether an operation of a float file takes rows of a constant.

    Args:
        kind: such as "GATHER".
        operation: with the ``inputs`` that it has in that file.
        tensors: of that file.
    """
    return kind == LOOKUP and _constant(tensors[int(operation.inputs[0])])


class _Sizes:
    """The largest absolute values of a file's tensors."""

    def __init__(self, tflite, graph, ranges):
        self._tflite, self._tensors, self._ranges = tflite, graph.tensors, ranges

    def of(self, number: int) -> float:
        """Returns that of an activation or a constant."""
        if number in self._ranges:
            return max(map(abs, self._ranges[number]))
        values = self._read(number)
        return float(max(-values.min(), values.max()))

    def apart(self, number: int) -> float:
        """Returns by how much a table's largest value exceeds what is small in it.

        That is what a tenth of the rows are less than, or of the columns; or twelve times the least row.
        """
        table = self._read(number).reshape(self._tensors[number].shape[0], -1)
        rows, columns = (np.maximum(-table.min(axis=i), table.max(axis=i)) for i in (1, 0))
        rows, columns = rows[rows > 0], columns[columns > 0]
        if not len(rows):
            return 1.0
        small = min(np.quantile(rows, 0.1), np.quantile(columns, 0.1), 12 * rows.min())
        return float(rows.max() / small)

    def _read(self, number):
        return view_floats(self._tflite, self._tensors[number].buffer)


def _type(operation, tensors, sizes: _Sizes, exact: set[int]) -> str:
    kind, given = operation.kind, [None if n < 0 else tensors[n] for n in operation.inputs]
    is_exact = not exact.isdisjoint(operation.outputs)
    if any(tensors[number].dtype != "float32" for number in operation.outputs):
        return "float32"
    if is_lookup(kind, operation, tensors):
        return "float32" if is_exact else _table_type(sizes.apart(operation.inputs[0]))
    if kind in CHANNELS:
        source, weights, _ = CHANNELS[kind]
        constants = [given[weights], *given[max(source, weights) + 1 :]]
        fits = _computed(given[source]) and all(one is None or _constant(one) for one in constants)
    elif kind in PAIRS | TO_ONE_SCALE:
        fits = any(map(_computed, given)) and all(_computed(one) or _constant(one) for one in given)
    elif kind in SAME_SCALE:
        fits = _computed(given.pop(SAME_SCALE[kind])) and all(one.dtype == "int32" for one in given)
    else:
        known = kind in WITHIN_ONE | BY_RANGE
        fits = known and all(_computed(one) or one.dtype == "int32" for one in given)
    if is_exact and kind not in CHANNELS and kind not in SAME_SCALE:
        fits = False
    return "int16" if fits and _holds(operation, tensors, sizes) else "float32"


def _holds(operation, tensors, sizes: _Sizes) -> bool:
    """Returns whether integers hold what an operation meets, and LiteRT computes with them rightly."""
    kind, (output, *_) = operation.kind, operation.outputs
    if kind in CHANNELS:
        return max(sizes.of(operation.inputs[CHANNELS[kind][0]]), sizes.of(output)) < _LARGEST
    given = [sizes.of(n) for n in operation.inputs if n >= 0 and tensors[n].dtype == "float32"]
    made = [sizes.of(number) for number in operation.outputs]
    if not max(*given, *made) < _LARGEST:
        return False
    if kind in {"ADD", "SUB"} | TO_ONE_SCALE:
        there = [size for size in (*given, *made) if size > 0]
        return not there or max(there) <= _APART * min(there)
    if kind == "MUL":
        return math.prod(given) <= 2**15 * made[0]
    if kind in WITHIN_ONE:
        positions = tensors[output].shape[-1] if kind == "SOFTMAX" else 1
        return made[0] * 2**15 >= _APART and positions <= _POSITIONS
    if kind in ("MEAN", "AVERAGE_POOL_2D"):
        before, after = (math.prod(tensors[n].shape) for n in (operation.inputs[0], output))
        return before <= _SUMMANDS * after
    return True


def _table_type(apart: float) -> str:
    """Returns the type of a table: one scale is to hold all of it."""
    limits = zip(_TABLE_APART, ("int8", "int16"), strict=True)
    return next((dtype for limit, dtype in limits if apart <= limit), "float32")


def _computed(tensor) -> bool:
    return tensor.dtype == "float32" and not tensor.stored


def _constant(tensor) -> bool:
    return tensor.dtype == "float32" and tensor.stored > 0 and not tensor.sparse
