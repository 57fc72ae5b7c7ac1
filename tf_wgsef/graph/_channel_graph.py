"""The channel graph: which channels of which tensors are tied together, and which must stay."""

import dataclasses

import numpy as np

from tf_wgsef.graph._check_model import check_keras_model
from tf_wgsef.graph._read import read_calls
from tf_wgsef.rules import BarrierRule, Call, LayerRule, ParameterAxis, TensorKey, Ties, rule_for


@dataclasses.dataclass(frozen=True)
class ChannelGraph:
    """A model's channels. A channel id names one set of coupled channels across tensors and variables.

    Attributes:
        model: the Keras model.
        calls: every application of a layer, in order of execution.
        rules: the rule of each call.
        ids: per tensor, the channel id of each of its channels, shape (channels,).
        parameters: per call, the axes of its variables that run over channels.
        pins: {channel id: reason} of the channels that must stay.
        outputs: keys of the tensors that the model returns.
        num_ids: ids are below this number.
    """

    model: object
    calls: tuple[Call, ...]
    rules: tuple[LayerRule, ...]
    ids: dict[TensorKey, np.ndarray]
    parameters: tuple[tuple[ParameterAxis, ...], ...]
    pins: dict[int, str]
    outputs: tuple[TensorKey, ...]
    num_ids: int

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
    calls, outputs = read_calls(model)
    ties = Ties()
    ids: dict[TensorKey, np.ndarray] = {}
    rules, parameters = [], []
    seen: dict[tuple[int, int], np.ndarray] = {}
    for call in calls:
        rule = _choose_rule(call)
        inputs = [ids[key] for key in call.inputs]
        results = _tie(rule, call, inputs, ties)
        ids.update(zip(call.outputs, results, strict=True))
        axes = rule.parameters(call, inputs, results)
        _tie_shared(axes, seen, ties)
        rules.append(rule)
        parameters.append(axes)
    for key in outputs:
        ties.pin(ids[key], "the model's output")
    return ChannelGraph(
        model=model,
        calls=tuple(calls),
        rules=tuple(rules),
        ids={key: ties.resolve(value) for key, value in ids.items()},
        parameters=tuple(
            tuple(dataclasses.replace(a, ids=ties.resolve(a.ids)) for a in axes) for axes in parameters
        ),
        pins=ties.pins(),
        outputs=tuple(outputs),
        num_ids=len(ties),
    )


def _choose_rule(call: Call) -> LayerRule:
    if not call.inputs:
        return _SourceRule("")
    rule = rule_for(call.layer)
    if rule is None:
        return BarrierRule("no rule")
    if call.extras:
        return BarrierRule(f"it is called with {call.extras}")
    if any(not shape or not shape[-1] for shape in call.input_shapes + call.output_shapes):
        return BarrierRule("the number of channels is not known")
    reason = rule.refusal(call)
    return BarrierRule(reason) if reason else rule


def _tie(rule: LayerRule, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
    """Asks the rule, and holds it to the shapes: a wrong rule must not cut the wrong channel."""
    results = rule.tie(call, inputs, ties)
    if isinstance(rule, BarrierRule):
        return results
    for result, shape in zip(results, call.output_shapes, strict=True):
        if len(result) != shape[-1]:
            raise ValueError(
                f"Expected {type(rule).__name__}.tie to return {shape[-1]} channel ids for the output "
                f"of {call.describe()}, of shape {shape}. Received: {len(result)}."
            )
    return results


def _tie_shared(axes: list[ParameterAxis], seen: dict, ties: Ties) -> None:
    """A variable used twice (a shared layer) ties the channels of both uses."""
    for axis in axes:
        key = (id(axis.variable), axis.axis)
        if key in seen:
            ties.unite(seen[key], axis.ids)
        else:
            seen[key] = axis.ids


class _SourceRule(BarrierRule):
    """The model's input: all its channels stay."""

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        outputs = [ties.fresh((shape[-1] or 1) if shape else 1) for shape in call.output_shapes]
        for ids in outputs:
            ties.pin(ids, "the model's input")
        return outputs
