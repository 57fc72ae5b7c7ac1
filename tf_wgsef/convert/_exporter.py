"""Keras model -> ``.tflite`` bytes by TensorFlow's converter.

The path is a SavedModel that holds the model's variables: as constants in its graph they were copied over
and over, 28 times the model's size in memory against 7 (ConvNeXtBase). ``from_concrete_functions`` on a
Keras 3 model leaves the variables out of the file, which then answers NaN without any error;
``TFLiteConverter.from_keras_model`` is right, but neither fixes the batch nor lets us name outputs.
"""

import errno
import os
import re
import tempfile

from tf_wgsef.errors import ConversionError, WGSEFError

from ._flat import output_names
from ._flex import flex_refused
from ._int16 import calibrate_once, tidied
from ._int16_steps import fits_int16, int16_file
from ._memory import collecting_own_garbage, give_back, is_large
from ._mixed import convert_mixed
from ._options import Quantization
from ._quiet import quiet
from ._schema import read_graph
from ._two_steps import fits_two_steps, quantized, read_ranges, with_ranges


def export_tflite(
    flat, specs, *, quantization, samples, batch_size, allow_flex=False, in_two_steps=False
) -> bytes:
    """Returns the ``.tflite`` file of a model.

    Args:
        flat: a functional Keras model with flat lists of inputs and outputs. It is only read.
        specs: its inputs, as ``input_specs`` returns them.
        quantization: a ``Quantization``.
        samples: a ``SampleStream`` to calibrate with, where the mode needs it.
        batch_size: the fixed batch of the file.
        allow_flex: whether the file may hold TensorFlow's own operators.
        in_two_steps: whether a calibrated file is made of the float file also where the model is small.

    Raises:
        ConversionError: if TensorFlow cannot convert the model; it names the operation to blame.
        InputError: if a sample, read on the way, is not what the model takes.
        OSError: if there is no room for the copy of the model.
    """
    with quiet() as printed, collecting_own_garbage(flat):
        try:
            with tempfile.TemporaryDirectory(prefix="tf_wgsef_") as folder:
                _save(flat, specs, folder, batch_size, loops=not quantization.calibrated)
                if quantization.calibrated and (in_two_steps or is_large(flat)):
                    tflite = _convert_in_two_steps(flat, folder, quantization, samples, batch_size)
                    if tflite is not None:
                        return tflite
                return _convert(flat, folder, quantization, samples, batch_size, allow_flex)
        except (WGSEFError, OSError):
            raise
        except Exception as error:
            if os.strerror(errno.ENOSPC) in str(error):  # TensorFlow has an error of its own for it
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), tempfile.gettempdir()) from error
            # The converter's own error class is not public; nothing is swallowed here.
            raise (flex_refused(flat.name, str(error)) or _refused(flat.name, error, printed())) from error


def _refused(name, error, printed) -> ConversionError:
    return ConversionError(
        f"Expected a model that converts to .tflite. Received: model={name!r}, which TensorFlow's converter "
        f"refuses: {_reason(error, printed)}. Replace that operation."
    )


def _convert(flat, folder, quantization, samples, batch_size, allow_flex=False) -> bytes:
    converter = _converter(folder, quantization, samples, batch_size, allow_flex)
    give_back(flat)  # the converter has loaded all variables, to look at names
    if quantization.layers:
        return convert_mixed(converter, flat, quantization)
    tflite = converter.convert()
    return tidied(tflite) if quantization.io == "int16" else tflite


def _convert_in_two_steps(flat, folder, quantization, samples, batch_size) -> bytes | None:
    """Returns the file, or None if it cannot be made of the float file."""
    tflite = _convert(flat, folder, Quantization("none", "float32"), None, batch_size)
    if quantization.mode == "int16x8":
        if not fits_int16(read_graph(tflite)):
            return None
        ranges = read_ranges(tflite, samples.batches(batch_size))
        give_back(flat)
        return int16_file(tflite, ranges, quantization.io)
    if not fits_two_steps(tflite):
        return None
    tflite = with_ranges(tflite, samples.batches(batch_size))
    give_back(flat)
    return quantized(tflite, flat, quantization)


def _save(flat, specs, folder, batch_size, loops):
    """Writes the SavedModel. In a function of its own, so that its graph is freed before the conversion."""
    import tensorflow as tf

    serve = _serving_function(flat, specs, batch_size)
    if not loops:
        _check_no_loop(flat, serve)
    module = tf.Module()
    module.held = [variable.value for variable in flat.variables]
    tf.saved_model.save(module, folder, signatures={"serving_default": serve})


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
            f"Expected a model without loops to calibrate. Received: "
            f"model={flat.name!r}, whose recurrent layers or keras.ops loops TensorFlow cannot "
            f"calibrate. Build recurrent layers with unroll=True, or use "
            f'quantization="dynamic".'
        )


def _converter(folder, quantization, samples, batch_size, allow_flex):
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    # The metadata tells of the machine that converted; the same model shall give the same file.
    converter.exclude_conversion_metadata = True
    mode, operators = quantization.mode, tf.lite.OpsSet
    optimizations = [tf.lite.Optimize.EXPERIMENTAL_SPARSITY] if quantization.sparse else []
    converter.optimizations = optimizations + ([tf.lite.Optimize.DEFAULT] if mode != "none" else [])
    if mode == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if allow_flex:
        converter.target_spec.supported_ops = [operators.TFLITE_BUILTINS, operators.SELECT_TF_OPS]
    if quantization.calibrated:
        converter.representative_dataset = lambda: samples.batches(batch_size)
        # Integer kernels only. What has none is an error, but for NEG, which stays in float: see the record.
        converter.target_spec.supported_ops = [
            operators.TFLITE_BUILTINS_INT8
            if mode == "int8"
            else operators.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
        if mode == "int16x8":
            calibrate_once(converter)
        if quantization.io != "float32":
            converter.inference_input_type = tf.dtypes.as_dtype(quantization.io)
            converter.inference_output_type = tf.dtypes.as_dtype(quantization.io)
    return converter


def _reason(error, printed):
    """Returns the line that says most, of an error that is often a page of MLIR."""
    message = str(error)
    for pattern in (r"'tf\.\w+' op [^\n]*", r"(?:Custom|Flex) ops: [^\n]*", r"error: ([^\n]*)"):
        found = re.search(pattern, message) or re.search(pattern, printed)
        if found:
            return found.group(found.re.groups).strip()[:200]
    lines = (message or printed).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"[:200]
