"""The plan of a removal: which channels go, which calls disappear, and why the rest stays."""

import dataclasses

import numpy as np

from tf_wgsef.graph._channel_graph import ChannelGraph
from tf_wgsef.graph._dataflow import Values, find_constants, find_foldable, find_removable
from tf_wgsef.rules import Call, TensorKey


@dataclasses.dataclass(frozen=True)
class Plan:
    """What goes.

    Attributes:
        removed: per channel id, whether it goes, bool of shape (num_ids,).
        values: per tensor, each channel's constant value, NaN where it depends on the input.
        reasons: {channel id: why it stays although it is constant or unused somewhere}.
        needed: tensors that an output of the model still depends on; the others are not computed.
        needs: per call, which of its inputs it still takes; all False where nobody needs the call.
        bypassed: numbers of the calls that return their only needed input, and disappear.
    """

    removed: np.ndarray
    values: Values
    reasons: dict[int, str]
    needed: frozenset[TensorKey]
    needs: tuple[tuple[bool, ...], ...]
    bypassed: frozenset[int]

    def keeps(self, ids: np.ndarray) -> np.ndarray:
        """Which of the channels ``ids`` stay, bool of the same shape."""
        return ~self.removed[ids]


def plan_removal(graph: ChannelGraph, *, round_to: int = 1) -> Plan:
    """Finds every channel and every call that can go.

    Args:
        graph: the channel graph of the model.
        round_to: the number of filters or units of a layer that stays is a multiple of this, where the
            layer has so many: silent ones fill it up.
    """
    values = find_constants(graph)
    foldable = find_foldable(graph, values)
    removed = find_removable(graph, values, foldable)
    reasons = _reasons(graph, values, foldable, removed)
    while True:
        needs, needed = _reach(graph, values, removed)
        if not _restore(graph, removed, reasons, needed, round_to):
            break
    bypassed = _identities(graph, removed, needs)
    return Plan(removed, values, reasons, needed, needs, bypassed)


def _reach(graph: ChannelGraph, values: Values, removed: np.ndarray):
    """Backward from the outputs: which inputs each call needs, and which tensors are needed at all."""
    needed = set(graph.outputs)
    while True:
        before = len(needed)
        needs = _needs(graph, values, removed, needed)
        for call in graph.nested:  # a model is called on all of its inputs
            if not needed.isdisjoint(call.outputs):
                needed.update(call.inputs)
        if len(needed) == before:
            return needs, frozenset(needed)


def _needs(graph: ChannelGraph, values: Values, removed: np.ndarray, needed: set[TensorKey]):
    """One pass backward: which inputs each call needs; adds them to ``needed``."""
    needs: list[tuple[bool, ...]] = []
    for call, rule in reversed(list(zip(graph.calls, graph.rules, strict=True))):
        if needed.isdisjoint(call.outputs):
            needs.append((False,) * len(call.inputs))
            continue
        keeps = [~removed[graph.ids[key]] for key in call.inputs]
        takes = tuple(rule.needs(call, [values[key] for key in call.inputs], keeps))
        needed.update(key for key, take in zip(call.inputs, takes, strict=True) if take)
        needs.append(takes)
    return tuple(reversed(needs))


def _restore(graph: ChannelGraph, removed: np.ndarray, reasons, needed, round_to: int) -> bool:
    """Brings back channels that layers cannot do without; returns whether there were any."""
    before = int(removed.sum())
    for call, rule, axes in zip(graph.calls, graph.rules, graph.parameters, strict=True):
        if needed.isdisjoint(call.outputs):
            continue
        keys = (*call.inputs, *call.outputs)
        keeps = [~removed[graph.ids[key]] for key in keys]
        inputs, outputs = rule.restore(call, keeps[: len(call.inputs)], keeps[len(call.inputs) :])
        for key, stay in zip(keys, (*inputs, *outputs), strict=True):
            _bring_back(graph.ids[key][stay], removed, reasons, f"{call.describe()} needs equal numbers")
        if round_to > 1 and any(axis.role == "produce" for axis in axes):
            _round_up(graph.ids[call.outputs[0]], removed, reasons, round_to)
    for key in needed:
        ids = graph.ids[key]
        if len(ids) and removed[ids].all():
            _bring_back(ids[:1], removed, reasons, "a layer needs at least one channel")
    return int(removed.sum()) < before


def _round_up(ids: np.ndarray, removed: np.ndarray, reasons, multiple: int) -> None:
    """Keeps silent channels until the number is a multiple, or all stay."""
    alive = int((~removed[ids]).sum())
    missing = min(-(-alive // multiple) * multiple, len(ids)) - alive
    _bring_back(ids[removed[ids]][:missing], removed, reasons, f"rounded up to a multiple of {multiple}")


def _bring_back(ids: np.ndarray, removed: np.ndarray, reasons: dict[int, str], reason: str) -> None:
    for one in ids[removed[ids]].tolist():
        removed[one] = False
        reasons[one] = reason


def _identities(graph: ChannelGraph, removed: np.ndarray, needs) -> frozenset[int]:
    """The calls that return their only needed input as it is."""
    found = []
    makers: dict[TensorKey, Call] = {}  # of what is left
    for number, (call, rule) in enumerate(zip(graph.calls, graph.rules, strict=True)):
        takes = needs[number]
        makers |= dict.fromkeys(call.outputs, call)
        if sum(takes) != 1 or len(call.outputs) != 1:
            continue
        key = call.inputs[takes.index(True)]
        before = makers.get(key)
        if not rule.identity(call, list(takes)) and (before is None or not rule.repeats(call, before)):
            continue
        kept, passed = (~removed[graph.ids[one]] for one in (key, call.outputs[0]))
        if np.array_equal(kept, passed) if len(kept) == len(passed) else kept.sum() == passed.sum():
            found.append(number)
            if before is not None:
                makers[call.outputs[0]] = before
    return frozenset(found)


def _reasons(graph: ChannelGraph, values: Values, foldable, removed: np.ndarray) -> dict[int, str]:
    """Why channels that are constant on some tensor stay."""
    reasons: dict[int, str] = {}
    for call in graph.calls:
        for key in call.inputs:
            stuck = np.isfinite(values[key]) & ~foldable[key] & ~removed[graph.ids[key]]
            for one in graph.ids[key][stuck].tolist():
                reasons.setdefault(
                    one,
                    f"a constant other than 0 feeds {call.describe()}, which cannot fold it exactly",
                )
        if len(call.inputs) == 1:
            _explain_borders(graph, values, removed, reasons, call)
        elif len(call.outputs) == 1:
            _explain_merge(graph, values, removed, reasons, call)
    return reasons


def _explain_borders(graph: ChannelGraph, values: Values, removed, reasons, call: Call) -> None:
    """Passed on with 'same' padding: its border is zero, so the channel is constant no more."""
    key = call.inputs[0]
    constant = set(graph.ids[key][np.isfinite(values[key]) & (values[key] != 0)].tolist())
    for out in call.outputs:
        live = graph.ids[out][~np.isfinite(values[out]) & ~removed[graph.ids[out]]]
        for one in constant & set(live.tolist()):
            reasons.setdefault(
                one, f"a constant other than 0 feeds {call.describe()}, behind which it is none"
            )


def _explain_merge(graph: ChannelGraph, values: Values, removed, reasons, call: Call) -> None:
    """Zero in one input of a merge and live in another: the merge needs the channel."""
    out = call.outputs[0]
    for key in call.inputs:
        ids = graph.ids[key]
        if len(ids) != len(graph.ids[out]):
            continue
        stuck = (values[key] == 0) & ~np.isfinite(values[out]) & ~removed[ids]
        for one in ids[stuck & (ids == graph.ids[out])].tolist():
            reasons.setdefault(one, f"zero here, but {call.describe()} ties it to a live channel")
