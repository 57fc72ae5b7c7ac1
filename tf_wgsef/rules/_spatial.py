"""Layers that move, repeat or pad positions and leave the channels alone."""

import keras
import numpy as np

from tf_wgsef.rules._call import Call
from tf_wgsef.rules._registry import register_keras_layer, register_operation, register_rule
from tf_wgsef.rules._rule import LIVE, LayerRule
from tf_wgsef.rules._ties import Ties


class SpatialRule(LayerRule):
    """Channels last: each channel by itself, and a constant plane stays the same constant."""

    def refusal(self, call: Call) -> str | None:
        # Layers know their format; a raw operation without one takes the configured one.
        data_format = getattr(call.layer, "data_format", "channels_last") or keras.config.image_data_format()
        if data_format != "channels_last":
            return "data_format 'channels_first' is not covered"
        return None

    def identity(self, call: Call, needed: list[bool]) -> bool:
        return self.moves_nothing(call.layer) and not call.masked

    def moves_nothing(self, layer) -> bool:
        """Whether every value stays where it is."""
        return False


@register_rule(
    keras.layers.GlobalMaxPooling1D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.GlobalMaxPooling3D,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalAveragePooling3D,
)
@register_keras_layer(
    *(f"Adaptive{kind}Pooling{rank}D" for kind in ("Average", "Max") for rank in (1, 2, 3)),
)
class PoolingRule(SpatialRule):
    """Pooling over all positions, or down to a given number of them."""


@register_rule(
    keras.layers.MaxPooling1D,
    keras.layers.MaxPooling2D,
    keras.layers.MaxPooling3D,
    keras.layers.AveragePooling1D,
    keras.layers.AveragePooling2D,
    keras.layers.AveragePooling3D,
)
@register_operation("MaxPool", "AveragePool")
class WindowPoolingRule(SpatialRule):
    """Pooling over a window; Keras counts no padded element, so a constant stays one at the border."""

    def moves_nothing(self, layer) -> bool:
        return _only(1, layer.pool_size) and _only(1, layer.strides or layer.pool_size)


@register_rule(keras.layers.GlobalAveragePooling1D)
class SequenceAverageRule(SpatialRule):
    """The mean over time steps; under a mask, over those that count."""

    understands = frozenset({"mask"})

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        for mask in inputs[1:]:
            ties.pin(mask, f"the mask of {call.describe()}")
        return [inputs[0]]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        return [used[0], *(np.ones(shape[-1], bool) for shape in call.input_shapes[1:])]

    def foldable(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [np.ones(len(values[0]), bool), *(np.zeros(len(mask), bool) for mask in values[1:])]


@register_rule(
    keras.layers.Cropping1D,
    keras.layers.Cropping2D,
    keras.layers.Cropping3D,
    keras.layers.UpSampling1D,
    keras.layers.UpSampling3D,
    keras.layers.RepeatVector,
)
class RepeatOrCropRule(SpatialRule):
    """Cropping, up-sampling, repetition: no new values appear."""

    def moves_nothing(self, layer) -> bool:
        return _only(0, getattr(layer, "cropping", 1)) or _only(1, getattr(layer, "size", 0))


@register_rule(keras.layers.UpSampling2D, keras.layers.Resizing, keras.layers.CenterCrop)
@register_operation("Resize")
class ResizingRule(SpatialRule):
    """Resizing of images: the nearest pixel is an old value; in between, only zeros stay what they are.

    The weights of an interpolation sum to one only up to rounding. Keras notes ``training=True`` for layers
    that take images; it means nothing to these.
    """

    understands = frozenset({"training=True"})

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        layer = call.layer
        fill = layer.fill_value if getattr(layer, "pad_to_aspect_ratio", False) else None
        nearest = getattr(layer, "interpolation", "") == "nearest" and fill is None
        return [values[0] if nearest else np.where((values[0] == 0) & (not fill), 0.0, LIVE)]

    def moves_nothing(self, layer) -> bool:
        return _only(1, getattr(layer, "size", 0)) and isinstance(layer, keras.layers.UpSampling2D)


@register_rule(keras.layers.ZeroPadding1D, keras.layers.ZeroPadding2D, keras.layers.ZeroPadding3D)
class ZeroPaddingRule(SpatialRule):
    """Zero padding: only a channel that is zero stays a constant."""

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        if self.moves_nothing(call.layer):
            return [values[0]]
        return [np.where(values[0] == 0, 0.0, LIVE)]

    def moves_nothing(self, layer) -> bool:
        return _only(0, layer.padding)


def _only(number: int, value) -> bool:
    """Whether a number, or all numbers in nested tuples, are ``number``."""
    return all(one == number for one in keras.tree.flatten(value))
