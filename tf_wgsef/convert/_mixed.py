"""Some layers in int8, the others in float32: by TensorFlow's quantizer, layer by layer.

The public way to it is ``tf.lite.experimental.QuantizationDebugger``: it calibrates once, and leaves in float
what is on its list. An operation of a file is named by its output tensor; the Keras layer is found in the
names of that tensor and of its weights, since the output of a model has lost its layer's name.
"""

import itertools
import re

from tf_wgsef.errors import InputError

from ._flat import layer_paths
from ._options import fits
from ._schema import operations


def convert_mixed(converter, flat, quantization) -> bytes:
    """Returns the file of a converter that is set up for int8.

    Args:
        converter: a ``TFLiteConverter``.
        flat: the Keras model.
        quantization: a ``Quantization`` with ``layers``.

    Raises:
        InputError: if the patterns leave no operation of the file in float.
    """
    import tensorflow as tf

    debug = tf.lite.experimental
    integer_io = quantization.io != "float32"
    options = debug.QuantizationDebugOptions(fully_quantize=integer_io)
    # The types of inputs and outputs are the quantizer's to set; a converter that has them set refuses.
    converter.inference_input_type = converter.inference_output_type = tf.float32
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    debugger = debug.QuantizationDebugger(converter=converter, debug_options=options)
    floats = float_operations(debugger.calibrated_model, flat, quantization)
    debugger.options = debug.QuantizationDebugOptions(fully_quantize=integer_io, denylisted_nodes=floats)
    return debugger.get_nondebug_quantized_model()


def check_patterns(flat, quantization) -> None:
    """Raises if a pattern fits no layer.

    Args:
        flat: the Keras model.
        quantization: a ``Quantization`` with ``layers``.

    Raises:
        InputError: naming the pattern.
    """
    paths = layer_paths(flat)
    for pattern in quantization.layers:
        if not any(fits(pattern, path) for path in paths):
            raise InputError(
                f"Expected patterns that fit layers of the model. Received: {pattern!r}, which fits none of: "
                f"{', '.join(paths)}."
            )


def float_operations(tflite, flat, quantization) -> list[str]:
    """Returns the names of the output tensors of the operations that stay in float.

    Args:
        tflite: the float file, calibrated or not.
        flat: the Keras model.
        quantization: a ``Quantization`` with ``layers``.
    """
    known = set(layer_paths(flat))
    floats = []
    for operation in operations(tflite):
        paths = [path for name in operation.names for path in _layers(name, known)]
        if quantization.of_layers(paths) == "none":
            floats.append(operation.output)
    if not floats:
        raise InputError(
            f"Expected patterns of layers that compute something in the file. Received: "
            f"quantization={dict(quantization.layers)!r}, which leaves no operation in "
            f"float: those layers are merged into others."
        )
    return floats


def _layers(name, known):
    """Yields the layers that a tensor's name such as ``model_1/encoder_1/conv_2_1/Relu;…`` tells of.

    TensorFlow appends one number to the scope of each call, since Keras has opened it once before.
    """
    for part in name.split(";"):
        scopes = [re.sub(r"_\d+$", "", scope) for scope in part.split("/")[1:-1]]
        paths = ("/".join(scopes[:depth]) for depth in range(len(scopes), 0, -1))
        yield from itertools.islice((path for path in paths if path in known), 1)
