"""Which channels can go without a change of output: constants forward, use backward, to the fixed point.

Nothing here looks at groups: only at the weights. So models that another tool made sparse shrink too.
"""

from collections import Counter

import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.graph._channel_graph import ChannelGraph
from tf_wgsef.rules import LIVE, Call, TensorKey

Values = dict[TensorKey, np.ndarray]
"""Per tensor, each channel's constant value, NaN where it depends on the input; shape (channels,)."""


def find_constants(graph: ChannelGraph) -> Values:
    """Forward: the constant value of each channel of each tensor, NaN where live."""
    values: Values = {}
    uses = count_uses(graph)
    for call, rule in zip(graph.calls, graph.rules, strict=True):
        inputs = [values[key] for key in call.inputs]
        if uses[use_key(call)] > 1:
            # One bias serves all uses of a shared layer, so it can take in no use's constants but zeros.
            inputs = [np.where(value == 0, 0.0, LIVE) for value in inputs]
        results = rule.forward(call, inputs)
        sizes = [len(graph.ids[key]) for key in call.outputs]
        if [np.shape(result) for result in results] != [(size,) for size in sizes]:
            raise InputError(
                f"Expected {type(rule).__name__}.forward to return one value per output channel of "
                f"{call.describe()}: {sizes}. Received: {[np.shape(result) for result in results]}."
            )
        values.update(zip(call.outputs, results, strict=True))
    return values


def find_foldable(graph: ChannelGraph, values: Values) -> dict[TensorKey, np.ndarray]:
    """Per tensor, which channels are constants that every consumer can fold, bool of shape (channels,)."""
    uses = count_uses(graph)
    foldable = {key: np.isfinite(value) for key, value in values.items()}
    for call, rule in zip(graph.calls, graph.rules, strict=True):
        inputs = [values[key] for key in call.inputs]
        for key, can in zip(call.inputs, rule.foldable(call, inputs), strict=True):
            if uses[use_key(call)] > 1:
                can = can & (values[key] == 0)
            foldable[key] &= can
    return foldable


def find_removable(graph: ChannelGraph, values: Values, foldable) -> np.ndarray:
    """Finds every channel id that can go, bool of shape (num_ids,).

    An id goes when, on each tensor that carries it, the channel is unused, or is constant and each layer
    that sums over it can take that constant into its bias exactly. What goes makes more unused, so this is
    repeated until nothing changes.

    Args:
        graph: the channel graph of the model.
        values: of ``find_constants``.
        foldable: of ``find_foldable``.
    """
    pinned = np.zeros(graph.num_ids, bool)
    pinned[list(graph.pins)] = True
    removed = np.zeros(graph.num_ids, bool)
    while True:
        used = _find_used(graph, values, removed)
        stays = pinned.copy()
        for key, ids in graph.ids.items():
            stays[ids[used[key] & ~foldable[key]]] = True
        if np.array_equal(~stays, removed):
            return removed
        removed = ~stays


def _find_used(graph: ChannelGraph, values: Values, removed: np.ndarray) -> dict[TensorKey, np.ndarray]:
    """Backward: per tensor, which channels an output of the model depends on, given what goes.

    A constant depends on nothing: what it is computed from is either constant too, and folded, or does
    not matter.
    """
    used = {key: np.zeros(len(ids), bool) for key, ids in graph.ids.items()}
    for key in graph.outputs:
        used[key][:] = True
    calls = list(zip(graph.calls, graph.rules, strict=True))
    for call, rule in reversed(calls):
        for key, need in zip(
            call.outputs, rule.internal(call, [used[key] for key in call.outputs]), strict=True
        ):
            used[key] |= need
        wanted = [used[key] & ~removed[graph.ids[key]] & ~np.isfinite(values[key]) for key in call.outputs]
        for key, need in zip(call.inputs, rule.backward(call, wanted), strict=True):
            used[key] |= need
    return used


def removable_channels(graph: ChannelGraph) -> np.ndarray:
    """Which channel ids can go with the weights as they are now, bool of shape (num_ids,)."""
    values = find_constants(graph)
    return find_removable(graph, values, find_foldable(graph, values))


def count_uses(graph: ChannelGraph) -> Counter:
    """How often each layer, or part of one, is applied, by ``use_key``."""
    return Counter(use_key(call) for call in graph.calls)


def use_key(call: Call) -> int:
    """The same for all applications of a layer: the id of its first variable, or its own if it has none."""
    weights = getattr(call.layer, "weights", None)
    return id(weights[0]) if weights else id(call.layer)
