"""Look inside nested models and compound layers: one flat list of calls, whatever the nesting."""

import dataclasses

import keras

from tf_wgsef.errors import InputError
from tf_wgsef.graph._check_model import check_keras_model
from tf_wgsef.graph._read import Reading, read_calls
from tf_wgsef.rules import BarrierRule, Call, CompoundRule, LayerRule, Shape, TensorKey, choose_rule

_MASK_THIRD = (keras.layers.RNN, keras.layers.Bidirectional, keras.layers.TimeDistributed)


@dataclasses.dataclass(frozen=True)
class Compound:
    """A layer that is made of others.

    Attributes:
        call: its first application.
        rule: its rule.
        parts: the calls inside.
    """

    call: Call
    rule: CompoundRule
    parts: tuple[Call, ...]


@dataclasses.dataclass
class Expansion:
    """A model as a flat list of calls, each with its rule.

    Attributes:
        steps: (call, rule) in order of execution.
        scopes: {id(model): (its own reading, {its tensor keys: keys of the flat list})} of the model and of
            the first application of each nested one.
        compounds: {id(layer): what it is made of}.
        nested: every application of a nested model.
        masked: tensors that may carry a mask.
        shapes: tensors whose shape is known better than a nested model says, which may have been built for
            any size.
        applications: {id(model): the keys of each application of a nested one}, as in ``scopes``.
        barred: {id(layer): why} of layers whose calls are barriers, whatever a rule says.
    """

    steps: list[tuple[Call, LayerRule]]
    scopes: dict[int, tuple[Reading, dict[TensorKey, TensorKey]]]
    compounds: dict[int, Compound]
    nested: list[Call]
    masked: set[TensorKey]
    shapes: dict[TensorKey, Shape]
    applications: dict[int, list[dict[TensorKey, TensorKey]]]
    barred: dict[int, str]


def expand_model(model) -> Expansion:
    """Reads ``model`` and, in place of nested models and compound layers, what they are made of.

    Args:
        model: a built Sequential or functional ``keras.Model``.

    Raises:
        InputError: if the graph of the model cannot be read.
    """
    reading = read_calls(model)
    keys = {key: key for call in reading.calls for key in (*call.inputs, *call.outputs)}
    barred: dict[int, str] = {}
    while True:
        expansion = Expansion([], {id(model): (reading, keys)}, {}, [], set(), {}, {}, barred)
        for call in reading.calls:
            _expand(call, expansion)
        more = _refused_once(expansion)
        if more.keys() <= barred.keys():
            return expansion
        barred = {**barred, **more}


def _refused_once(expansion: Expansion) -> dict[int, str]:
    """{id(layer): why} of layers of which one call is a barrier and another is not: they share weights."""
    covered = {id(call.layer) for call, rule in expansion.steps if not isinstance(rule, BarrierRule)}
    covered |= expansion.compounds.keys() | expansion.scopes.keys()
    return {
        id(call.layer): rule.reason
        for call, rule in expansion.steps
        if isinstance(rule, BarrierRule)
        and id(call.layer) in covered
        and getattr(call.layer, "weights", None)
    }


def _expand(call: Call, expansion: Expansion) -> None:
    # An argument in place of what the inputs carry; of recurrent layers and wrappers it may be the third.
    told = "mask" in (*call.extras, *call.given) or (
        "2" in call.given and isinstance(call.layer, _MASK_THIRD)
    )
    if told or not expansion.masked.isdisjoint(call.inputs):
        call = dataclasses.replace(call, masked=True)
    call = _with_known_sizes(call, expansion)
    if id(call.layer) in expansion.barred:
        _append(call, BarrierRule(expansion.barred[id(call.layer)]), expansion)
        return
    if isinstance(call.layer, keras.Model):
        reading = _read_nested(call)
        if isinstance(reading, Reading):
            _inline(call, reading, expansion)
        else:
            _append(call, BarrierRule(reading), expansion)
        return
    rule = choose_rule(call)
    if isinstance(rule, CompoundRule):
        parts = tuple(rule.parts(call))
        expansion.compounds.setdefault(id(call.layer), Compound(call, rule, parts))
        for part in parts:
            _expand(part, expansion)
        if told:  # which the parts do not know
            _carry_mask(call, expansion)
    else:
        _append(call, rule, expansion)


def _with_known_sizes(call: Call, expansion: Expansion) -> Call:
    """The call with the sizes that the model around it gives, and what follows from them."""
    known = tuple(
        expansion.shapes.get(key, shape) for key, shape in zip(call.inputs, call.input_shapes, strict=True)
    )
    if not any(None in shape[1:] for shape in (*call.input_shapes, *call.output_shapes)):
        expansion.shapes.update(zip(call.outputs, call.output_shapes, strict=True))
        return call
    results = call.output_shapes
    if known != call.input_shapes and isinstance(call.layer, keras.Operation):
        results = _results(call, known) or results
    if not isinstance(call.layer, keras.Model):
        expansion.shapes.update(zip(call.outputs, results, strict=True))
    return dataclasses.replace(call, input_shapes=known, output_shapes=results)


def _results(call: Call, shapes: tuple[Shape, ...]) -> tuple[Shape, ...] | None:
    """The shapes that the layer returns for inputs of ``shapes``; None where it does not say."""
    tensors = [keras.KerasTensor(shape) for shape in shapes]
    arguments = tensors if len(set(call.given)) == len(tensors) else [tensors]
    if call.arguments:  # of a raw operation, numbers among them
        waiting = iter(arguments)
        arguments = [next(waiting, None) if value is None else value for value in call.arguments]
    try:
        found = call.layer.compute_output_spec(*arguments)
    except Exception:  # noqa: BLE001 - layers fail on other arguments in their own ways; unknown stays unknown
        return None
    found = [tuple(one.shape) for one in keras.tree.flatten(found)]
    return tuple(found[number] for number in call.numbers) if len(found) > max(call.numbers) else None


def _append(call: Call, rule: LayerRule, expansion: Expansion) -> None:
    expansion.steps.append((call, rule))
    layer = call.layer
    makes = isinstance(layer, keras.layers.Masking) or getattr(layer, "mask_zero", False) or _own_mask(layer)
    # Raw operations drop a mask, and so do layers that know nothing of it. One per step needs steps.
    passes = call.masked and getattr(layer, "supports_masking", not isinstance(layer, keras.Operation))
    if makes or passes:
        _carry_mask(call, expansion)


def _carry_mask(call: Call, expansion: Expansion) -> None:
    shapes = zip(call.outputs, call.output_shapes, strict=True)
    expansion.masked.update(key for key, shape in shapes if len(shape) > 2)


def _own_mask(layer) -> bool:
    """Whether a class outside Keras says itself which mask goes on."""
    for base in type(layer).__mro__:
        if base.__module__.partition(".")[0] == "keras":
            return False
        if "compute_mask" in vars(base):
            return True
    return False


def _read_nested(call: Call) -> Reading | str:
    """The nested model's own calls, or why it cannot be looked into."""
    unknown = [name for name in call.extras if name != "mask"]
    if unknown:
        return f"it is called with {', '.join(unknown)}"
    try:
        reading = read_calls(check_keras_model(call.layer))
    except InputError:
        return "it is a model whose graph cannot be read"
    if len(reading.inputs) != len(_own_inputs(call)):
        return "it is called with other inputs than it was built with"
    names = _names_given(call)
    if names and not isinstance(call.layer.input, dict) and names != {name for name, _, _ in reading.inputs}:
        return "it is called with other names than those of its inputs"
    return reading


def _names_given(call: Call) -> set[str]:
    """The keys of the dict that a nested model was called with; empty if it was none."""
    return {given.partition(".")[2] for given in call.given if "." in given}


def _inline(call: Call, reading: Reading, expansion: Expansion) -> None:
    """Puts the nested model's calls in the place of ``call``, with keys of their own."""
    name, index, _ = call.outputs[0]
    keys: dict[TensorKey, TensorKey] = dict(
        zip(_in_call_order(call, reading), _own_inputs(call), strict=True)
    )
    aliases = []
    for inner, outer in zip(_used_outputs(call, reading), call.outputs, strict=True):
        if inner in keys:  # an input that is returned, or one tensor that is returned twice
            aliases.append((inner, outer))
        else:
            keys[inner] = outer
    for one in reading.calls:
        for inner in (*one.inputs, *one.outputs):
            keys.setdefault(inner, (f"{name}:{index}:{call.name}/{inner[0]}", inner[1], inner[2]))
    _remember(call, reading, keys, expansion)
    expansion.nested.append(call)
    if call.masked:
        shapes = zip(call.inputs, call.input_shapes, strict=True)
        expansion.masked.update(key for key, shape in shapes if len(shape) > 2)
    for one in reading.calls:
        if one.inputs:
            _expand(_moved(one, call, keys), expansion)
    for inner, outer in aliases:
        shape = call.output_shapes[call.outputs.index(outer)]
        alias = keras.layers.Identity(name=f"{call.layer.name}_output")
        path = f"{call.name}/output"
        _expand(Call(alias, (keys[inner],), (outer,), (shape,), (shape,), ("0",), path=path), expansion)


def _in_call_order(call: Call, reading: Reading) -> list[TensorKey]:
    """The nested model's inputs in the order of the call: Keras matches a dict's keys with their names."""
    if not _names_given(call) or isinstance(call.layer.input, dict):
        return list(reading.inputs)
    return sorted(reading.inputs)


def _own_inputs(call: Call) -> list[TensorKey]:
    """The inputs of a nested model, without the mask that Keras passes along with them."""
    return [key for key, given in zip(call.inputs, call.given, strict=True) if given != "mask"]


def _used_outputs(call: Call, reading: Reading) -> list[TensorKey]:
    """The nested model's outputs that the model around it uses."""
    return [reading.outputs[number] for number in call.numbers]


def _moved(one: Call, call: Call, keys: dict[TensorKey, TensorKey]) -> Call:
    """A call of the nested model as one of the model around it."""
    return dataclasses.replace(
        one,
        inputs=tuple(keys[key] for key in one.inputs),
        outputs=tuple(keys[key] for key in one.outputs),
        path=f"{call.name}/{one.layer.name}",
        times=one.times * call.times,
    )


def _remember(call: Call, reading: Reading, keys, expansion: Expansion) -> None:
    """Notes an application; the tensors of later ones have the same channels as those of the first."""
    expansion.applications.setdefault(id(call.layer), []).append(keys)
    expansion.scopes.setdefault(id(call.layer), (reading, keys))
