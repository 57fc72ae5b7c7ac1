"""The tables of a ``.tflite`` file, as LiteRT's own generated schema reads them."""

import dataclasses
import functools
import struct

import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.validation import read_tflite


@dataclasses.dataclass(frozen=True)
class Tensor:
    """One tensor.

    Attributes:
        name: its name.
        shape: its shape; an unknown size is -1.
        dtype: its type, such as ``"int8"``.
        buffer: number of its buffer; 0 for none.
        stored: bytes of its buffer; 0 for an activation.
        scales: scales of its quantization, one or one per channel; empty if it is not quantized.
        zero_points: as many zero points.
        sparse: whether only what is not zero is stored.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    buffer: int
    stored: int
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    sparse: bool


@dataclasses.dataclass(frozen=True)
class Operation:
    """One operation of the main graph.

    Attributes:
        kind: such as ``"CONV_2D"``; a custom operation by its own name, such as ``"FlexErfinv"``.
        custom: whether it is no builtin of the runtime.
        inputs: numbers of its input tensors; -1 for one that is left out.
        outputs: numbers of its output tensors.
        names: names of its output and of its constant inputs.
        output: the name of its first output.
        strides: of a convolution, (vertical, horizontal); (0, 0) of anything else.
        padding: of a convolution, "same" or "valid"; empty of anything else.
        multiplier: outputs per channel of a depthwise convolution; 0 of anything else.
    """

    kind: str
    custom: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    names: tuple[str, ...]
    output: str
    strides: tuple[int, int] = (0, 0)
    padding: str = ""
    multiplier: int = 0


@dataclasses.dataclass(frozen=True)
class Graph:
    """What is read of a file.

    Attributes:
        tensors: of the main graph.
        operations: of the main graph, in order of execution.
        inputs: {name in the signature: number of the tensor}.
        outputs: as well.
        subgraphs: number of graphs; more than one with loops or branches.
        buffers: bytes of each buffer.
        metadata: {name: number of the buffer}.
        custom: operations of all graphs that are no builtins of the runtime.
    """

    tensors: tuple[Tensor, ...]
    operations: tuple[Operation, ...]
    inputs: dict[str, int]
    outputs: dict[str, int]
    subgraphs: int
    buffers: tuple[int, ...]
    metadata: dict[str, int]
    custom: tuple[str, ...]


def operations(tflite) -> tuple[Operation, ...]:
    """Returns the operations of a file, in order of execution.

    Args:
        tflite: the file: its bytes, or its path.
    """
    return read_graph(tflite).operations


def read_graph(tflite) -> Graph:
    """Reads the tables of a file; its weights are not copied.

    Args:
        tflite: the file: its bytes, or its path.

    Raises:
        InputError: if it is no ``.tflite`` file, or a damaged one.
    """
    data = read_tflite(tflite)
    try:
        return _read(_root(data))
    except (struct.error, IndexError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _damaged(data, error) from error


def read_buffer(tflite, number: int) -> bytes:
    """Returns the bytes of one buffer.

    Args:
        tflite: the file: its bytes, or its path.
        number: from ``Graph.metadata`` or ``Tensor.buffer``.

    Raises:
        InputError: if there is none.
    """
    data = read_tflite(tflite)
    try:
        return _root(data).Buffers(number).DataAsNumpy().tobytes()
    except (struct.error, IndexError, ValueError, TypeError, AttributeError) as error:
        raise _damaged(data, error) from error


def view_floats(tflite, number: int) -> np.ndarray:
    """Returns the float32 values of one buffer, flat, without a copy.

    Args:
        tflite: the bytes of a whole file.
        number: from ``Tensor.buffer``.
    """
    return _root(tflite).Buffers(number).DataAsNumpy().view(np.float32)


def _root(data):
    from ai_edge_litert import schema_py_generated as schema

    return schema.Model.GetRootAs(data, 0)


def _damaged(data, error):
    return InputError(
        f"Expected a whole .tflite file. Received: {len(data)} bytes that cannot be read to the end "
        f"({type(error).__name__}). Convert the model again."
    )


def _read(model) -> Graph:
    sizes = tuple(model.Buffers(i).DataLength() for i in range(model.BuffersLength()))
    graph = model.Subgraphs(0)
    tensors = tuple(_tensor(graph.Tensors(i), sizes) for i in range(graph.TensorsLength()))
    codes = [_code(model.OperatorCodes(i)) for i in range(model.OperatorCodesLength())]
    found = tuple(_operation(graph.Operators(i), codes, tensors) for i in range(graph.OperatorsLength()))
    inputs, outputs = _signature(model, graph, tensors)
    entries = (model.Metadata(i) for i in range(model.MetadataLength()))
    metadata = {_text(entry.Name()): entry.Buffer() for entry in entries}
    used = [i for one in found for i in (*one.inputs, *one.outputs) if i != -1]
    _check_numbers([*used, *inputs.values(), *outputs.values()], len(tensors))
    _check_numbers(metadata.values(), len(sizes))
    return Graph(
        tensors=tensors,
        operations=found,
        inputs=inputs,
        outputs=outputs,
        subgraphs=model.SubgraphsLength(),
        buffers=sizes,
        metadata=metadata,
        custom=tuple(dict.fromkeys(kind for kind, custom in codes if custom)),
    )


def _check_numbers(numbers, count):
    if not all(0 <= number < count for number in numbers):
        raise IndexError("a number of a tensor or buffer that is not there")


def _tensor(tensor, sizes) -> Tensor:
    quantization = tensor.Quantization()
    scales = quantization.ScaleAsNumpy() if quantization and quantization.ScaleLength() else ()
    if not np.isfinite(scales).all():
        raise ValueError("a scale that is no number")
    zeros = quantization.ZeroPointAsNumpy() if quantization and quantization.ZeroPointLength() else ()
    return Tensor(
        name=_text(tensor.Name()),
        shape=tuple(map(int, np.atleast_1d(tensor.ShapeAsNumpy()))) if tensor.ShapeLength() else (),
        dtype=_names("TensorType")[tensor.Type()].lower(),
        buffer=tensor.Buffer(),
        stored=sizes[tensor.Buffer()],
        scales=tuple(map(float, scales)),
        zero_points=tuple(map(int, zeros)),
        sparse=tensor.Sparsity() is not None,
    )


def _operation(operation, codes, tensors) -> Operation:
    kind, custom = codes[operation.OpcodeIndex()]
    inputs = tuple(operation.Inputs(i) for i in range(operation.InputsLength()))
    outputs = tuple(operation.Outputs(i) for i in range(operation.OutputsLength()))
    constants = [tensors[i].name for i in inputs if i >= 0 and tensors[i].stored]
    names = [tensors[i].name for i in outputs]
    return Operation(
        kind,
        custom,
        inputs,
        outputs,
        names=(*names, *constants),
        output=names[0] if names else "",
        **_window(kind, operation.BuiltinOptions()),
    )


def _window(kind, options) -> dict:
    from ai_edge_litert import schema_py_generated as schema

    kinds = {"CONV_2D": schema.Conv2DOptions, "DEPTHWISE_CONV_2D": schema.DepthwiseConv2DOptions}
    if kind not in kinds or options is None:
        return {}
    found = kinds[kind]()
    found.Init(options.Bytes, options.Pos)
    return {
        "strides": (found.StrideH(), found.StrideW()),
        "padding": "same" if found.Padding() == schema.Padding.SAME else "valid",
        "multiplier": found.DepthMultiplier() if kind == "DEPTHWISE_CONV_2D" else 0,
    }


def _code(code):
    # Codes from 127 on do not fit the older field.
    number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
    name = _names("BuiltinOperator").get(number, f"operator {number}")
    return (_text(code.CustomCode()), True) if name == "CUSTOM" else (name, False)


def _signature(model, graph, tensors):
    """Returns inputs and outputs in the order of the graph, by their names in the signature, if any."""
    ins = [graph.Inputs(i) for i in range(graph.InputsLength())]
    outs = [graph.Outputs(i) for i in range(graph.OutputsLength())]
    names = [{tensors[i].name: i for i in numbers} for numbers in (ins, outs)]
    if model.SignatureDefsLength():
        signature = model.SignatureDefs(0)
        pairs = (
            [signature.Inputs(i) for i in range(signature.InputsLength())],
            [signature.Outputs(i) for i in range(signature.OutputsLength())],
        )
        names = [{_text(one.Name()): one.TensorIndex() for one in maps} for maps in pairs]
    return tuple(
        dict(sorted(found.items(), key=lambda item: order.index(item[1]) if item[1] in order else len(order)))
        for found, order in zip(names, (ins, outs), strict=True)
    )


@functools.cache
def _names(kind) -> dict[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    return {number: name for name, number in vars(getattr(schema, kind)).items() if isinstance(number, int)}


def _text(value) -> str:
    """Returns a name from a file, without control characters: it may be shown on a terminal."""
    text = (value or b"").decode("utf-8", errors="replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
