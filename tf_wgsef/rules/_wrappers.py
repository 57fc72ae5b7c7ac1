"""Layers around other layers: Bidirectional and TimeDistributed."""

import dataclasses
import inspect

import keras
import numpy as np

from tf_wgsef.rules._call import Call, Shape
from tf_wgsef.rules._merging import AddRule, AverageRule, ConcatenateRule, MultiplyRule
from tf_wgsef.rules._registry import register_rule
from tf_wgsef.rules._rule import CompoundRule, LayerRule
from tf_wgsef.rules._ties import Ties


@dataclasses.dataclass(frozen=True)
class DirectionMerge:
    """Stands for what ``Bidirectional`` does with what its two layers return.

    Its inputs are what each of them returns: the sequence (or its last step), then the final states. Its
    outputs are those of ``Bidirectional``: the merged sequence (both, without a mode), then all states.

    Attributes:
        name: its name in the path.
        mode: ``merge_mode`` of the layer; None returns both.
    """

    name: str
    mode: str | None


@register_rule(DirectionMerge)
class DirectionMergeRule(LayerRule):
    """The rule of the mode's merging layer; side by side, both directions keep equally many units.

    ``Bidirectional`` promises twice the units of its forward layer, whatever the backward layer has.
    """

    modes: dict[str, LayerRule] = {
        "sum": AddRule(),
        "ave": AverageRule(),
        "mul": MultiplyRule(),
        "concat": ConcatenateRule(),
    }

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        sequences, states = _apart(inputs)
        rule = self.modes.get(call.layer.mode)
        return [*(rule.tie(_of_sequences(call), sequences, ties) if rule else sequences), *states]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        sequences, states = _apart(values)
        rule = self.modes.get(call.layer.mode)
        return [*(rule.forward(_of_sequences(call), sequences) if rule else sequences), *states]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        rule = self.modes.get(call.layer.mode)
        heads = 1 if rule else 2
        sequences, states = used[:heads], used[heads:]
        if rule:
            sequences = rule.backward(_of_sequences(call), sequences)
        half = len(states) // 2
        return [sequences[0], *states[:half], sequences[1], *states[half:]]

    def restore(
        self, call: Call, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        most = max(int(keep.sum()) for keep in inputs)
        return [_at_least(most, keep) for keep in inputs], outputs


@dataclasses.dataclass(frozen=True)
class StepMask:
    """Stands for the mask of a ``TimeDistributed`` whose layer takes none: (steps, mask) in, steps out."""

    name: str


@register_rule(StepMask)
class StepMaskRule(LayerRule):
    """The mask must come in, though it does nothing."""

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        ties.pin(inputs[1], f"a mask of {call.describe()}")
        return [inputs[0]]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        return [used[0], np.ones(call.input_shapes[1][-1] or 1, bool)]

    def foldable(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [np.ones(len(values[0]), bool), np.zeros(len(values[1]), bool)]


@register_rule(keras.layers.Bidirectional)
class BidirectionalRule(CompoundRule):
    """Two recurrent layers on the same sequence, one from its end, and a merge of what they return."""

    understands = frozenset({"initial_state", "mask", "sequences"})

    def refusal(self, call: Call) -> str | None:
        layer = call.layer
        if layer.forward_layer.name == layer.backward_layer.name:
            return "its two layers have the same name"
        if layer.forward_layer is layer.backward_layer:
            return "its two layers are one"
        forward, backward = (_returned(inner, call) for inner in _directions(layer))
        if [shape[-1] for shape in forward] != [shape[-1] for shape in backward]:
            return "its two layers have different numbers of units"
        states = sum(_role(given) == "initial_state" for given in call.given)
        if states % 2:
            return "its initial states are not one list for each direction"
        return None

    def parts(self, call: Call) -> list[Call]:
        layer = call.layer
        parts, shapes = [], []
        for number, inner in enumerate(_directions(layer)):
            returned = _returned(inner, call)
            keys = tuple(call.inside(inner.name, place) for place in range(len(returned)))
            parts.append(_direction(call, inner, number, keys, tuple(returned)))
            shapes.append(returned)
        sequence = shapes[0][0]
        heads = [sequence, sequence]
        if layer.merge_mode is not None:
            heads = [(*sequence[:-1], 2 * sequence[-1]) if layer.merge_mode == "concat" else sequence]
        results = (*heads, *shapes[0][1:], *shapes[1][1:])
        outer = dict(zip(call.numbers, call.outputs, strict=True))
        merge = Call(
            DirectionMerge(f"{layer.name}_merge", layer.merge_mode),
            (*parts[0].outputs, *parts[1].outputs),
            tuple(outer.get(place, call.inside("merge", place)) for place in range(len(results))),
            (*shapes[0], *shapes[1]),
            results,
            path=f"{call.name}/merge",
        )
        return [*parts, merge]

    def children(self, layer) -> dict:
        return {"layer": layer.forward_layer, "backward_layer": layer.backward_layer}


@register_rule(keras.layers.TimeDistributed)
class TimeDistributedRule(CompoundRule):
    """One layer applied to every time step."""

    understands = frozenset({"mask"})

    def refusal(self, call: Call) -> str | None:
        inner = call.layer.layer
        if isinstance(inner, keras.Model):
            return "it wraps a model; wrap its layers, or apply it to (batch · steps, …)"
        if _mask(call) is not None and "mask" in inspect.signature(inner.call).parameters:
            return "it is called with a mask, which its layer sees"
        return None

    def parts(self, call: Call) -> list[Call]:
        inner = call.layer.layer
        mask = _mask(call)
        steps = call.outputs if mask is None else (call.inside(inner.name),)
        result = tuple(_one_step(shape) for shape in call.output_shapes)
        part = Call(
            inner,
            call.inputs[:1],
            steps,
            (_one_step(call.input_shapes[0]),),
            result,
            ("0",),
            path=f"{call.name}/{inner.name}",
            times=call.times * (call.input_shapes[0][1] or 1),
        )
        if mask is None:
            return [part]
        inputs, shapes = (*steps, call.inputs[mask]), (*result, call.input_shapes[mask])
        masked = StepMask(f"{call.layer.name}_mask")
        return [part, Call(masked, inputs, call.outputs, shapes, result, path=f"{call.name}/mask")]

    def children(self, layer) -> dict:
        return {"layer": layer.layer}


def _mask(call: Call) -> int | None:
    """The input of a ``TimeDistributed`` that is a mask."""
    return call.input_called("2", "mask")


def _directions(layer) -> tuple:
    return layer.forward_layer, layer.backward_layer


def _role(given: str) -> str:
    """The name of an argument of a recurrent layer's call, from its position or name."""
    return {"0": "sequences", "1": "initial_state", "2": "mask", "inputs": "sequences"}.get(given, given)


def _returned(inner, call: Call) -> list[Shape]:
    """The shapes that one direction returns: the sequence or its last step, and its states."""
    sequence = call.input_shapes[call.input_called("0", "sequences", "inputs") or 0]
    shapes = inner.compute_output_shape(sequence)
    return [tuple(shape) for shape in shapes] if inner.return_state else [tuple(shapes)]


def _apart(of_inputs: list) -> tuple[list, list]:
    """What belongs to the two sequences among the inputs of a ``DirectionMerge``, and to the states."""
    half = len(of_inputs) // 2
    forward, backward = of_inputs[:half], of_inputs[half:]
    return [forward[0], backward[0]], [*forward[1:], *backward[1:]]


def _of_sequences(call: Call) -> Call:
    """The call without the states."""
    keys, _ = _apart(list(call.inputs))
    shapes, _ = _apart(list(call.input_shapes))
    return dataclasses.replace(
        call,
        inputs=tuple(keys),
        outputs=call.outputs[:1],
        input_shapes=tuple(shapes),
        output_shapes=call.output_shapes[:1],
    )


def _direction(call: Call, inner, number: int, outputs: tuple, shapes: tuple) -> Call:
    """The call of one of the two layers: it gets its half of the initial states."""
    roles = [_role(given) for given in call.given] or ["sequences"]
    states = [index for index, role in enumerate(roles) if role == "initial_state"]
    half = len(states) // 2
    mine = states[half * number : half * (number + 1)]
    taken = [index for index, role in enumerate(roles) if role != "initial_state" or index in mine]
    return Call(
        inner,
        tuple(call.inputs[index] for index in taken),
        outputs,
        tuple(call.input_shapes[index] for index in taken),
        shapes,
        tuple("0" if roles[index] == "sequences" else roles[index] for index in taken),
        extras=call.extras,
        path=f"{call.name}/{inner.name}",
        times=call.times,
    )


def _at_least(count: int, keep: np.ndarray) -> np.ndarray:
    """``keep`` with the first silent channels added until ``count`` stay."""
    keep = keep.copy()
    keep[np.flatnonzero(~keep)[: max(0, count - int(keep.sum()))]] = True
    return keep


def _one_step(shape: Shape) -> Shape:
    return (shape[0], *shape[2:])
