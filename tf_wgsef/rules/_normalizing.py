"""Normalizations whose statistics come from the input itself: layer, group, RMS and unit norm."""

import keras
import numpy as np

from tf_wgsef.rules._call import Call, ParameterAxis
from tf_wgsef.rules._registry import register_operation, register_rule
from tf_wgsef.rules._rule import LIVE, LayerRule, count
from tf_wgsef.rules._ties import Ties


class OwnStatisticsRule(LayerRule):
    """Statistics of the input over axes that contain the channels, then a scale and an offset per channel.

    Each used output needs every channel. Subclasses say which channels may go.

    Attributes:
        scale_name, offset_name: the layer's attributes of the scale and the offset, (…, channels) or None.
    """

    scale_name, offset_name = "gamma", "beta"

    def refusal(self, call: Call) -> str | None:
        rank = len(call.input_shapes[0])
        if rank - 1 not in [axis % rank for axis in keras.tree.flatten(call.layer.axis)]:
            return f"it normalizes axis {call.layer.axis}, not the channels"
        return None

    def parameters(
        self, call: Call, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> list[ParameterAxis]:
        variables = [self.scale(call), self.offset(call)]
        return [
            ParameterAxis(one, len(one.shape) - 1, inputs[0], "carry") for one in variables if one is not None
        ]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        channels = len(values[0])
        scale, offset = (_rows(one, channels) for one in (self.scale(call), self.offset(call)))
        offset = np.zeros((1, channels)) if offset is None else offset
        silent = self.zero_stays(call, values[0])
        if scale is not None:
            silent |= (scale == 0).all(0)
        return [np.where(silent & (offset == offset[0]).all(0), offset[0], LIVE)]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        scale = _rows(self.scale(call), len(used[0]))
        reads = used[0] if scale is None else used[0] & (scale != 0).any(0)
        return [self.reached(call, reads)]

    def zero_stays(self, call: Call, value: np.ndarray) -> np.ndarray:
        """Which channels are zero before the scale and the offset, bool of shape (channels,)."""
        return value == 0

    def reached(self, call: Call, reads: np.ndarray) -> np.ndarray:
        """Which input channels the channels ``reads`` depend on."""
        return np.full_like(reads, reads.any())

    def scale(self, call: Call):
        """The layer's variable of scales, or None."""
        return getattr(call.layer, self.scale_name, None)

    def offset(self, call: Call):
        """The layer's variable of offsets, or None."""
        return getattr(call.layer, self.offset_name, None)


@register_rule(keras.layers.LayerNormalization)
class LayerNormalizationRule(OwnStatisticsRule):
    """LayerNormalization keeps its channels: zeros count in the mean and the variance."""

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        reason = "its mean and variance run over the channels, zeros count too"
        ties.pin(inputs[0], f"feeds {call.describe()}: {reason}")
        return [inputs[0]]

    def zero_stays(self, call: Call, value: np.ndarray) -> np.ndarray:
        # The mean is subtracted, but for the deprecated rms_scaling.
        return (value == 0) & (call.layer.rms_scaling or bool((value == 0).all()))


@register_rule(keras.layers.GroupNormalization)
class GroupNormalizationRule(OwnStatisticsRule):
    """GroupNormalization: the channels of one group have their statistics together, and stay or go together.

    With as many groups as channels (instance normalization), each channel is by itself.
    """

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        if call.layer.groups == 1:
            reason = "its mean and variance run over all channels, zeros count too"
            ties.pin(inputs[0], f"feeds {call.describe()}: {reason}")
        for group in inputs[0].reshape(call.layer.groups, -1):
            ties.unite(group[:-1], group[1:])
        return [inputs[0]]

    def zero_stays(self, call: Call, value: np.ndarray) -> np.ndarray:
        return self.spread(call, (value == 0).reshape(call.layer.groups, -1).all(1))

    def reached(self, call: Call, reads: np.ndarray) -> np.ndarray:
        return self.spread(call, reads.reshape(call.layer.groups, -1).any(1))

    def resize(self, call: Call, config: dict, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> dict:
        return {**config, "groups": count(inputs[0]) * call.layer.groups // call.input_shapes[0][-1]}

    def spread(self, call: Call, groups: np.ndarray) -> np.ndarray:
        """From one value per group to one per channel."""
        return np.repeat(groups, call.input_shapes[0][-1] // call.layer.groups)


@register_rule(keras.layers.RMSNormalization)
class RMSNormalizationRule(OwnStatisticsRule):
    """RMSNormalization: x · scale / √(mean of x² + epsilon).

    With C' of C channels left, the rest zero, the mean is C/C' as large: with epsilon · C/C' the root is
    √(C/C') as large, and with scale · √(C/C') the outputs are the same.
    """

    scale_name, offset_name = "scale", ""

    def foldable(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [values[0] == 0]

    def resize(self, call: Call, config: dict, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> dict:
        epsilon = keras.config.epsilon() if config["epsilon"] is None else config["epsilon"]
        more = call.input_shapes[0][-1] / count(inputs[0])
        return config if more == 1 else {**config, "epsilon": epsilon * more}

    def factor(self, call: Call, variable, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> float:
        return float(1 / np.sqrt(inputs[0].mean())) if variable is call.layer.scale else 1.0


@register_rule(keras.layers.UnitNormalization)
@register_operation("Normalize")
class UnitNormalizationRule(OwnStatisticsRule):
    """UnitNormalization: x / ‖x‖, to which zeros add nothing."""

    scale_name, offset_name = "", ""

    def refusal(self, call: Call) -> str | None:
        return None

    def foldable(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [values[0] == 0]

    def reached(self, call: Call, reads: np.ndarray) -> np.ndarray:
        rank = len(call.input_shapes[0])
        over = rank - 1 in [axis % rank for axis in keras.tree.flatten(call.layer.axis)]
        return super().reached(call, reads) if over else reads


@register_rule(keras.layers.SpectralNormalization)
class SpectralNormalizationRule(LayerRule):
    """SpectralNormalization around another layer, which it makes again in training."""

    def refusal(self, call: Call) -> str | None:
        return "it holds another layer's kernel and keeps its norm: take that layer out of it"


def _rows(variable, channels: int) -> np.ndarray | None:
    """A variable (…, channels) as float64 of shape (positions, channels)."""
    if variable is None:
        return None
    return keras.ops.convert_to_numpy(variable).astype(np.float64).reshape(-1, channels)
