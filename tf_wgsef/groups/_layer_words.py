"""What a layer's time depends on besides its channels, in words: strip leaves them as they are."""

import keras

from tf_wgsef.rules import Call, LayerRule

_SETTINGS = ("kernel_size", "pool_size", "strides", "padding", "dilation_rate", "depth_multiplier", "groups")
_PLAIN = {"dilation_rate": (1, 1), "depth_multiplier": 1, "groups": 1}


def describe_layer(call: Call) -> str:
    """Returns kind, sizes and settings of a layer; its channels are not among them.

    Args:
        call: its application.

    Example:
        "Conv2D on 32x32, kernel_size 3x3, strides 1x1, padding same".
    """
    sizes = "x".join(map(str, call.input_shapes[0][1:-1])) if call.input_shapes else ""
    words = [type(call.layer).__name__ + (f" on {sizes}" if sizes else "")]
    for name in _SETTINGS:
        value = getattr(call.layer, name, None)
        value = tuple(value) if isinstance(value, list | tuple) else value
        if value is None or (name in _PLAIN and set(_numbers(value)) == set(_numbers(_PLAIN[name]))):
            continue
        words.append(f"{name} {'x'.join(map(str, value)) if isinstance(value, tuple) else value}")
    return ", ".join(words)


def multiplies(call: Call, rule: LayerRule) -> bool:
    """Returns whether it is a layer with weights that products are made of, and time is spent on.

    Args:
        call: its application.
        rule: its rule.
    """
    layer = call.layer
    if not isinstance(layer, keras.layers.Layer) or isinstance(layer, keras.layers.BatchNormalization):
        return False
    return bool(call.inputs and layer.weights and rule.work(call))


def _numbers(value):
    return value if isinstance(value, tuple) else (value,)
