"""Layers that move, repeat or pad positions and leave the channels alone."""

import keras
import numpy as np

from tf_wgsef.rules._call import Call
from tf_wgsef.rules._registry import register_rule
from tf_wgsef.rules._rule import LIVE, LayerRule


class SpatialRule(LayerRule):
    """Channels last: each channel by itself, and a constant plane stays the same constant."""

    def refusal(self, call: Call) -> str | None:
        if getattr(call.layer, "data_format", "channels_last") != "channels_last":
            return "data_format 'channels_first' is not covered"
        return None


@register_rule(
    keras.layers.MaxPooling1D,
    keras.layers.MaxPooling2D,
    keras.layers.MaxPooling3D,
    keras.layers.AveragePooling1D,
    keras.layers.AveragePooling2D,
    keras.layers.AveragePooling3D,
    keras.layers.GlobalMaxPooling1D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.GlobalMaxPooling3D,
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalAveragePooling3D,
)
class PoolingRule(SpatialRule):
    """Maximum and average pooling; Keras counts no padded element, so a constant stays one at the border."""


@register_rule(
    keras.layers.Cropping1D,
    keras.layers.Cropping2D,
    keras.layers.Cropping3D,
    keras.layers.UpSampling1D,
    keras.layers.UpSampling2D,
    keras.layers.UpSampling3D,
    keras.layers.RepeatVector,
)
class RepeatOrCropRule(SpatialRule):
    """Cropping, up-sampling, repetition: no new values appear."""


@register_rule(keras.layers.ZeroPadding1D, keras.layers.ZeroPadding2D, keras.layers.ZeroPadding3D)
class ZeroPaddingRule(SpatialRule):
    """Zero padding: only a channel that is zero stays a constant."""

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [np.where(values[0] == 0, 0.0, LIVE)]
