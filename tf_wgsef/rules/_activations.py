"""Activation functions and layers that act on each element by itself."""

import math

import keras
import numpy as np

from tf_wgsef.rules._call import Call, ParameterAxis
from tf_wgsef.rules._registry import register_keras_layer, register_operation, register_rule
from tf_wgsef.rules._rule import LIVE, LayerRule
from tf_wgsef.rules._ties import Ties

_ELEMENTWISE_FUNCTIONS = frozenset(
    "celu elu exponential gelu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu "
    "linear log_sigmoid mish relu relu6 selu sigmoid silu soft_shrink softplus softsign sparse_plus "
    "squareplus swish tanh tanh_shrink threshold".split()
)
_ELEMENTWISE_LAYERS = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)

# The numbers that a ReLU returns as they are, all others becoming the nearest of them.
_CLIPPING = ((keras.activations.relu, (0.0, math.inf)), (keras.activations.relu6, (0.0, 6.0)))
# Between which numbers the outputs lie.
_RANGES = (
    *_CLIPPING,
    (keras.activations.sigmoid, (0.0, 1.0)),
    (keras.activations.hard_sigmoid, (0.0, 1.0)),
    (keras.activations.softmax, (0.0, 1.0)),
    (keras.activations.softplus, (0.0, math.inf)),
)
# Layers whose outputs are what their activation returns.
_ACTIVATED = frozenset(
    getattr(keras.layers, name)
    for name in "Activation Dense EinsumDense Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose "
    "Conv3DTranspose DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D".split()
)


def mixing_activation(layer) -> str | None:
    """Names the activation of ``layer`` if it mixes channels or nothing is known of it, else None.

    Args:
        layer: a layer with an ``activation`` attribute, or without one.
    """
    activation = getattr(layer, "activation", None)
    if activation is None or type(activation) in _ELEMENTWISE_LAYERS:
        return None
    name = getattr(activation, "__name__", type(activation).__name__)
    known = name in _ELEMENTWISE_FUNCTIONS and activation is keras.activations.get(name)
    return None if known else name


def apply_to_constants(function, values: np.ndarray, layer=None) -> np.ndarray:
    """Applies an element-wise Keras function to the constant channels; live ones stay live.

    Args:
        function: maps a tensor of shape (channels,) to one of the same shape.
        values: shape (channels,), NaN where live.
        layer: the layer that does it: computed in float64 if it does, else in float32.
    """
    if np.isnan(values).all():
        return values
    dtype = "float64" if getattr(layer, "compute_dtype", "") == "float64" else "float32"
    with np.errstate(over="ignore"):  # what is beyond float32 becomes infinity, as in the layer
        constants = np.where(np.isnan(values), 0.0, values).astype(dtype)
    result = keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(constants)))
    return np.where(np.isnan(values), np.nan, result.astype(np.float64))


@register_rule(keras.layers.Activation, *_ELEMENTWISE_LAYERS)
class ActivationRule(LayerRule):
    """An element-wise activation: a constant stays a constant, its value goes through the function.

    One that mixes channels, or that nobody knows, keeps them all, and needs all if any is used.
    """

    def refusal(self, call: Call) -> str | None:
        changed = mixing_activation(call.layer) and call.input_shapes[0] != call.output_shapes[0]
        return f"{mixing_activation(call.layer)} changes the shape" if changed else None

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        mixing = mixing_activation(call.layer)
        if mixing:
            ties.pin(inputs[0], f"feeds {call.describe()}: {mixing} mixes the channels")
        return [inputs[0]]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        if mixing_activation(call.layer):
            return [np.full_like(values[0], LIVE)]
        return [apply_to_constants(call.layer, values[0], call.layer)]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        return [np.full_like(used[0], used[0].any()) if mixing_activation(call.layer) else used[0]]

    def identity(self, call: Call, needed: list[bool]) -> bool:
        return getattr(call.layer, "activation", None) is keras.activations.linear

    def repeats(self, call: Call, before: Call) -> bool:
        lets_through, given = _interval(call.layer, _CLIPPING), _interval(before.layer, _RANGES)
        if lets_through is None or given is None:
            return False
        return lets_through[0] <= given[0] and given[1] <= lets_through[1]


def _interval(layer, known) -> tuple[float, float] | None:
    """What is known of a layer's activation: a function, or a ReLU layer; or of the layer, which is one."""
    activation = layer.activation if type(layer) in _ACTIVATED else layer
    if type(activation) is keras.layers.ReLU:
        most = math.inf if activation.max_value is None else activation.max_value
        return None if activation.negative_slope or activation.threshold else (0.0, most)
    # By identity: an activation of the user's own need not have a hash.
    return next((interval for function, interval in known if function is activation), None)


@register_rule(keras.layers.Softmax)
@register_operation("Softmax", "LogSoftmax")
class SoftmaxRule(LayerRule):
    """Softmax over the channels keeps them all, and needs all if any is used; over others, it needs each.

    Over ``n`` positions of one value, each is ``1 / n``: a constant gives another one.
    """

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        if self.over_channels(call):
            ties.pin(inputs[0], f"feeds {call.describe()}: it mixes the channels")
        return [inputs[0]]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        others = call.masked or call.extras or len(call.inputs) > 1  # masks
        count = None if others or self.over_channels(call) else self.positions(call)
        if count is None:
            return [np.full_like(values[0], LIVE)]
        share = -math.log(count) if type(call.layer).__name__ == "LogSoftmax" else 1 / count
        return [np.where(np.isfinite(values[0]), share, LIVE)]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        return [np.full_like(used[0], used[0].any()) if self.over_channels(call) else used[0]]

    def positions(self, call: Call) -> int | None:
        """Over how many positions the sum runs; None where that is not known or changes with the batch."""
        shape = call.input_shapes[0]
        axes = {axis % len(shape) for axis in keras.tree.flatten(call.layer.axis)}
        sizes = [shape[axis] for axis in axes]
        return None if 0 in axes or None in sizes else math.prod(sizes)

    def over_channels(self, call: Call) -> bool:
        """Whether the sum runs over the channels; without an axis it runs over everything."""
        rank = len(call.input_shapes[0])
        axes = keras.tree.flatten(call.layer.axis)
        return call.layer.axis is None or any(axis % rank == rank - 1 for axis in axes)


@register_rule(
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.SpatialDropout3D,
    keras.layers.AlphaDropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.ActivityRegularization,
)
@register_keras_layer("StochasticDepth")
class DropoutRule(LayerRule):
    """Layers that do nothing at inference, and treat the channels alike in training."""

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        noise = getattr(call.layer, "noise_shape", None)
        if noise and noise[-1] not in (None, 1):
            ties.pin(
                inputs[0], f"{call.describe()} counts them in its noise_shape; None stands for any number"
            )
        return [inputs[0]]


@register_keras_layer(
    *(f"Random{what}" for what in "Brightness Crop ElasticTransform Erasing Flip GaussianBlur".split()),
    *(f"Random{what}" for what in "Invert Perspective Rotation Shear Translation Zoom".split()),
)
class AugmentationRule(LayerRule):
    """Augmentation of images, channel by channel: nothing at inference.

    Keras notes ``training=True`` in the graph for them, and overrides it where the model runs.
    """

    understands = frozenset({"training=True"})


@register_rule(keras.layers.Identity)
class IdentityRule(LayerRule):
    """A layer that never does anything."""

    def identity(self, call: Call, needed: list[bool]) -> bool:
        return True


@register_keras_layer(
    *"AugMix CutMix Equalization MixUp RandAugment Solarization".split(),
    *(f"Random{what}" for what in "ColorDegeneration ColorJitter Contrast Grayscale Hue".split()),
    *(f"Random{what}" for what in "Posterization Saturation Sharpness".split()),
)
class ColorAugmentationRule(AugmentationRule):
    """Layers that do nothing at inference, and need the image's own channels in training."""

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        ties.pin(inputs[0], f"feeds {call.describe()}: it needs all of an image's channels in training")
        return [inputs[0]]


@register_rule(keras.layers.Masking)
class MaskingRule(LayerRule):
    """Masking: a step counts if any channel differs from ``mask_value``; a channel that never does may go."""

    def refusal(self, call: Call) -> str | None:
        return None if np.ndim(call.layer.mask_value) == 0 else "its mask value is no number"

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        always = (np.isfinite(values[0]) & (values[0] != call.layer.mask_value)).any()  # no step is masked
        return [np.where((values[0] == 0) | always, values[0], LIVE)]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        return [np.ones_like(used[0])]

    def foldable(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [values[0] == call.layer.mask_value]


@register_rule(keras.layers.PReLU)
class PReLURule(LayerRule):
    """PReLU, slopes (…, channels): max(x, 0) + slope · min(x, 0)."""

    def parameters(
        self, call: Call, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> list[ParameterAxis]:
        alpha = call.layer.alpha
        return [ParameterAxis(alpha, len(alpha.shape) - 1, inputs[0], "carry")]

    def refusal(self, call: Call) -> str | None:
        shared = call.layer.alpha.shape[-1] != call.input_shapes[0][-1]
        return "its slopes are shared by the channels" if shared else None

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        slopes = keras.ops.convert_to_numpy(call.layer.alpha).reshape(-1, len(values[0]))
        known = (values[0] >= 0) | (slopes == slopes[0]).all(0)
        return [np.where(known, np.where(values[0] >= 0, values[0], slopes[0] * values[0]), np.nan)]
