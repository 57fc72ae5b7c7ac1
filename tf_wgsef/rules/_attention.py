"""Multi-head attention: heads and the dimensions of heads, that go where they do not matter.

The layer is read as its parts: projections to (heads, dimensions), flat as heads · dimensions channels;
the products of queries and keys, dimension by dimension; the weighted mean of the values; the projection
back. A dimension of a value is silent like any channel. A dimension of a key that is the same for all
positions adds the same to all scores of a query, which softmax does not see: it goes too.
"""

import dataclasses
from typing import Any

import keras
import numpy as np

from tf_wgsef.rules._call import Call, ParameterAxis, TensorKey
from tf_wgsef.rules._convolution import MixingRule, fill_rows
from tf_wgsef.rules._registry import register_rule
from tf_wgsef.rules._rule import LIVE, CompoundRule, LayerRule, positions
from tf_wgsef.rules._ties import Ties


@dataclasses.dataclass(frozen=True, eq=False)
class Projection:
    """Stands for one of an attention's dense layers.

    Attributes:
        name: ``query``, ``key``, ``value`` or ``attention_output``.
        kernel: variable of shape (channels, heads, dimensions), or (heads, dimensions, channels) of the last.
        bias: variable of the shape of its output, or None.
        activation: the gate's sigmoid, or None.
    """

    name: str
    kernel: Any
    bias: Any
    activation: Any = None

    @property
    def use_bias(self) -> bool:
        """Whether there is a bias."""
        return self.bias is not None

    @property
    def weights(self) -> list:
        """Its variables."""
        return [self.kernel] if self.bias is None else [self.kernel, self.bias]


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """Stands for the products of queries and keys, before they are summed over a head's dimensions."""

    name: str
    heads: int
    key_heads: int
    axes: tuple[int, ...] | None = None  # that attention runs along; None for all positions
    weights = ()


@dataclasses.dataclass(frozen=True, eq=False)
class WeightedMean:
    """Stands for softmax over the scores and the mean of the values that it weighs."""

    name: str
    heads: int
    key_heads: int
    one_size: bool  # keys and values have the same dimensions
    axes: tuple[int, ...] | None = None  # as of ``Scores``
    weights = ()


class _ProjectionRule(MixingRule):
    def sums_alike_everywhere(self, call: Call) -> bool:
        """There is no border; without a bias nothing can take a constant in."""
        return call.layer.use_bias

    def work(self, call: Call) -> list[tuple]:
        return [(call.layer.kernel, positions(call.input_shapes[0]))]


class _ToHeadsRule(_ProjectionRule):
    """(channels) → (heads · dimensions)."""

    def parameters(
        self, call: Call, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> list[ParameterAxis]:
        kernel, bias = call.layer.kernel, call.layer.bias
        cells = outputs[0].reshape(kernel.shape[1:])
        axes = [ParameterAxis(kernel, 0, inputs[0], "consume"), ParameterAxis(kernel, (1, 2), cells, "inner")]
        return axes + ([] if bias is None else [ParameterAxis(bias, (0, 1), cells, "inner")])

    def kernel(self, call: Call) -> np.ndarray:
        kernel = keras.ops.convert_to_numpy(call.layer.kernel)
        return kernel.reshape((1, kernel.shape[0], -1))


class _QueryRule(_ToHeadsRule):
    """Keras divides the scores by √dimensions: with fewer of them, the query makes up for it."""

    def factor(self, call: Call, variable, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> float:
        heads, dimensions = call.layer.kernel.shape[1:]
        return float(np.sqrt(outputs[0].reshape(heads, dimensions).sum(1).max() / dimensions))


class _FromHeadsRule(_ProjectionRule):
    """(heads · dimensions) → (channels)."""

    def parameters(
        self, call: Call, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> list[ParameterAxis]:
        kernel = call.layer.kernel
        cells = inputs[0].reshape(kernel.shape[:2])
        axes = [
            ParameterAxis(kernel, (0, 1), cells, "consume"),
            ParameterAxis(kernel, 2, outputs[0], "produce"),
        ]
        return axes + self.bias_axes(call, outputs[0])

    def kernel(self, call: Call) -> np.ndarray:
        kernel = keras.ops.convert_to_numpy(call.layer.kernel)
        return kernel.reshape((1, -1, kernel.shape[-1]))


class _LikeQueryRule(_FromHeadsRule):
    """The same, where queries, keys, values and the output must have as many channels: they are tied."""

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        outputs = super().tie(call, inputs, ties)
        for ids in inputs[1:]:
            ties.unite(outputs[0], ids)
        return outputs

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        nothing = [np.zeros(shape[-1], bool) for shape in call.input_shapes[1:]]
        return [*super().backward(call, used), *nothing]

    def foldable(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [*super().foldable(call, values), *(np.ones(len(value), bool) for value in values[1:])]


class QueryProjection(Projection):
    """The projection of the queries."""


class HeadsProjection(Projection):
    """The projection of the keys or of the values."""


class OutputProjection(Projection):
    """The projection of all heads back to channels."""


class OutputLikeQuery(Projection):
    """The same, of a layer that has no other say about the number of channels."""


register_rule(QueryProjection)(_QueryRule)
register_rule(HeadsProjection)(_ToHeadsRule)
register_rule(OutputProjection)(_FromHeadsRule)
register_rule(OutputLikeQuery)(_LikeQueryRule)


@register_rule(Scores)
class ScoresRule(LayerRule):
    """query · key per head and dimension; a constant that softmax does not see counts as 0."""

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        queries, keys = inputs
        ties.unite(queries, _repeat(call.layer, keys))
        return [queries]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        queries, keys = values
        return [np.where((queries == 0) | np.isfinite(_repeat(call.layer, keys)), 0.0, LIVE)]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        repeats = call.layer.heads // call.layer.key_heads
        keys = used[0].reshape(call.layer.key_heads, repeats, -1).any(1).reshape(-1)
        return [used[0], keys]

    def foldable(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        queries, keys = values
        # A constant query goes only where its product does: with a live key it shifts the scores.
        silent = np.isfinite(self.forward(call, values)[0])
        repeats = call.layer.heads // call.layer.key_heads
        return [silent, silent.reshape(call.layer.key_heads, repeats, -1).all(1).reshape(-1)]

    def work(self, call: Call) -> list[tuple]:
        return [(call.outputs[0], _pairs(call))]


@register_rule(WeightedMean)
class WeightedMeanRule(LayerRule):
    """The mean of the values: a constant stays the constant, whatever the weights, if they add up to 1.

    Under a mask they may be all 0, where every position of a row is masked: then only 0 stays what it is.
    """

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        for ids in inputs[2:]:
            ties.pin(ids, f"a mask of {call.describe()}")
        return [_repeat(call.layer, inputs[1])]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [_repeat(call.layer, np.where(self._stays(call, values[1]), values[1], LIVE))]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        layer = call.layer
        heads = used[0].reshape(layer.heads, -1)
        values = heads.reshape(layer.key_heads, layer.heads // layer.key_heads, -1).any(1).reshape(-1)
        dimensions = call.input_shapes[0][-1] // layer.heads
        scores = np.repeat(heads.any(1), dimensions)
        return [scores, values, *(np.full(shape[-1], used[0].any()) for shape in call.input_shapes[2:])]

    def foldable(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        scores, means, *masks = values
        return [scores == 0, self._stays(call, means), *(np.zeros(len(mask), bool) for mask in masks)]

    def _stays(self, call: Call, means: np.ndarray) -> np.ndarray:
        return means == 0 if call.masked or len(call.inputs) > 2 else np.isfinite(means)

    def restore(
        self, call: Call, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        layer = call.layer
        repeats = layer.heads // layer.key_heads
        scores = inputs[0].reshape(layer.key_heads, repeats, -1).any(1)
        values = inputs[1].reshape(layer.key_heads, -1)
        alive = values.any(1) | scores.any(1)
        if not alive.any():
            return inputs, outputs
        sizes = [max(_LEAST_DIMENSIONS, int(keeps.sum(1).max())) for keeps in (scores, values)]
        if layer.one_size:
            sizes = [max(sizes)] * 2
        scores, values = (
            fill_rows(keeps, alive, at_least=size)
            for keeps, size in zip((scores, values), sizes, strict=True)
        )
        scores, values = np.repeat(scores, repeats, 0).reshape(-1), values.reshape(-1)
        return [scores, values, *inputs[2:]], [_repeat(layer, values)]

    def work(self, call: Call) -> list[tuple]:
        return [(call.outputs[0], _pairs(call))]


def _attended(layer, rank: int) -> tuple[int, ...] | None:
    axes = getattr(layer, "attention_axes", None)
    return None if axes is None else tuple(axis % rank for axis in keras.tree.flatten(axes))


def _pairs(call: Call) -> int:
    """How many queries meet how many keys: along the attended axes, at each place of the others."""
    query, key = call.input_shapes[:2]
    axes = call.layer.axes
    return positions(query) * (positions(key) if axes is None else positions((1, *(key[a] for a in axes), 1)))


class ProjectedAttentionRule(CompoundRule):
    """Attention with projections; subclasses name the numbers of heads and write the configuration."""

    understands = frozenset("query value key query_mask value_mask key_mask attention_mask".split())
    one_size = like_query = False

    def heads(self, layer) -> tuple[int, int]:
        """(query heads, key and value heads)."""
        raise NotImplementedError

    def refusal(self, call: Call) -> str | None:
        if call.input_called("1", "value") is None:
            return "its query and value were not found in the call"
        names = [f"{name}/kernel" for name in _PROJECTIONS]
        if not all(_has(call.layer, name) for name in names):
            return "its weights were not found by their names"
        if any(weight.path.rpartition("/")[2] not in ("kernel", "bias") for weight in call.layer.weights):
            return "it is quantized, or carries LoRA weights; strip first"
        if any(len(_variable(call.layer, name).shape) != 3 for name in names):
            return "its output has several axes of channels"
        return None

    def parts(self, call: Call) -> list[Call]:
        tensors = list(zip(call.inputs, call.input_shapes, strict=True))
        value = call.input_called("1", "value")
        key = call.input_called("2", "key")
        sources = {"query": call.input_called("0", "query"), "key": value if key is None else key}
        sources["value"] = value
        if _has(call.layer, "gate/kernel"):
            sources["gate"] = sources["query"]
        calls = [_to_heads(call, name, *tensors[index]) for name, index in sources.items()]
        made = {part.layer.name: (part.outputs[0], part.output_shapes[0]) for part in calls}
        masks = [tensor for index, tensor in enumerate(tensors) if index not in sources.values()]
        mean = self._mean(call, made, masks, calls)
        inputs = [mean]
        if self.like_query:
            inputs += [tensors[sources[name]] for name in ("query", "key", "value")]
        kind = OutputLikeQuery if self.like_query else OutputProjection
        out = _projection(kind, call.layer, "attention_output")
        return [*calls, _part(call, out, inputs, (call.outputs[0], call.output_shapes[0]))]

    def _mean(self, call: Call, made: dict, masks: list, calls: list[Call]):
        """Adds what happens between the projections; returns (key, shape) of what comes out."""
        heads, key_heads = self.heads(call.layer)
        shape = made["query"][1]
        scores = (call.inside("scores"), shape)
        axes = _attended(call.layer, len(shape))
        calls.append(
            _part(call, Scores("scores", heads, key_heads, axes), [made["query"], made["key"]], scores)
        )
        width = made["value"][1][-1] // key_heads * heads
        mean = (call.inside("mean"), (*shape[:-1], width))
        core = WeightedMean("mean", heads, key_heads, self.one_size, axes)
        calls.append(_part(call, core, [scores, made["value"], *masks], mean))
        if "gate" not in made:
            return mean
        gated = (call.inside("gated"), mean[1])
        calls.append(_part(call, keras.layers.Multiply(name="gated"), [mean, made["gate"]], gated))
        return gated

    def sizes(self, layer, keeps: dict[str, np.ndarray]) -> tuple[int, int, int]:
        """(key heads, dimensions of a key, dimensions of a value) that stay."""
        _, key_heads = self.heads(layer)
        values = keeps["value"].reshape(key_heads, -1)
        alive = int(values.any(1).sum())
        return alive, int(keeps["key"].sum()) // alive, int(values.sum()) // alive


@register_rule(keras.layers.MultiHeadAttention)
class MultiHeadAttentionRule(ProjectedAttentionRule):
    """MultiHeadAttention."""

    def heads(self, layer) -> tuple[int, int]:
        return layer.num_heads, layer.num_heads

    def resize_parts(self, layer, config: dict, keeps: dict[str, np.ndarray]) -> dict:
        heads, key_dim, value_dim = self.sizes(layer, keeps)
        sizes = {"num_heads": heads, "key_dim": key_dim, "value_dim": value_dim}
        return {**config, **sizes, "output_shape": int(keeps["attention_output"].sum())}


@register_rule(keras.layers.GroupQueryAttention)
class GroupQueryAttentionRule(ProjectedAttentionRule):
    """GroupQueryAttention: a key head goes together with the query heads that share it."""

    one_size = like_query = True

    def heads(self, layer) -> tuple[int, int]:
        return layer.num_query_heads, layer.num_key_value_heads

    def resize_parts(self, layer, config: dict, keeps: dict[str, np.ndarray]) -> dict:
        heads, head_dim, _ = self.sizes(layer, keeps)
        repeats = layer.num_query_heads // layer.num_key_value_heads
        return {
            **config,
            "head_dim": head_dim,
            "num_query_heads": heads * repeats,
            "num_key_value_heads": heads,
        }


# Keras 3.15 on TensorFlow adds a bias of shape (heads, 1) along the wrong axis where the sequence is as long
# as there are heads: keras.ops.add takes it for a vector.
_LEAST_DIMENSIONS = 2

_PROJECTIONS = ("query", "key", "value", "attention_output")


def _has(layer, ending: str) -> bool:
    return any(weight.path.endswith(f"/{ending}") for weight in layer.weights)


def _variable(layer, ending: str):
    return next(weight for weight in layer.weights if weight.path.endswith(f"/{ending}"))


def _projection(kind: type, layer, name: str) -> Projection:
    bias = _variable(layer, f"{name}/bias") if _has(layer, f"{name}/bias") else None
    activation = keras.activations.sigmoid if name == "gate" else None
    return kind(name, _variable(layer, f"{name}/kernel"), bias, activation)


def _to_heads(call: Call, name: str, key: TensorKey, shape) -> Call:
    projection = _projection(QueryProjection if name == "query" else HeadsProjection, call.layer, name)
    channels = int(np.prod(projection.kernel.shape[1:]))
    return _part(call, projection, [(key, shape)], (call.inside(name), (*shape[:-1], channels)))


def _part(call: Call, layer, inputs: list[tuple[TensorKey, tuple]], output: tuple[TensorKey, tuple]) -> Call:
    keys, shapes = zip(*inputs, strict=True)
    given = tuple(str(index) for index in range(len(keys)))
    path = f"{call.name}/{layer.name}"
    return Call(layer, keys, (output[0],), shapes, (output[1],), given, path=path, times=call.times)


def _repeat(layer, channels: np.ndarray) -> np.ndarray:
    """Channels of key heads, for the query heads that share them."""
    repeats = layer.heads // layer.key_heads
    return np.repeat(channels.reshape(layer.key_heads, -1), repeats, 0).reshape(-1)
