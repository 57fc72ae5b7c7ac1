"""Groups by channel: all entries that play certain roles for it, wherever they are."""

from collections import Counter

import numpy as np

from tf_wgsef.graph import ChannelGraph
from tf_wgsef.groups._draft import Draft, Slices


def tied_groups(
    kind: str, graph: ChannelGraph, layers: set[str], skip: set[str], anchor: str, roles: dict[str, bool]
) -> Draft:
    """One group per channel whose layers in the role ``anchor`` are all among ``layers``.

    Channels that must stay are not grouped. Groups are numbered layer by layer; channels keep their order.

    Args:
        kind: what a group is.
        graph: the channel graph of the model.
        layers: names of the layers whose channels may be grouped.
        skip: names of layers whose channels, and all that are tied to them, are left alone.
        anchor: the role that says which layers a channel belongs to.
        roles: {role of the entries that a group holds: whether they count in its norm}.
    """
    counted = {role for role, counts in roles.items() if counts}
    skipped = {
        one
        for call, axes in zip(graph.calls, graph.parameters, strict=True)
        for axis in axes
        if call.name in skip and axis.role in counted
        for one in axis.ids.reshape(-1).tolist()
    }
    chosen = {
        one: "+".join(names)
        for one, names in layers_of_channels(graph, anchor).items()
        if set(names) <= layers and one not in graph.pins and one not in skipped
    }
    order = {label: position for position, label in enumerate(dict.fromkeys(chosen.values()))}
    ordered = sorted(chosen, key=lambda one: order[chosen[one]])  # stable
    number = np.full(graph.num_ids, -1, dtype=np.int64)
    number[ordered] = np.arange(len(ordered))
    slices, seen = [], set()
    for axes in graph.parameters:
        for axis in axes:
            if axis.role not in roles or id(axis.variable) in seen or (number[axis.ids] < 0).all():
                continue
            seen.add(id(axis.variable))
            slices.append(Slices(axis.variable, axis.axes, number[axis.ids], roles[axis.role]))
    return Draft(kind, Counter(chosen[one] for one in ordered), tuple(slices))


def layers_of_channels(graph: ChannelGraph, role: str) -> dict[int, tuple[str, ...]]:
    """{channel id: names of the layers with it in this role}, in order of execution and of channels."""
    names: dict[int, dict[str, None]] = {}
    for call, axes in zip(graph.calls, graph.parameters, strict=True):
        for axis in axes:
            if axis.role == role:
                for one in axis.ids.reshape(-1).tolist():
                    names.setdefault(one, {})[call.name] = None
    return {one: tuple(found) for one, found in names.items()}
