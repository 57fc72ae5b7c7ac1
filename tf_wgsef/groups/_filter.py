"""Groups of kind ``filter``: a channel with everything that makes it."""

from tf_wgsef.graph import ChannelGraph
from tf_wgsef.groups._draft import Draft, Slices, number_channels

_ROLES = {"produce": True, "carry": True, "shift": False}


def filter_groups(graph: ChannelGraph, layers: set[str], skip: set[str]) -> Draft:
    """One group per channel that only ``layers`` make: their filters and all that carries the channel on.

    Args:
        graph: the channel graph of the model.
        layers: names of the layers whose filters may be grouped.
        skip: names of layers whose channels, and all that are tied to them, are left alone.
    """
    makers = makers_of_channels(graph)
    skipped = channels_of(graph, skip, ("produce", "carry"))
    chosen = {
        one: "+".join(names)
        for one, names in makers.items()
        if set(names) <= layers and one not in graph.pins and one not in skipped
    }
    labels, number = number_channels(chosen, graph.num_ids)
    slices, seen = [], set()
    for axes in graph.parameters:
        for axis in axes:
            if axis.role not in _ROLES or id(axis.variable) in seen or (number[axis.ids] < 0).all():
                continue
            seen.add(id(axis.variable))
            slices.append(Slices(axis.variable, axis.axes, number[axis.ids], _ROLES[axis.role]))
    return Draft("filter", labels, tuple(slices))


def makers_of_channels(graph: ChannelGraph) -> dict[int, tuple[str, ...]]:
    """{channel id: names of the layers that make it}, in order of execution and of channels."""
    makers: dict[int, dict[str, None]] = {}
    for call, axes in zip(graph.calls, graph.parameters, strict=True):
        for axis in axes:
            if axis.role == "produce":
                for one in axis.ids.reshape(-1).tolist():
                    makers.setdefault(one, {})[call.name] = None
    return {one: tuple(names) for one, names in makers.items()}


def channels_of(graph: ChannelGraph, names: set[str], roles: tuple[str, ...]) -> set[int]:
    """The channels that the layers ``names`` touch in one of ``roles``."""
    return {
        one
        for call, axes in zip(graph.calls, graph.parameters, strict=True)
        for axis in axes
        if call.name in names and axis.role in roles
        for one in axis.ids.reshape(-1).tolist()
    }
