"""Arrays that go into a ``.tflite`` file and come out of it: names, types, quantization, classes.

It needs NumPy only, so that a board computes with the same code.
"""

import dataclasses

import numpy as np

from tf_wgsef.errors import InputError


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """One input.

    Attributes:
        name: its name, the same in the Keras model and in the signature of the file.
        shape: its shape without the batch, such as ``(28, 28, 1)``.
        dtype: its NumPy type, such as ``"float32"``.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str


def fit_array(what: str, value, spec: InputSpec) -> np.ndarray:
    """Returns ``value`` as an array of the type of ``spec``, if it is a finite batch of its shape.

    Integers are taken for a float input, as ``model.fit`` takes them; nothing else is converted.

    Args:
        what: the argument's name, for the message.
        value: an array of shape ``(n, *spec.shape)``.
        spec: the input that it is meant for.

    Raises:
        InputError: if the shape or the type does not fit, or a value is NaN or infinite.
    """
    array = np.asarray(value)
    if array.shape[1:] != spec.shape or array.ndim == 0:
        batch = " A single sample needs a batch axis: data[None], or dataset.batch(32)."
        raise InputError(
            f"Expected `{what}` of shape {_with_batch(spec.shape)} for input {spec.name!r}. "
            f"Received: shape={array.shape}.{batch if array.shape == spec.shape else ''}"
        )
    float_input = spec.dtype in ("float16", "bfloat16", "float32", "float64")
    if array.dtype.kind not in ("fbiu" if float_input else "biu"):
        raise InputError(
            f"Expected `{what}` of a type that fits {spec.dtype} for input {spec.name!r}. "
            f"Received: dtype={array.dtype}. Convert it with data.astype({spec.dtype!r})."
        )
    # A file knows no bfloat16; LiteRT takes and gives float32 there.
    array = array.astype("float32" if spec.dtype == "bfloat16" else spec.dtype)
    bad = array.size - int(np.isfinite(array).sum())
    if bad:
        raise InputError(
            f"Expected finite `{what}` for input {spec.name!r}. Received: {bad} values that are "
            f"NaN or infinite. Clean the data first."
        )
    return array


def _with_batch(shape):
    return "(" + ", ".join(["n", *map(str, shape)]) + ")"


def arrays_by_name(x, specs) -> dict[str, np.ndarray]:
    """Returns ``x`` as checked arrays by input name.

    Args:
        x: an array of shape ``(n, ...)``; for several inputs a dict of arrays by input name.
        specs: the inputs of the file.

    Raises:
        InputError: if they do not fit the inputs.
    """
    names = [spec.name for spec in specs]
    if not isinstance(x, dict):
        if len(specs) > 1:
            # The order of inputs in a file is not the order in the Keras model: never by position.
            raise InputError(
                f"Expected `x` as a dict of arrays with the inputs {sorted(names)}. "
                f"Received: {type(x).__name__}."
            )
        x = {names[0]: x}
    if set(x) != set(names):
        raise InputError(
            f"Expected `x` with the inputs {sorted(names)}. Received: keys={sorted(map(str, x))}."
        )
    arrays = {spec.name: fit_array("x", x[spec.name], spec) for spec in specs}
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        raise InputError(f"Expected `x` with as many samples for each input, at least 1. Received: {counts}.")
    return arrays


def spec_of(name: str, details: dict) -> InputSpec:
    """Returns an input as callers know it: floats where the file is quantized.

    Args:
        name: its name in the signature.
        details: what the runtime says of its tensor.
    """
    dtype = "float32" if details["quantization"][0] else np.dtype(details["dtype"]).name
    return InputSpec(name, tuple(int(size) for size in details["shape"][1:]), dtype)


def quantize(array: np.ndarray, details: dict) -> np.ndarray:
    """Returns ``array`` in the numbers of a tensor.

    Args:
        array: in the units of the Keras model.
        details: what the runtime says of the tensor.
    """
    scale, zero_point = details["quantization"]
    if not scale:
        return np.ascontiguousarray(array, dtype=details["dtype"])
    limits = np.iinfo(details["dtype"])
    steps = np.rint(array / np.float32(scale)) + zero_point
    return np.clip(steps, limits.min, limits.max).astype(details["dtype"])


def dequantize(array: np.ndarray, details: dict) -> np.ndarray:
    """Returns a tensor's numbers in the units of the Keras model.

    Args:
        array: the tensor.
        details: what the runtime says of it.
    """
    scale, zero_point = details["quantization"]
    if not scale:
        return array
    return (array.astype(np.float32) - zero_point) * np.float32(scale)


def share_right(scores: np.ndarray, y) -> float:
    """Returns the share of rows whose highest score is at the right class.

    Args:
        scores: shape ``(n, classes)``.
        y: classes of shape ``(n,)`` or ``(n, 1)``, or one-hot of shape ``(n, classes)``.

    Raises:
        InputError: if the shapes do not fit, or ``y`` holds what is none of the classes.
    """
    check_scores(scores.shape)
    labels = labels_of(y, *scores.shape)
    return float(np.mean(scores.argmax(axis=-1) == labels))


def check_scores(shape: tuple[int, ...]) -> None:
    """Checks that an output is one row of class scores for each sample.

    Args:
        shape: of the output.

    Raises:
        InputError: if it is anything else.
    """
    if len(shape) != 2 or shape[1] < 2:
        raise several_outputs(f"shape={tuple(shape)}")


def labels_of(y, count: int, classes: int) -> np.ndarray:
    """Returns the right class of each sample, shape ``(n,)``.

    Args:
        y: classes of shape ``(n,)`` or ``(n, 1)``, or one-hot of shape ``(n, classes)``.
        count: the number of samples.
        classes: the number of classes that a file has scores for.

    Raises:
        InputError: if there are more or fewer, or ``y`` holds what is none of the classes.

    Example:
        >>> labels_of([[0.0, 1.0], [1.0, 0.0]], 2, 2)
        array([1, 0])
    """
    y = np.asarray(y)
    labels = y.argmax(axis=-1) if y.shape == (count, classes) else y.reshape(-1)
    if labels.shape != (count,):
        raise InputError(
            f"Expected `y` with one class for each of the {count} samples. Received: shape={y.shape}."
        )
    _check_classes(labels, classes)
    return labels


def _check_classes(labels, classes):
    """Refuses labels that the highest score can never be at: the share would be 0 without a word."""
    known = np.zeros(labels.shape, bool)
    if labels.dtype.kind in "biuf":
        # NaN is equal to nothing, so it is not known either.
        known = (labels >= 0) & (labels < classes) & (labels == np.floor(labels))
    if not known.all():
        wrong = labels[np.argmin(known)]
        raise InputError(
            f"Expected `y` of whole numbers from 0 to {classes - 1}, as the file has {classes} scores. "
            f"Received: {str(wrong)[:80]} at {np.argmin(known)}. Number the classes from 0."
        )


def several_outputs(received: str = "several outputs") -> InputError:
    """Returns the error of an accuracy that is asked of outputs that are no class scores.

    Args:
        received: what there is instead.
    """
    return InputError(
        f"Expected a file with one output of class scores, (n, classes). Received: {received}. "
        f"Compute the figure from tf_wgsef.convert.predict(tflite, x)."
    )
