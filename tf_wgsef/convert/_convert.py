"""The conversion that users call: a Keras model in, the bytes of a proven ``.tflite`` file out."""

from tf_wgsef.errors import InputError
from tf_wgsef.graph import check_keras_model
from tf_wgsef.validation import check_non_negative, check_positive_int

from ._exporter import export_tflite
from ._flat import check_backend, check_finite_weights, flat_model
from ._parity import SAMPLES, check_parity
from ._samples import collect_samples, random_samples
from ._signature import input_specs

# The largest difference to accept, as a share of the output range.
# "none": the same float32 sums in another order, with batch normalization folded into the kernels;
#   toy models differ by 1e-6, MobileNetV2 by 1e-5, InceptionV3 (94 convolutions) by 1.1e-4 to 5.5e-4.
#   What goes wrong in a conversion shows as a difference of order 1.
# "float16": weights rounded to 11 bits; 0.2 % of the signal (rms) on a trained net, 1.8 % on
#   the worst untrained one, of which the largest difference is about three times as much.
# "dynamic", "int8": no bound is right for every model; only gross failure is refused.
_TOLERANCES = {"none": 1e-3, "float16": 5e-2, "dynamic": float("inf"), "int8": float("inf")}


def convert(
    model,
    *,
    quantization: str = "none",
    calibration=None,
    calibration_samples: int = 256,
    io: str = "int8",
    batch_size: int = 1,
    check: bool = True,
    tolerance: float | None = None,
) -> bytes:
    """Converts a Keras model to a ``.tflite`` file and proves that the file computes the same.

    The model is only read. The batch of the file is fixed, since LiteRT plans memory and kernels
    for fixed shapes. Inputs and outputs keep their Keras names in the file's signature. Output of
    the whole process is held back meanwhile: TensorFlow's converter prints.

    Args:
        model: a Sequential or functional Keras 3 model, or a ``ProximalModel``.
        quantization: "none" (float32), "float16" (half the size, computes in float32), "dynamic"
            (int8 weights, float activations; a quarter of the size) or "int8" (weights and
            activations; needs ``calibration``).
        calibration: real inputs, preprocessed as in training: an array of shape ``(n, ...)``, a
            dict of arrays by input name, a list of arrays in the order of ``model.inputs``, a tuple
            ``(x, y)``, a batched ``tf.data.Dataset``, a ``keras.utils.PyDataset`` or an iterable of
            batches. They set the ranges of "int8", and in every mode they are what the file is
            checked on; without them, the check takes random inputs.
        calibration_samples: at most this many samples are read.
        io: type of the inputs and outputs of an "int8" file: "int8", or "float32" to let the file
            quantize them itself. Inputs that are integers in Keras stay what they are.
        batch_size: the batch of the file.
        check: whether to compare the file, run on LiteRT, with the model. A file that gives NaN or
            infinity is refused in any case.
        tolerance: the largest difference to accept, as a share of the output range; by default
            1e-3 for "none" and 5e-2 for "float16". For "dynamic" and "int8" only gross failure is
            refused by default: see ``parity`` and ``accuracy`` for their figures.

    Returns:
        the bytes of the file.

    Raises:
        InputError: if an argument is not what is expected.
        ConversionError: if the model cannot be converted, or the file computes something else.

    Example:
        >>> tflite = convert(model, quantization="int8", calibration=x_train)
        >>> tflite[4:8]
        b'TFL3'
    """
    _check_options(quantization, io)
    check_positive_int("calibration_samples", calibration_samples)
    check_positive_int("batch_size", batch_size)
    tolerance = _TOLERANCES[quantization] if tolerance is None else tolerance
    if tolerance != float("inf"):
        check_non_negative("tolerance", tolerance)
    check_backend()
    model = check_keras_model(model)
    flat, specs = flat_model(model), input_specs(model)
    check_finite_weights(model)
    samples = _calibration(calibration, specs, calibration_samples, quantization)
    tflite = export_tflite(
        flat, specs, quantization=quantization, samples=samples, io=io, batch_size=batch_size
    )
    arrays = _check_inputs(samples, specs)
    check_parity(
        flat,
        specs,
        tflite,
        arrays,
        quantization=quantization,
        tolerance=tolerance if check else None,
    )
    return tflite


def _check_options(quantization, io):
    if quantization not in _TOLERANCES:
        raise InputError(
            f"Expected `quantization` to be one of {', '.join(map(repr, _TOLERANCES))}. "
            f"Received: quantization={quantization!r}."
        )
    if io not in ("int8", "float32"):
        raise InputError(f"Expected `io` to be 'int8' or 'float32'. Received: io={io!r}.")


def _calibration(calibration, specs, limit, quantization):
    if calibration is not None:
        return collect_samples(calibration, specs, limit=limit)
    if quantization == "int8":
        raise InputError(
            'Expected `calibration` for quantization="int8": the ranges of all activations are '
            "read off real inputs. Received: calibration=None. Pass some hundred training inputs, "
            "preprocessed as in training: calibration=x_train, or the training tf.data.Dataset."
        )
    return None


def _check_inputs(samples, specs):
    if samples is None:
        return random_samples(specs, SAMPLES)
    return {name: array[:SAMPLES] for name, array in samples.items()}
