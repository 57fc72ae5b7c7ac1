"""Groups of kind ``depth``: a residual branch as a whole."""

import numpy as np

from tf_wgsef.graph import ChannelGraph
from tf_wgsef.groups._draft import Draft, Slices
from tf_wgsef.rules import LIVE, TensorKey

BRANCHES = "depth"
"""The name that all branches share in ``GroupSet.layers``: a level counts branches of the whole model."""


def depth_groups(graph: ChannelGraph, layers: set[str], skip: set[str]) -> Draft:
    """One group per branch that a sum can do without: all weights of the layers on it.

    With them zero the branch adds nothing, and ``strip`` removes it with its ``Add`` (Wen et al. 2016, eq. 6,
    depth-wise). Where all inputs of a sum come from layers of their own (a shortcut with a
    convolution), the one with the fewest weights is no branch: it stays as the path.

    Args:
        graph: the channel graph of the model.
        layers: names of the layers that branches may consist of, but for those without weights.
        skip: names of layers whose branches are left alone.
    """
    slices, taken, number = [], set(), 0
    for branch in _branches(graph):
        names = {graph.calls[one].name for one in branch}
        # Patterns name layers with weights, "block1_conv*"; activations between them are called anything.
        with_weights = {graph.calls[one].name for one in branch if _weights(graph, [one])}
        weights = _weights(graph, branch)
        if not weights or not with_weights <= layers or names & skip or taken & set(map(id, weights)):
            continue
        taken.update(map(id, weights))
        slices += [Slices(weight, (), np.array(number)) for weight in weights]
        slices += [Slices(shift, (), np.array(number), counts=False) for shift in _shifts(graph, branch)]
        number += 1
    return Draft("depth", {BRANCHES: number} if number else {}, tuple(slices))


def _branches(graph: ChannelGraph) -> list[list[int]]:
    """The calls of each branch, in order of execution of their sums."""
    makers = {key: number for number, call in enumerate(graph.calls) for key in call.outputs}
    found = []
    for number, (call, rule) in enumerate(zip(graph.calls, graph.rules, strict=True)):
        if len(call.inputs) < 2:
            continue
        own = []
        for index, key in enumerate(call.inputs):
            if _can_do_without(graph, call, rule, index):
                others = _needed_without(graph, makers, number, index)
                own.append(sorted(_behind(graph, makers, [key]) - others))
        own.sort(key=lambda branch: -sum(_size(weight) for weight in _weights(graph, branch)))
        if len(own) == len(call.inputs) and own and _weights(graph, own[-1]):
            own.pop()
        found += own
    return found


def _can_do_without(graph: ChannelGraph, call, rule, index: int) -> bool:
    """Whether the call drops this input when it is zero and the others are live."""
    shapes = [len(graph.ids[key]) for key in call.inputs]
    values = [np.full(size, 0.0 if one == index else LIVE) for one, size in enumerate(shapes)]
    keeps = [np.ones(size, bool) for size in shapes]
    # Joining layers drop what is cut, not what is zero: they tie nothing.
    tied = np.array_equal(graph.ids[call.inputs[index]], graph.ids[call.outputs[0]])
    return tied and not rule.needs(call, values, keeps)[index]


def _behind(graph: ChannelGraph, makers: dict[TensorKey, int], keys) -> set[int]:
    """Numbers of all calls that tensors are computed from."""
    found: set[int] = set()
    waiting = [makers[key] for key in keys]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += [makers[key] for key in graph.calls[one].inputs]
    return found


def _needed_without(graph: ChannelGraph, makers: dict[TensorKey, int], number: int, index: int) -> set[int]:
    """Numbers of the calls that the outputs need when one input of one call is left out."""
    found: set[int] = set()
    waiting = [makers[key] for key in graph.outputs]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            inputs = enumerate(graph.calls[one].inputs)
            waiting += [makers[key] for place, key in inputs if (one, place) != (number, index)]
    return found


def _weights(graph: ChannelGraph, branch: list[int]) -> list:
    """What is trained, frozen or not: no moving statistics."""
    made = {"produce", "carry", "consume", "inner"}
    found: dict[int, object] = {}
    for one in branch:
        roles = {id(axis.variable) for axis in graph.parameters[one] if axis.role in made}
        for weight in getattr(graph.calls[one].layer, "weights", ()):
            if weight.trainable or id(weight) in roles:
                found[id(weight)] = weight
    return list(found.values())


def _shifts(graph: ChannelGraph, branch: list[int]) -> list:
    return [axis.variable for one in branch for axis in graph.parameters[one] if axis.role == "shift"]


def _size(variable) -> int:
    return int(np.prod(variable.shape, dtype=np.int64))
