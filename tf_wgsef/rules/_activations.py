"""Activation functions and layers that act on each element by itself."""

import keras
import numpy as np

from tf_wgsef.rules._call import Call, ParameterAxis
from tf_wgsef.rules._registry import register_rule
from tf_wgsef.rules._rule import LayerRule

_ELEMENTWISE_FUNCTIONS = frozenset(
    "celu elu exponential gelu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu "
    "linear log_sigmoid mish relu relu6 selu sigmoid silu soft_shrink softplus softsign sparse_plus "
    "squareplus swish tanh tanh_shrink threshold".split()
)
_ELEMENTWISE_LAYERS = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)


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
    """An element-wise activation: a constant stays a constant, its value goes through the function."""

    def refusal(self, call: Call) -> str | None:
        mixing = mixing_activation(call.layer)
        return f"{mixing} mixes the channels" if mixing else None

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [apply_to_constants(call.layer, values[0], call.layer)]


@register_rule(
    keras.layers.Dropout,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
)
class DropoutRule(LayerRule):
    """Layers that do nothing at inference."""


@register_rule(keras.layers.Rescaling)
class RescalingRule(ActivationRule):
    """Rescaling by one number for all channels: scale · x + offset."""

    def refusal(self, call: Call) -> str | None:
        one_number = np.ndim(call.layer.scale) == np.ndim(call.layer.offset) == 0
        return None if one_number else "it scales each channel by its own number"


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
