"""The configuration of a Keras 3 layer in the words of Keras 2."""

import numpy as np

# Arguments that Keras 3 added, and what only matters where weights are made or trained with a penalty.
_DROPPED = {"quantization_config", "autocast", "lora_rank", "lora_alpha", "synchronized", "build_config"}
_DROPPED_ENDINGS = ("_initializer", "_regularizer", "_constraint")


def clean_config(config: dict) -> dict:
    """Returns what ``from_config`` of the same layer in Keras 2 takes.

    Weights are sent along, so initializers are left out; so are regularizers and constraints.

    Args:
        config: of ``get_config()`` of a Keras 3 layer.

    Example:
        >>> from tf_wgsef.convert.aware._clean_config import clean_config
        >>> clean_config(keras.layers.LeakyReLU(0.25, name="leaky").get_config())
        {'name': 'leaky', 'trainable': True, 'dtype': 'float32', 'alpha': 0.25}
    """
    cleaned = {key: _clean(value) for key, value in config.items() if not _is_dropped(key)}
    # A LeakyReLU; ReLU has the name of Keras 3 in both.
    if "negative_slope" in cleaned and "max_value" not in cleaned:
        cleaned["alpha"] = cleaned.pop("negative_slope")
    if cleaned.get("rms_scaling") is False:  # of a LayerNormalization
        del cleaned["rms_scaling"]
    return cleaned


def _is_dropped(key: str) -> bool:
    return key in _DROPPED or key.endswith(_DROPPED_ENDINGS)


def _clean(value):
    if isinstance(value, list | tuple):
        return [_clean(one) for one in value]
    if isinstance(value, np.generic):  # Keras keeps what it was given; JSON takes Python's numbers
        return value.item()
    if not isinstance(value, dict):
        return value
    if value.get("class_name") == "DTypePolicy":
        return value["config"]["name"]
    if "class_name" in value and "config" in value:
        return {"class_name": value["class_name"], "config": clean_config(value["config"])}
    return {key: _clean(one) for key, one in value.items()}
