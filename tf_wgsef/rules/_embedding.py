"""Embedding: each column of the table is a channel."""

import keras
import numpy as np

from tf_wgsef.rules._call import Call, ParameterAxis
from tf_wgsef.rules._convolution import as_float64
from tf_wgsef.rules._registry import register_rule
from tf_wgsef.rules._rule import LIVE, LayerRule, count
from tf_wgsef.rules._ties import Ties


@register_rule(keras.layers.Embedding)
class EmbeddingRule(LayerRule):
    """Embedding, table (vocabulary, channels); its inputs are indices, not channels."""

    def refusal(self, call: Call) -> str | None:
        if getattr(call.layer, "lora_enabled", False):
            return "it carries LoRA weights; merge them first"
        if getattr(call.layer, "quantization_mode", None) is not None:
            return "it is quantized; strip first, quantize after"
        return None

    def without_channels(self, call: Call) -> tuple[int, ...]:
        """Its input holds indices."""
        return (0,)

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        ties.pin(inputs[0], f"indices of {call.describe()}")
        return [ties.fresh(call.output_shapes[0][-1])]

    def parameters(
        self, call: Call, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> list[ParameterAxis]:
        return [ParameterAxis(call.layer.embeddings, 1, outputs[0], "produce")]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        table = as_float64(call.layer.embeddings)
        return [np.where((table == table[0]).all(0), table[0], LIVE)]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        return [np.ones(call.input_shapes[0][-1] or 1, bool)]

    def foldable(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [np.zeros(len(values[0]), bool)]

    def resize(self, call: Call, config: dict, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> dict:
        return {**config, "output_dim": count(outputs[0])}
