"""int16x8 files without TensorFlow's second calibration.

With ``experimental_new_quantizer``, its default, TensorFlow's converter calibrates twice for int16x8: it
writes the ranges into a file, at the price of five copies, and then does not use it. Without it that is left
out. The file is the same, but for what ``tidied`` takes away.
"""

from ._write_model import write_model


def calibrate_once(converter) -> None:
    """Sets a ``TFLiteConverter`` for int16x8 up so that it reads the calibration once."""
    converter.experimental_new_quantizer = False


def tidied(tflite: bytes) -> bytes:
    """Returns a file with inputs and outputs of int16 as TensorFlow's default way names them.

    Without the new quantizer they are float at first, each with an operation that quantizes; when TensorFlow
    takes those away, the names that it gave to make room for them stay, and so does the operations' entry in
    the file's list.

    Args:
        tflite: the file.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite, 0))
    used = sorted({one.opcodeIndex for graph in model.subgraphs for one in graph.operators or []})
    model.operatorCodes = [model.operatorCodes[index] for index in used]
    for graph in model.subgraphs:
        for operation in graph.operators or []:
            operation.opcodeIndex = used.index(operation.opcodeIndex)
        for number in (*graph.inputs, *graph.outputs):  # an input that is an output was renamed twice
            tensor = graph.tensors[number]
            if tensor.type == schema.TensorType.INT16:
                tensor.name = tensor.name.removesuffix(b"_int16")
    return write_model(model)
