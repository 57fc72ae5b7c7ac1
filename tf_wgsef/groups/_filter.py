"""Groups of kind ``filter``: a channel with everything that makes it."""

from tf_wgsef.graph import ChannelGraph
from tf_wgsef.groups._draft import Draft
from tf_wgsef.groups._tied import tied_groups


def filter_groups(graph: ChannelGraph, layers: set[str], skip: set[str]) -> Draft:
    """One group per channel that only ``layers`` make: their filters and all that carries the channel on.

    Args:
        graph: the channel graph of the model.
        layers: names of the layers whose filters may be grouped.
        skip: names of layers whose channels, and all that are tied to them, are left alone.
    """
    roles = {"produce": True, "carry": True, "shift": False}
    return tied_groups("filter", graph, layers, skip, "produce", roles)
