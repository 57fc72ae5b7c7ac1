"""A copy of a model in mixed precision that computes in float32, as the device will."""

import keras

from tf_wgsef.graph._copy_model import copy_model, from_config


def in_float32(model):
    """Returns a copy of a model in mixed precision that computes in float32; any other model as it is.

    In mixed precision weights are float32, and computations are in float16 or bfloat16. The weights stay.

    Args:
        model: a functional or Sequential Keras model, built; it is only read.

    Example:
        >>> import keras
        >>> from tf_wgsef.graph import in_float32
        >>> layer = keras.layers.Dense(1, dtype="mixed_bfloat16")
        >>> in_float32(keras.Sequential([keras.Input((2,)), layer])).layers[0].compute_dtype
        'float32'
    """
    if not _is_mixed(model):
        return model

    def remake(layer):
        dtype = {"dtype": "float32"} if isinstance(layer, keras.Layer) else {}  # raw operations have none
        return from_config(layer, {**layer.get_config(), **dtype})

    copy = copy_model(model, remake)
    copy.set_weights(model.get_weights())
    return copy


def _is_mixed(model):
    """Whether a layer, at any depth, computes in half precision on weights of another type."""
    return any(
        _is_mixed(layer)
        if hasattr(layer, "layers")
        else layer.compute_dtype in ("float16", "bfloat16") and layer.variable_dtype == "float32"
        for layer in model.layers
    )
