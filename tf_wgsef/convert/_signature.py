"""What goes into a model and a file: names, shapes and types of the inputs; arrays that fit."""

import dataclasses
import re

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


def input_specs(model) -> list[InputSpec]:
    """Returns the inputs of a Keras model, in the order of ``model.inputs``.

    Args:
        model: a functional or Sequential Keras model, built.

    Raises:
        InputError: if a dimension besides the batch is unknown, or an input is not numeric.
    """
    names = unique_names([tensor.name for tensor in model.inputs])
    specs = []
    for name, tensor in zip(names, model.inputs, strict=True):
        shape = tuple(tensor.shape[1:])
        if None in shape:
            example = tuple(64 if size is None else size for size in shape)
            raise InputError(
                f"Expected inputs of fixed shape: a .tflite file is planned for one size. "
                f"Received: input {tensor.name!r} of shape {tuple(tensor.shape)}. Fix it, for "
                f"example: x = keras.Input({example}); model = keras.Model(x, model(x))."
            )
        if tensor.dtype in ("string", "complex64", "complex128"):
            raise InputError(
                f"Expected numeric inputs. Received: input {tensor.name!r} of dtype "
                f"{tensor.dtype!r}. Leave such preprocessing out of the model that is converted."
            )
        specs.append(InputSpec(name, shape, tensor.dtype))
    return specs


def unique_names(names) -> list[str]:
    """Returns ``names`` as distinct identifiers, which a signature asks for.

    Args:
        names: the names that Keras gave, in order.

    Example:
        >>> unique_names(["my input", "x", "x"])
        ['my_input', 'x', 'x_1']
    """
    unique = []
    for name in names:
        clean = base = re.sub(r"\W", "_", name)
        count = 0
        while clean in unique:
            count += 1
            clean = f"{base}_{count}"
        unique.append(clean)
    return unique


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
