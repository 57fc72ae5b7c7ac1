"""Groups of kind ``channel``: what reads a channel, rather than what makes it."""

from tf_wgsef.graph import ChannelGraph
from tf_wgsef.groups._draft import Draft
from tf_wgsef.groups._tied import tied_groups


def channel_groups(graph: ChannelGraph, layers: set[str], skip: set[str]) -> Draft:
    """One group per input channel of ``layers``: kernel[:, :, c, :] of every layer that reads it.

    With all of them zero the channel is read by nobody, and goes (Wen et al. 2016, "Learning Structured
    Sparsity in Deep Neural Networks", eq. 4, channel-wise). Channels that other layers read too are not
    grouped.

    Args:
        graph: the channel graph of the model.
        layers: names of the layers whose input channels may be grouped.
        skip: names of layers whose input channels are left alone.
    """
    return tied_groups("channel", graph, layers, skip, "consume", {"consume": True})
