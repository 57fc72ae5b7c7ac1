"""What goes into a model: names, shapes and types of the inputs."""

import re

from tf_wgsef.errors import InputError
from tf_wgsef.tflite_arrays import InputSpec


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
