"""What a model costs, per layer: parameters, MACs, bytes."""

import dataclasses

import numpy as np

from tf_wgsef.graph._channel_graph import ChannelGraph, build_channel_graph
from tf_wgsef.rules import BarrierRule, Call


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """The cost of one layer.

    Attributes:
        name: the layer's name.
        kind: its class.
        channels: size of the last axis of its output.
        parameters: number of weights, moving statistics included.
        macs: multiply-accumulates for one sample, all applications together; 0 where no rule knows them.
        bytes: size of its weights in their own dtype.
    """

    name: str
    kind: str
    channels: int
    parameters: int
    macs: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class Profile:
    """The cost of a model, layer by layer in order of execution.

    Attributes:
        layers: one row per layer.
        unknown: {layer name: reason} of layers with weights whose MACs no rule knows.
    """

    layers: tuple[LayerCost, ...]
    unknown: dict[str, str]

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one sample."""
        return sum(layer.macs for layer in self.layers)

    @property
    def bytes(self) -> int:
        """Size of the weights in their own dtype."""
        return sum(layer.bytes for layer in self.layers)


def profile(model) -> Profile:
    """Counts parameters, MACs (for one sample) and bytes of every layer of ``model``.

    Batch normalization counts one MAC per element; activations and pooling count none.

    Args:
        model: a built Sequential or functional ``keras.Model``, a wrapper of one, or its ``ChannelGraph``.

    Raises:
        InputError: if the graph of the model cannot be read.

    Example:
        >>> import keras, tf_wgsef
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        >>> cost = tf_wgsef.profile(model)
        >>> cost.parameters, cost.macs
        (15, 12)
    """
    graph = model if isinstance(model, ChannelGraph) else build_channel_graph(model)
    rows: dict[str, LayerCost] = {}
    unknown = {}
    for call, rule in zip(graph.calls, graph.rules, strict=True):
        if not call.inputs:
            continue
        macs = rule.macs(call) * call.times
        if call.name in rows:
            rows[call.name] = dataclasses.replace(rows[call.name], macs=rows[call.name].macs + macs)
            continue
        weights = getattr(call.layer, "weights", [])
        if isinstance(rule, BarrierRule) and weights and not rule.work(call):
            unknown[call.name] = rule.reason
        rows[call.name] = _row(call, macs, weights)
    for row in _rest_of_compounds(graph):
        rows[row.name] = row
    return Profile(tuple(rows.values()), unknown)


def _rest_of_compounds(graph: ChannelGraph):
    """Rows for weights of compound layers that none of their parts holds, such as a scale."""
    covered = {id(weight) for call in graph.calls for weight in getattr(call.layer, "weights", ())}
    for compound in graph.compounds.values():
        layer = compound.call.layer
        weights = [weight for weight in layer.weights if id(weight) not in covered]
        if weights:
            covered.update(map(id, weights))
            yield _row(compound.call, 0, weights)


def _row(call: Call, macs: int, weights) -> LayerCost:
    return LayerCost(
        name=call.name,
        kind=type(call.layer).__name__,
        channels=(call.output_shapes[0][-1] or 0) if call.output_shapes[0] else 0,
        parameters=sum(_size(weight) for weight in weights),
        macs=macs,
        bytes=sum(_size(weight) * _item_size(weight) for weight in weights),
    )


def _size(variable) -> int:
    return int(np.prod(variable.shape, dtype=np.int64))


def _item_size(variable) -> int:
    return 2 if variable.dtype == "bfloat16" else np.dtype(variable.dtype).itemsize
