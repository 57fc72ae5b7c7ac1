"""Changes to a ``.tflite`` file of the generated schema's objects."""

import copy

import numpy as np


def read_floats(model, tensor) -> np.ndarray | None:
    """Returns a constant of float32 or float16, flat, or None if a tensor is none.

    Args:
        model: a ``ModelT``.
        tensor: a ``TensorT``.
    """
    from ai_edge_litert import schema_py_generated as schema

    types = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.FLOAT16: np.float16}
    data = model.buffers[tensor.buffer].data
    if tensor.type not in types or data is None or not len(data):
        return None
    return np.asarray(data).view(types[tensor.type])


def add_buffer(model, values: np.ndarray) -> int:
    """Returns the number of a new buffer.

    Args:
        model: a ``ModelT``. It is changed.
        values: what goes into it.
    """
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = values.reshape(-1).view(np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def copy_tensor(graph, number: int) -> int:
    """Returns the number of a new tensor, a copy.

    Args:
        graph: a ``SubGraphT``. It is changed.
        number: of the tensor.
    """
    graph.tensors.append(copy.copy(graph.tensors[number]))
    return len(graph.tensors) - 1


def drop_unused_buffers(model) -> None:
    """Empties the buffers that nothing takes any more.

    Args:
        model: a ``ModelT``. It is changed.
    """
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    taken = {one.buffer for one in (*tensors, *(model.metadata or []))}
    for number, buffer in enumerate(model.buffers):
        if number not in taken:
            buffer.data = None


def make_integer(tensor, dtype: str, steps: np.ndarray, axis: int = 0, zero_point: int = 0) -> None:
    """Makes a tensor one of integers.

    Args:
        tensor: a ``TensorT``. It is changed.
        dtype: such as "int16".
        steps: what one step is worth: an array of one number, or one for each channel.
        axis: that of the channels.
        zero_point: the integer that is zero.
    """
    from ai_edge_litert import schema_py_generated as schema

    tensor.type = getattr(schema.TensorType, dtype.upper())
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = steps
    tensor.quantization.zeroPoint = np.full(len(steps), zero_point, np.int64)
    tensor.quantization.quantizedDimension = axis


def make_operation(model, kind: str, source: int, target: int, version: int = 2):
    """Returns an operation of one input, one output and no options.

    Args:
        model: a ``ModelT``. A kind that is new to it is added to its list.
        kind: such as "QUANTIZE".
        source: number of the input tensor.
        target: that of the output.
        version: of a kind that is new.
    """
    from ai_edge_litert import schema_py_generated as schema

    number = getattr(schema.BuiltinOperator, kind)
    known = [code.builtinCode for code in model.operatorCodes]
    if number not in known:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = number
        code.version = version
        model.operatorCodes.append(code)
        known.append(number)
    operation = schema.OperatorT()
    operation.opcodeIndex = known.index(number)
    operation.inputs, operation.outputs = [source], [target]
    return operation


def kinds_of(model) -> list[str]:
    """Returns what each entry of a file's list of operations is, such as "CONV_2D".

    Args:
        model: a ``ModelT``.
    """
    from ai_edge_litert import schema_py_generated as schema

    names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    return [names[code.builtinCode] for code in model.operatorCodes]
