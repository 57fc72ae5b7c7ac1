"""int8 files of large models, in two steps: the float file first, then its quantization.

TensorFlow's calibrator holds five copies of the float file beside two that it works on. Here LiteRT reads the
ranges off the float file, they are written into it, and TensorFlow's quantizer takes it from there, as it
takes its own calibrator's file: through ``tf.lite.experimental.QuantizationDebugger``, the public way to it.
"""

import numpy as np

from ._int8_weights import quantize_weights
from ._schema import read_graph
from ._write_model import write_model


def fits_two_steps(graph) -> bool:
    """Returns whether all activations of a float file can be seen from outside.

    Those of further graphs cannot, nor those inside fused recurrent operations.

    Args:
        graph: the file, as ``read_graph`` returns it.
    """
    return graph.subgraphs == 1 and not any(
        "LSTM" in one.kind or "RNN" in one.kind for one in graph.operations
    )


def silent_activations(tflite) -> tuple[str, ...]:
    """Returns the names of an int8 file's activations that were 0 (within 1e-6) for all calibration samples.

    TensorFlow's calibrator gives them ±1e-6, so small that XNNPACK refuses what computes them: such as
    the only filter that a layer kept, once its ReLU never lets anything through.

    Args:
        tflite: the file, as the converter made it.
    """
    graph = read_graph(tflite)
    made = [graph.tensors[i] for one in graph.operations for i in one.outputs]
    return tuple(one.name for one in made if one.dtype == "int8" and one.scales and max(one.scales) < 1e-8)


def with_ranges(tflite: bytes, ranges: dict[int, tuple[float, float]], floats=()) -> bytes:
    """Returns a float file with int8 weights, and the ranges where TensorFlow's calibrator leaves them.

    Args:
        tflite: the file; of one graph.
        ranges: from ``read_ranges``.
        floats: names of the outputs of operations that stay in float.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite, 0))
    for number, (low, high) in ranges.items():
        found = schema.QuantizationParametersT()
        found.min, found.max = [low], [high]
        model.subgraphs[0].tensors[number].quantization = found
    quantize_weights(model, ranges, floats)
    return write_model(model)


def quantized(calibrated: bytes, integer_io: bool, floats=()) -> bytes:
    """Returns the int8 file.

    Args:
        calibrated: from ``with_ranges``.
        integer_io: whether the inputs and outputs are int8, too.
        floats: names of the outputs of operations that stay in float.
    """
    import tensorflow as tf

    debug = tf.lite.experimental
    options = debug.QuantizationDebugOptions(fully_quantize=integer_io)
    # It takes a model from a converter only, and tries it at once: a small one, in whose place ours is put.
    debugger = debug.QuantizationDebugger(converter=_small_converter(), debug_options=options)
    debugger.calibrated_model = calibrated
    # Now only: an output of the small model may have a name that is on the list.
    debugger.options = debug.QuantizationDebugOptions(
        fully_quantize=integer_io, denylisted_nodes=list(floats) or None
    )
    return debugger.get_nondebug_quantized_model()


def read_ranges(tflite: bytes, batches) -> dict[int, tuple[float, float]]:
    """Returns the least and the largest value of each float activation, by the number of its tensor.

    Of one that is always 0 the range is (0, 1).

    Args:
        tflite: a float file of one graph.
        batches: dicts of arrays by input name, of the batch of the file.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    graph = read_graph(tflite)
    made = [*graph.inputs.values(), *(i for one in graph.operations for i in one.outputs)]
    numbers = [i for i in dict.fromkeys(made) if graph.tensors[i].dtype == "float32"]
    interpreter = Interpreter(
        model_content=tflite,
        # Without XNNPACK, which computes several operations as one, and with no tensor over another.
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    ranges = dict.fromkeys(numbers, (np.inf, -np.inf))
    for batch in batches:
        for name, number in graph.inputs.items():
            interpreter.set_tensor(number, batch[name])
        interpreter.invoke()
        for number in numbers:
            values, (low, high) = interpreter.get_tensor(number), ranges[number]
            ranges[number] = (min(low, float(values.min())), max(high, float(values.max())))
    # What is always 0 has no scale of its own; up to 1 it is 0 still, and of a size with others.
    return {number: one if any(one) else (0.0, 1.0) for number, one in ranges.items()}


def _small_converter():
    import tensorflow as tf

    module = tf.Module()
    module.weights = tf.Variable(np.eye(4, dtype=np.float32))
    module.serve = tf.function(
        lambda x: tf.matmul(x, module.weights), input_signature=[tf.TensorSpec((1, 4))], autograph=False
    )
    serve = module.serve.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([serve], module)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: [[np.ones((1, 4), np.float32)]]
    return converter
