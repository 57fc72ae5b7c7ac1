"""Keras model -> ``.tflite`` bytes, the one file that imports TensorFlow.

The path is a SavedModel that holds the model's variables: as constants in its graph they were copied over
and over, 28 times the model's size in memory against 7 (ConvNeXtBase). ``from_concrete_functions`` on a
Keras 3 model leaves the variables out of the file, which then answers NaN without any error;
``TFLiteConverter.from_keras_model`` is right, but neither fixes the batch nor lets us name outputs.
"""

import re
import tempfile

from tf_wgsef.errors import ConversionError

from ._flat import output_names
from ._quiet import quiet


def export_tflite(flat, specs, *, quantization, samples, io, batch_size) -> bytes:
    """Returns the ``.tflite`` file of a model.

    Args:
        flat: a functional Keras model with flat lists of inputs and outputs. It is only read.
        specs: its inputs, as ``input_specs`` returns them.
        quantization: "none", "float16", "dynamic" or "int8".
        samples: calibration arrays by input name, for "int8".
        io: "int8" or "float32", the type of the inputs and outputs of an "int8" file.
        batch_size: the fixed batch of the file.

    Raises:
        ConversionError: if TensorFlow cannot convert the model; it names the operation to blame.
    """
    with quiet() as printed:
        try:
            import tensorflow as tf

            with tempfile.TemporaryDirectory(prefix="tf_wgsef_") as folder:
                serve = _serving_function(flat, specs, batch_size)
                if quantization == "int8":
                    _check_no_loop(flat, serve)
                module = tf.Module()
                module.held = [variable.value for variable in flat.variables]
                tf.saved_model.save(module, folder, signatures={"serving_default": serve})
                converter = tf.lite.TFLiteConverter.from_saved_model(folder)
                _set_quantization(converter, quantization, samples, io, batch_size)
                return converter.convert()
        except ConversionError:
            raise
        except Exception as error:
            # The converter's own error class is not public; nothing is swallowed here.
            raise ConversionError(
                f"Expected a model that converts to .tflite. Received: model={flat.name!r}, "
                f"which TensorFlow's converter refuses: {_reason(error, printed())}. "
                f"Replace that operation."
            ) from error


def _serving_function(flat, specs, batch_size):
    """Returns the model as a ``tf.function`` with named inputs and outputs."""
    import keras
    import tensorflow as tf

    names = output_names(flat)

    def serve(*inputs):
        outputs = flat(list(inputs), training=False)
        # An identity apiece, so that one tensor may be two outputs, or an input an output.
        return {name: tf.identity(out) for name, out in zip(names, keras.tree.flatten(outputs), strict=True)}

    signature = [tf.TensorSpec((batch_size, *s.shape), s.dtype, name=s.name) for s in specs]
    # Without autograph: it would leave generated files behind, and Keras layers do without.
    return tf.function(serve, input_signature=signature, autograph=False)


def _check_no_loop(flat, serve):
    """Raises on a loop in the graph: calibrating one ends the process (a segmentation fault)."""
    graph = serve.get_concrete_function().graph.as_graph_def()
    functions = [graph.node, *(function.node_def for function in graph.library.function)]
    if any(node.op in ("While", "StatelessWhile") for nodes in functions for node in nodes):
        raise ConversionError(
            f'Expected a model without loops for quantization="int8". Received: '
            f"model={flat.name!r}, whose recurrent layers or keras.ops loops TensorFlow cannot "
            f"calibrate. Build recurrent layers with unroll=True, or use "
            f'quantization="dynamic".'
        )


def _set_quantization(converter, quantization, samples, io, batch_size):
    import tensorflow as tf

    # The metadata tells of the machine that converted; the same model shall give the same file.
    converter.exclude_conversion_metadata = True
    if quantization == "none":
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
    elif quantization == "int8":
        converter.representative_dataset = lambda: _calibration_batches(samples, batch_size)
        # Integer kernels or nothing: a float operation left over would be an error, not a surprise.
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        if io == "int8":
            converter.inference_input_type = tf.int8
            converter.inference_output_type = tf.int8


def _calibration_batches(samples, batch_size):
    """Yields batches by input name; one that would be incomplete is filled up from the start."""
    count = len(next(iter(samples.values())))
    for start in range(0, count, batch_size):
        rows = [row % count for row in range(start, start + batch_size)]
        yield {name: array[rows] for name, array in samples.items()}


def _reason(error, printed):
    """Returns the line that says most, of an error that is often a page of MLIR."""
    message = str(error)
    for pattern in (r"'tf\.\w+' op [^\n]*", r"(?:Custom|Flex) ops: [^\n]*", r"error: ([^\n]*)"):
        found = re.search(pattern, message) or re.search(pattern, printed)
        if found:
            return found.group(found.re.groups).strip()[:200]
    lines = (message or printed).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"[:200]
