"""Keras model -> ``.tflite`` bytes by TensorFlow's converter, through a SavedModel."""

import errno
import os
import re
import tempfile

from tf_wgsef.errors import ConversionError, WGSEFError

from ._entrances import convert_directly, make_converter
from ._flex import flex_refused
from ._int16 import int16_file
from ._memory import collecting_own_garbage, give_back, is_large
from ._mixed import check_patterns, convert_mixed, float_operations
from ._options import Quantization
from ._quiet import quiet
from ._saved_model import save_model
from ._schema import read_graph
from ._sparse_encoding import compressed
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
    if quantization.layers:
        check_patterns(flat, quantization)
    with quiet() as printed, collecting_own_garbage(flat):
        try:
            with tempfile.TemporaryDirectory(prefix="tf_wgsef_") as folder:
                save_model(flat, specs, folder, batch_size, loops=not quantization.calibrated)
                if quantization.mode == "int16x8":
                    return _convert_to_int16(flat, folder, quantization, samples, batch_size)
                if quantization.mode == "int8" and (in_two_steps or is_large(flat)):
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
    give_back(flat)
    tflite = convert_directly(folder, quantization, allow_flex)
    if tflite is None:
        converter = make_converter(folder, quantization, samples, batch_size, allow_flex)
        give_back(flat)  # the converter has loaded all variables, to look at names
        tflite = convert_mixed(converter, flat, quantization) if quantization.layers else converter.convert()
    return compressed(tflite) if quantization.sparse else tflite


def _convert_to_int16(flat, folder, quantization, samples, batch_size) -> bytes:
    tflite = _convert_to_floats(flat, folder, batch_size)
    ranges = read_ranges(tflite, samples.batches(batch_size))
    give_back(flat)
    return int16_file(tflite, ranges, quantization.io)


def _convert_in_two_steps(flat, folder, quantization, samples, batch_size) -> bytes | None:
    """Returns the int8 file, or None if it cannot be made of the float file."""
    tflite = _convert_to_floats(flat, folder, batch_size)
    if not fits_two_steps(read_graph(tflite)):
        return None
    ranges = read_ranges(tflite, samples.batches(batch_size))
    give_back(flat)
    floats = float_operations(tflite, flat, quantization) if quantization.layers else ()
    tflite = with_ranges(tflite, ranges, floats)  # in place of the float file, which is as large as the model
    give_back(flat)
    return quantized(tflite, quantization.io != "float32", floats)


def _convert_to_floats(flat, folder, batch_size) -> bytes:
    return _convert(flat, folder, Quantization("none", "float32"), None, batch_size)


def _reason(error, printed):
    """Returns the line that says most, of an error that is often a page of MLIR."""
    message = str(error)
    for pattern in (r"'tf\.\w+' op [^\n]*", r"(?:Custom|Flex) ops: [^\n]*", r"error: ([^\n]*)"):
        found = re.search(pattern, message) or re.search(pattern, printed)
        if found:
            return found.group(found.re.groups).strip()[:200]
    lines = (message or printed).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"[:200]
