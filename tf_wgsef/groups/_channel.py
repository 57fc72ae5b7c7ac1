"""Groups of kind ``channel``: what reads a channel, rather than what makes it."""

from tf_wgsef.graph import ChannelGraph
from tf_wgsef.groups._draft import Draft, Slices, number_channels
from tf_wgsef.groups._filter import channels_of


def channel_groups(graph: ChannelGraph, layers: set[str], skip: set[str]) -> Draft:
    """One group per input channel of ``layers``: kernel[:, :, c, :] of every layer that reads it.

    With all of them zero the channel is read by nobody, and goes (Wen et al. 2016, "Learning Structured
    Sparsity in Deep Neural Networks", eq. 4, channel-wise). Channels that must stay are not grouped, nor
    those that other layers read too.

    Args:
        graph: the channel graph of the model.
        layers: names of the layers whose input channels may be grouped.
        skip: names of layers whose input channels are left alone.
    """
    readers: dict[int, dict[str, None]] = {}
    axes_of: list[tuple[str, object]] = []
    for call, axes in zip(graph.calls, graph.parameters, strict=True):
        for axis in axes:
            if axis.role == "consume":
                axes_of.append((call.name, axis))
                for one in axis.ids.reshape(-1).tolist():
                    readers.setdefault(one, {})[call.name] = None
    skipped = channels_of(graph, skip, ("consume",))
    chosen = {
        one: "+".join(names)
        for one, names in readers.items()
        if set(names) <= layers and one not in graph.pins and one not in skipped
    }
    labels, number = number_channels(chosen, graph.num_ids)
    slices, seen = [], set()
    for _, axis in axes_of:
        if id(axis.variable) not in seen and (number[axis.ids] >= 0).any():
            seen.add(id(axis.variable))
            slices.append(Slices(axis.variable, axis.axes, number[axis.ids]))
    return Draft("channel", labels, tuple(slices))
