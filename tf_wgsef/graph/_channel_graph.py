"""The channel graph: which channels of which tensors are tied together, and which must stay."""

import dataclasses

import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.graph._check_model import check_keras_model
from tf_wgsef.graph._expand import Compound, expand_model
from tf_wgsef.graph._read import Reading
from tf_wgsef.rules import BarrierRule, Call, LayerRule, ParameterAxis, TensorKey, Ties


@dataclasses.dataclass(frozen=True)
class ChannelGraph:
    """A model's channels. A channel id names one set of coupled channels across tensors and variables.

    Attributes:
        model: the Keras model.
        calls: every application of a layer, in order of execution; nested models and compound layers
            (Bidirectional, attention) appear as what they are made of.
        rules: the rule of each call.
        ids: per tensor, the channel id of each of its channels, shape (channels,).
        parameters: per call, the axes of its variables that run over channels.
        pins: {channel id: reason} of the channels that must stay.
        outputs: keys of the tensors that the model returns.
        num_ids: ids are below this number.
        scopes: {id(model): (its own calls, {its tensor keys: keys used here})}, nested models included.
        applications: {id(model): such keys of each application}, of nested models.
        compounds: {id(layer): what it is made of} of the layers that are made of others.
        nested: every application of a nested model.
    """

    model: object
    calls: tuple[Call, ...]
    rules: tuple[LayerRule, ...]
    ids: dict[TensorKey, np.ndarray]
    parameters: tuple[tuple[ParameterAxis, ...], ...]
    pins: dict[int, str]
    outputs: tuple[TensorKey, ...]
    num_ids: int
    scopes: dict[int, tuple[Reading, dict[TensorKey, TensorKey]]]
    applications: dict[int, list[dict[TensorKey, TensorKey]]]
    compounds: dict[int, Compound]
    nested: tuple[Call, ...]

    def barriers(self) -> dict[str, str]:
        """Returns {layer name: reason} of the calls that no rule covers."""
        return {
            call.name: rule.reason
            for call, rule in zip(self.calls, self.rules, strict=True)
            if isinstance(rule, BarrierRule) and call.inputs
        }


def build_channel_graph(model) -> ChannelGraph:
    """Reads ``model`` and ties its channels.

    Args:
        model: a built Sequential or functional ``keras.Model``, or a wrapper with one in ``.model``.

    Raises:
        InputError: if the graph of the model cannot be read.

    Example:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(2)])
        >>> [call.name for call in build_channel_graph(model).calls][1:]  # doctest: +SKIP
        ['dense', 'dense_1']
    """
    model = check_keras_model(model)
    expansion = expand_model(model)
    ties = Ties()
    ids: dict[TensorKey, np.ndarray] = {}
    parameters = []
    seen: dict[tuple[int, tuple[int, ...]], np.ndarray] = {}
    sized: dict[int, list[np.ndarray]] = {}
    for call, rule in expansion.steps:
        inputs = [ids[key] for key in call.inputs]
        results = _tie(rule, call, inputs, ties)
        ids.update(zip(call.outputs, results, strict=True))
        axes = rule.parameters(call, inputs, results)
        _tie_shared(axes, seen, ties)
        if _has_sizes(rule):
            # A layer whose configuration counts channels has as many in all its uses, and the same.
            both = [*(inputs if getattr(call.layer, "weights", None) else []), *results]
            for one, other in zip(sized.setdefault(id(call.layer), both), both, strict=True):
                if len(one) == len(other):
                    ties.unite(one, other)
        parameters.append(axes)
    for first, *others in expansion.applications.values():
        for one, other in ((first[inner], keys[inner]) for keys in others for inner in keys):
            if one in ids and other in ids and len(ids[one]) == len(ids[other]):
                ties.unite(ids[one], ids[other])
    reading, _ = expansion.scopes[id(model)]
    for key in reading.outputs:
        ties.pin(ids[key], "the model's output")
    return ChannelGraph(
        model=model,
        calls=tuple(call for call, _ in expansion.steps),
        rules=tuple(rule for _, rule in expansion.steps),
        ids={key: ties.resolve(value) for key, value in ids.items()},
        parameters=tuple(
            tuple(dataclasses.replace(a, ids=ties.resolve(a.ids)) for a in axes) for axes in parameters
        ),
        pins=ties.pins(),
        outputs=reading.outputs,
        num_ids=len(ties),
        scopes=expansion.scopes,
        applications=expansion.applications,
        compounds=expansion.compounds,
        nested=tuple(expansion.nested),
    )


def _has_sizes(rule: LayerRule) -> bool:
    return type(rule).resize is not LayerRule.resize


def _tie(rule: LayerRule, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
    """Asks the rule, and holds it to the shapes: a wrong rule must not cut the wrong channel."""
    results = rule.tie(call, inputs, ties)
    if isinstance(rule, BarrierRule):
        return results
    for result, shape in zip(results, call.output_shapes, strict=True):
        if len(result) != shape[-1]:
            raise InputError(
                f"Expected {type(rule).__name__}.tie to return {shape[-1]} channel ids for the output "
                f"of {call.describe()}, of shape {shape}. Received: {len(result)}."
            )
    return results


def _tie_shared(axes: list[ParameterAxis], seen: dict, ties: Ties) -> None:
    """A variable used twice (a shared layer) ties the channels of both uses."""
    for axis in axes:
        key = (id(axis.variable), axis.axes)
        if key in seen:
            ties.unite(seen[key].reshape(-1), axis.ids.reshape(-1))
        else:
            seen[key] = axis.ids
