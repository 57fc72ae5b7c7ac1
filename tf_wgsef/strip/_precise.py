"""A copy of a model that computes in float64, to tell rounding from a defect."""

import numpy as np

from tf_wgsef.graph import copy_model, from_config


def in_float64(model):
    """Returns a copy of ``model`` with the same weights that computes in float64; None if there is none.

    Layers are made again from their configuration with another dtype. Whole-number inputs stay whole. A
    layer that insists on its dtype, or whose code cannot take another, has no such copy.

    Args:
        model: a Sequential or functional model; it is only read.

    Example:
        >>> import keras
        >>> from tf_wgsef.strip._precise import in_float64
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> in_float64(model).layers[0].kernel.dtype
        'float64'
    """
    try:
        copy = copy_model(model, lambda layer: from_config(layer, _widened(layer.get_config())))
        copy.set_weights([np.asarray(weight, _wide(weight.dtype)) for weight in model.get_weights()])
        wide = {weight.dtype for weight in copy.weights if "float" in str(weight.dtype)} <= {"float64"}
    except Exception:  # noqa: BLE001 - layers of users raise what they like
        return None
    return copy if wide else None


def _widened(config):
    """The configuration with every floating dtype in it, of wrapped layers too, set to float64."""
    if isinstance(config, list):
        return [_widened(one) for one in config]
    if not isinstance(config, dict):
        return config
    return {
        key: "float64" if key == "dtype" and "float" in str(one) else _widened(one)
        for key, one in config.items()
    }


def _wide(dtype):
    return np.float64 if dtype.kind == "f" else dtype
