"""Pooling over space: each channel by itself; a constant plane pools to the same constant."""

import keras

from tf_wgsef.rules._call import Call
from tf_wgsef.rules._registry import register_rule
from tf_wgsef.rules._rule import LayerRule


@register_rule(
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.GlobalAveragePooling2D,
)
class PoolingRule(LayerRule):
    """Maximum and average pooling; Keras counts no padded element, so a constant stays one at the border."""

    def refusal(self, call: Call) -> str | None:
        if call.layer.data_format != "channels_last":
            return "data_format 'channels_first' is not covered"
        return None
