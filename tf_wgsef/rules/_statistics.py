"""Normalizations whose statistics run over the channels: each channel changes all others."""

import keras

from tf_wgsef.rules._call import Call
from tf_wgsef.rules._registry import register_rule
from tf_wgsef.rules._rule import LayerRule


@register_rule(
    keras.layers.LayerNormalization,
    keras.layers.GroupNormalization,
    keras.layers.RMSNormalization,
    keras.layers.UnitNormalization,
)
class ChannelStatisticsRule(LayerRule):
    """A barrier with a reason: even a channel of zeros counts in the mean and the variance."""

    def refusal(self, call: Call) -> str | None:
        return "its statistics run over the channels"
