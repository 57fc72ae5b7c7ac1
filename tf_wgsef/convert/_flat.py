"""One view of every model, flat lists of inputs and outputs; and whether it is fit to convert."""

import numpy as np

from tf_wgsef.errors import ConversionError, InputError

from ._signature import unique_names

_PART = 1 << 20  # weights that are looked at at a time


def flat_model(model):
    """Returns ``model`` with flat lists of inputs and outputs; layers and variables are shared.

    A functional model may take and give dicts or nested lists; this one is called with
    ``flat([x0, x1])`` and returns a list, in the order of ``model.inputs`` and
    ``model.outputs``.

    A model in mixed precision (``mixed_float16``) is copied first, to layers that compute in
    float32: its weights are float32, and LiteRT has no kernels for a convolution in float16.

    Args:
        model: a functional or Sequential Keras model, built.
    """
    import keras

    from tf_wgsef.graph import in_float32  # here, since reading a file needs no Keras

    model = in_float32(model)
    # With a name given, Keras's counter of automatic names does not move.
    return keras.Model(model.inputs, list(model.outputs), name=model.name)


def channel_graph(flat):
    """Returns the channel graph of a model, or None where it cannot be read: converting does not need it.

    Args:
        flat: a functional Keras model.
    """
    from tf_wgsef.graph import build_channel_graph  # here, since reading a file needs no Keras

    try:
        return build_channel_graph(flat)
    except InputError:
        return None


def call_flat(flat, arrays) -> list:
    """Returns the outputs of ``flat`` for a batch, as a list even where there is only one.

    Args:
        flat: a model from ``flat_model``.
        arrays: one array per input, in the order of ``model.inputs``.
    """
    import keras

    return keras.tree.flatten(flat(arrays, training=False))


def output_names(flat) -> list[str]:
    """Returns the names that the outputs have in the file, in the order of ``flat.outputs``.

    Args:
        flat: a model from ``flat_model``.
    """
    return unique_names(flat.output_names)


def layer_paths(model) -> list[str]:
    """Returns the names of all layers, those of nested models by their path, such as ``encoder/conv1``.

    Args:
        model: a functional or Sequential Keras model.
    """
    return list(_layers_by_path(model))


def _layers_by_path(model) -> dict:
    found = {}
    for layer in model.layers:
        found[layer.name] = layer
        if isinstance(getattr(layer, "layers", None), list):
            found |= {f"{layer.name}/{path}": inner for path, inner in _layers_by_path(layer).items()}
    return found


def check_stateless(model) -> None:
    """Raises if a layer keeps its state from one batch to the next: a file starts each call anew.

    Args:
        model: a functional or Sequential Keras model.

    Raises:
        ConversionError: naming the layer.
    """
    for path, layer in _layers_by_path(model).items():
        if getattr(layer, "stateful", False):
            raise ConversionError(
                f"Expected layers that start each call anew, as a file does. Received: layer {path!r} with "
                f"stateful=True. Build the model with stateful=False and the same weights; to go on from a "
                f"state, make it an input and an output (initial_state=..., return_state=True)."
            )


def check_backend() -> None:
    """Raises unless Keras runs on TensorFlow, whose converter makes the file.

    Raises:
        ConversionError: on another backend.
    """
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise ConversionError(
            f"Expected Keras on its TensorFlow backend. Received: backend={backend!r}. Save the "
            f"model with model.save('model.keras') and convert that file in a process with "
            f"KERAS_BACKEND=tensorflow."
        )


def check_finite_weights(model) -> None:
    """Raises if a variable of the model holds NaN or infinity.

    Args:
        model: a Keras model, built.

    Raises:
        InputError: naming the variable.
    """
    for variable in model.variables:
        value = np.asarray(variable.numpy()).reshape(-1)
        parts = (value[start : start + _PART] for start in range(0, value.size, _PART))
        # In double precision, since numpy has no bfloat16; part by part, since that is twice the size.
        if value.dtype.kind in "iub" or all(np.isfinite(part.astype(np.float64)).all() for part in parts):
            continue
        raise InputError(
            f"Expected finite weights. Received: model={model.name!r}, whose variable "
            f"{variable.path!r} holds NaN or infinity. Restore a checkpoint from before training "
            f"diverged, or train with a lower learning rate."
        )
