"""What a ``.tflite`` file holds: operators, weights, inputs and outputs, sizes."""

import collections
import dataclasses
import hashlib

from tf_wgsef.validation import read_tflite

from ._arena import estimate_arena
from ._metadata import read_metadata
from ._schema import Graph, Operation, Tensor, read_graph

_FLOATS = ("float16", "float32", "float64", "bfloat16")
# These only change the type of a tensor; what they change from or to is no arithmetic in float.
_CASTS = ("QUANTIZE", "DEQUANTIZE")
_LOOKUPS = ("GATHER", "EMBEDDING_LOOKUP")  # they copy integers, also where these become floats at once
_NAMED = 6  # kinds that a line for people names


@dataclasses.dataclass(frozen=True)
class Port:
    """One input or output.

    Attributes:
        name: its name in the signature.
        shape: its shape, the batch first; an unknown size is -1.
        dtype: its type, such as ``"int8"``.
        scale: of its quantization, real = scale · (integer - zero_point); 0 if it has none.
        zero_point: the integer that stands for 0.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int

    def __str__(self) -> str:
        shape = " × ".join(map(str, self.shape))
        scale = f", real = {self.scale:.4g} · (integer - {self.zero_point})" if self.scale else ""
        return f"{self.name!r}: {self.dtype} {shape}{scale}"


@dataclasses.dataclass(frozen=True)
class Weights:
    """One buffer of constants.

    Attributes:
        operator: kind of the first operation that takes it.
        name: the tensor's name.
        shape: its shape.
        dtype: its type.
        bytes: its size in the file.
        sparse: whether only what is not zero is stored.
    """

    operator: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    sparse: bool


@dataclasses.dataclass(frozen=True)
class FileContents:
    """What a file holds.

    Attributes:
        bytes: its size.
        sha256: its hash.
        operators: {kind: how often}, most frequent first.
        float_operators: those of them that compute with floats, likewise.
        integer_operators: those that compute with integers that stand for floats, likewise.
        custom: operators that are no builtins, also inside loops and branches; names that start with Flex are
            TensorFlow's own, which LiteRT lacks.
        inputs: of the signature.
        outputs: of the signature.
        weights: buffers of constants, largest first.
        sections: {"weights" | "metadata" | "structure": bytes}; they add up to ``bytes``.
        arena_bytes: estimate of the memory for activations on a microcontroller, see ``estimate_arena``;
            None if sizes are unknown or the file has several graphs.
        metadata: what ``convert`` wrote about the model; None if there is nothing.
    """

    bytes: int
    sha256: str
    operators: dict[str, int]
    float_operators: dict[str, int]
    integer_operators: dict[str, int]
    custom: tuple[str, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    weights: tuple[Weights, ...]
    sections: dict[str, int]
    arena_bytes: int | None
    metadata: dict | None

    @property
    def integer_only(self) -> bool:
        """Whether no operation computes with floats."""
        return not self.float_operators

    @property
    def computes_with(self) -> str:
        """What its operations compute with: integers, floats, or both."""
        if self.integer_only:
            return "integers"
        return "both" if self.integer_operators else "floats"

    @property
    def numbers(self) -> str:
        """What it computes with, for people."""
        if self.computes_with != "both":
            return f"{self.computes_with} only"
        named = [f"{count} {kind}" for kind, count in self.float_operators.items()]
        if len(named) > _NAMED + 1:
            named[_NAMED:] = [f"{len(named) - _NAMED} other kinds"]
        return f"integers, and floats in {', '.join(named)}"

    @property
    def flex(self) -> tuple[str, ...]:
        """TensorFlow's own operators, such as ``FlexMatrixDeterminant``: only the Flex delegate runs them."""
        return tuple(name for name in self.custom if name.startswith("Flex"))

    def to_dict(self) -> dict:
        """Returns the contents as JSON types."""
        return dataclasses.asdict(self) | {"integer_only": self.integer_only}


def read_contents(tflite) -> FileContents:
    """Reads what a file holds; nothing in it is run.

    Args:
        tflite: the file: its bytes, or its path.

    Raises:
        InputError: if it is no ``.tflite`` file, or a damaged one.

    Example:
        >>> read_contents(tflite).operators
        {'FULLY_CONNECTED': 2}
    """
    data = read_tflite(tflite)
    graph = read_graph(data)
    weights = _weights(graph)
    stored = sum(one.bytes for one in weights)
    told = sum(graph.buffers[number] for number in graph.metadata.values())
    floats, integers = [], []
    for one in graph.operations:
        if one.kind not in _CASTS and _takes(one, graph, lambda tensor: tensor.dtype in _FLOATS):
            floats.append(one)
        elif one.kind not in _CASTS + _LOOKUPS and _takes(one, graph, lambda tensor: tensor.scales):
            integers.append(one)
    return FileContents(
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        operators=_counted(graph.operations),
        float_operators=_counted(floats),
        integer_operators=_counted(integers),
        custom=graph.custom,
        inputs=tuple(_port(name, graph.tensors[i]) for name, i in graph.inputs.items()),
        outputs=tuple(_port(name, graph.tensors[i]) for name, i in graph.outputs.items()),
        weights=weights,
        sections={"weights": stored, "metadata": told, "structure": len(data) - stored - told},
        arena_bytes=estimate_arena(graph),
        metadata=read_metadata(data, graph),
    )


def _takes(operation: Operation, graph: Graph, is_such) -> bool:
    """Whether such a tensor is among what an operation takes and gives."""
    return any(is_such(graph.tensors[i]) for i in (*operation.inputs, *operation.outputs) if i >= 0)


def _counted(operations) -> dict[str, int]:
    return dict(collections.Counter(one.kind for one in operations).most_common())


def _port(name: str, tensor: Tensor) -> Port:
    scale = tensor.scales[0] if len(tensor.scales) == 1 else 0.0
    zero_point = tensor.zero_points[0] if len(tensor.zero_points) == 1 else 0
    return Port(name, tensor.shape, tensor.dtype, scale, zero_point)


def _weights(graph: Graph) -> tuple[Weights, ...]:
    found = {}
    for operation in graph.operations:
        for number in operation.inputs:
            tensor = graph.tensors[number] if number >= 0 else None
            if tensor is not None and tensor.stored and tensor.buffer not in found:
                found[tensor.buffer] = Weights(
                    operation.kind, tensor.name, tensor.shape, tensor.dtype, tensor.stored, tensor.sparse
                )
    return tuple(sorted(found.values(), key=lambda one: -one.bytes))
