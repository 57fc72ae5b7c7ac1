"""Which channels can go without a change of output: constants forward, use backward, to the fixed point.

Nothing here looks at groups: only at the weights. So models that another tool made sparse shrink too.
"""

import dataclasses
from collections import Counter

import numpy as np

from tf_wgsef.graph import ChannelGraph
from tf_wgsef.rules import LIVE, TensorKey


@dataclasses.dataclass(frozen=True)
class Plan:
    """What goes.

    Attributes:
        removed: per channel id, whether it goes, bool of shape (num_ids,).
        values: per tensor, each channel's constant value, NaN where it depends on the input.
        reasons: {channel id: why it stays although it is constant or unused somewhere}.
    """

    removed: np.ndarray
    values: dict[TensorKey, np.ndarray]
    reasons: dict[int, str]

    def keeps(self, ids: np.ndarray) -> np.ndarray:
        """Which of the channels ``ids`` stay, bool of the same shape."""
        return ~self.removed[ids]


def plan_removal(graph: ChannelGraph) -> Plan:
    """Finds every channel that can go.

    A channel id goes when, on each tensor that carries it, the channel is unused, or is constant and each
    layer that sums over it can take that constant into its bias exactly. What goes makes more unused, so
    this is repeated until nothing changes.

    Args:
        graph: the channel graph of the model.
    """
    values = _constants(graph)
    foldable = _foldable(graph, values)
    pinned = np.zeros(graph.num_ids, bool)
    pinned[list(graph.pins)] = True
    removed = np.zeros(graph.num_ids, bool)
    while True:
        used = _used(graph, values, removed)
        stays = pinned.copy()
        for key, ids in graph.ids.items():
            stays[ids[used[key] & ~foldable[key]]] = True
        if np.array_equal(~stays, removed):
            break
        removed = ~stays
    reasons = _reasons(graph, values, foldable, removed)
    _keep_one_everywhere(graph, removed, reasons)
    return Plan(removed, values, reasons)


def _constants(graph: ChannelGraph) -> dict[TensorKey, np.ndarray]:
    """Forward: the constant value of each channel of each tensor, NaN where live."""
    values: dict[TensorKey, np.ndarray] = {}
    uses = Counter(call.name for call in graph.calls)
    for call, rule in zip(graph.calls, graph.rules, strict=True):
        inputs = [values[key] for key in call.inputs]
        if uses[call.name] > 1:
            # One bias serves all uses of a shared layer, so it can take in no use's constants but zeros.
            inputs = [np.where(value == 0, 0.0, LIVE) for value in inputs]
        results = rule.forward(call, inputs)
        values.update(zip(call.outputs, results, strict=True))
    return values


def _foldable(graph: ChannelGraph, values) -> dict[TensorKey, np.ndarray]:
    """Per tensor, which channels are constants that every consumer can fold."""
    uses = Counter(call.name for call in graph.calls)
    foldable = {key: np.isfinite(value) for key, value in values.items()}
    for call, rule in zip(graph.calls, graph.rules, strict=True):
        inputs = [values[key] for key in call.inputs]
        for key, can in zip(call.inputs, rule.foldable(call, inputs), strict=True):
            if uses[call.name] > 1:
                can = can & (values[key] == 0)
            foldable[key] &= can
    return foldable


def _used(graph: ChannelGraph, values, removed: np.ndarray) -> dict[TensorKey, np.ndarray]:
    """Backward: per tensor, which channels an output of the model depends on, given what goes.

    A constant depends on nothing: what it is computed from is either constant too, and folded, or does
    not matter.
    """
    used = {key: np.zeros(len(ids), bool) for key, ids in graph.ids.items()}
    for key in graph.outputs:
        used[key][:] = True
    calls = list(zip(graph.calls, graph.rules, strict=True))
    for call, rule in reversed(calls):
        wanted = [used[key] & ~removed[graph.ids[key]] & ~np.isfinite(values[key]) for key in call.outputs]
        for key, need in zip(call.inputs, rule.backward(call, wanted), strict=True):
            used[key] |= need
    return used


def _reasons(graph: ChannelGraph, values, foldable, removed: np.ndarray) -> dict[int, str]:
    """Why channels that are constant on some tensor stay."""
    reasons = {}
    for call in graph.calls:
        for key in call.inputs:
            stuck = np.isfinite(values[key]) & ~foldable[key] & ~removed[graph.ids[key]]
            for one in graph.ids[key][stuck].tolist():
                reasons.setdefault(
                    one,
                    f"a constant other than 0 feeds {call.describe()}, which cannot fold it exactly",
                )
            for out in call.outputs:
                # Passed on with 'same' padding: its border is zero, so the channel is constant no more.
                live = set(graph.ids[out][~np.isfinite(values[out]) & ~removed[graph.ids[out]]].tolist())
                constant = np.isfinite(values[key]) & (values[key] != 0)
                for one in live & set(graph.ids[key][constant].tolist()):
                    if len(call.inputs) == 1:
                        reasons.setdefault(
                            one,
                            f"a constant other than 0 feeds {call.describe()}, behind which it is none",
                        )
    return reasons


def _keep_one_everywhere(graph: ChannelGraph, removed: np.ndarray, reasons: dict[int, str]) -> None:
    """A tensor needs a channel: where all would go, the first stays, and computes what it did before."""
    changed = True
    while changed:
        changed = False
        for ids in graph.ids.values():
            if len(ids) and removed[ids].all():
                removed[ids[0]] = False
                reasons[int(ids[0])] = "a layer needs at least one channel"
                changed = True
