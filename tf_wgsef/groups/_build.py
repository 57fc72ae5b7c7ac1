"""From the channel graph to groups."""

from collections.abc import Iterable

import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.graph import ChannelGraph, build_channel_graph
from tf_wgsef.groups._group_set import GroupSet, Member
from tf_wgsef.groups._keys import keys_of_variables

KINDS = ("filter",)


def build_groups(model, *, kind: str = "filter", only=None, skip=()) -> GroupSet:
    """Builds the coupled, zero-invariant groups of ``model``.

    A ``filter`` group is one channel with everything that makes it: a filter of a convolution or a unit of
    a dense layer, its bias, the batch norm and depthwise kernels behind it, and the same of every layer
    that ``Add`` ties to it. Zeroing the whole group makes the channel zero for every input; zeroing the
    kernel alone does not (Chen et al. 2021, "Only Train Once", call this a zero-invariant group).

    Channels that reach an output of the model, or a layer that no rule covers, are never grouped.

    Args:
        model: a built Sequential or functional ``keras.Model``.
        kind: what a group is; this version knows ``"filter"``.
        only: names of the layers to group; all if None.
        skip: names of layers to leave alone; what is tied to them is left alone too.

    Raises:
        InputError: for an unknown kind or layer name, or a model whose graph cannot be read.

    Example:
        >>> import keras, tf_wgsef
        >>> model = keras.Sequential(
        ...     [keras.Input((4,)), keras.layers.Dense(3, name="hidden"), keras.layers.Dense(2)])
        >>> [float(norm) > 0 for norm in tf_wgsef.build_groups(model).norms(model)]
        [True, True, True]
    """
    if kind not in KINDS:
        raise InputError(f"Expected `kind` to be one of {list(KINDS)}. Received: kind={kind!r}.")
    skip = () if skip is None else skip
    graph = build_channel_graph(model)
    makers = _makers(graph)
    _check_names("skip", skip, graph)
    chosen = set(makers)
    if only is not None:
        _check_names("only", only, graph)
        chosen = {one for one in chosen if set(makers[one]) <= set(only)}
    skipped = _channels_of(graph, set(skip))
    chosen = {one for one in chosen if one not in graph.pins and one not in skipped}
    return _assemble(graph, kind, {one: "+".join(makers[one]) for one in makers if one in chosen})


def _check_names(argument: str, names, graph: ChannelGraph) -> None:
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise InputError(
            f"Expected `{argument}` to be a list of layer names. Received: {argument}={names!r}. "
            f"Pass {argument}=[{names!r}]."
        )
    known = [call.name for call in graph.calls if call.inputs]
    for name in names:
        if name not in known:
            raise InputError(
                f"Expected `{argument}` to name layers of the model. Received: {name!r}. "
                f"The model has: {', '.join(dict.fromkeys(known))}."
            )


def _channels_of(graph: ChannelGraph, names: set[str]) -> set[int]:
    """The channels that the layers ``names`` make or carry."""
    return {
        one
        for call, axes in zip(graph.calls, graph.parameters, strict=True)
        for axis in axes
        if call.name in names and axis.role in ("produce", "carry")
        for one in axis.ids.reshape(-1).tolist()
    }


def _makers(graph: ChannelGraph) -> dict[int, tuple[str, ...]]:
    """{channel id: names of the layers that make it}, in order of execution and of channels."""
    makers: dict[int, dict[str, None]] = {}
    for call, axes in zip(graph.calls, graph.parameters, strict=True):
        for axis in axes:
            if axis.role == "produce":
                for one in axis.ids.reshape(-1).tolist():
                    makers.setdefault(one, {})[call.name] = None
    return {one: tuple(names) for one, names in makers.items()}


def _assemble(graph: ChannelGraph, kind: str, labels: dict[int, str]) -> GroupSet:
    """Numbers the chosen channels, layer by layer, and collects their parameters."""
    layers = tuple(dict.fromkeys(labels.values()))
    index = {label: position for position, label in enumerate(layers)}
    ordered = sorted(labels, key=lambda one: index[labels[one]])  # stable: channels keep their order
    number = np.full(graph.num_ids, -1, dtype=np.int64)
    number[ordered] = np.arange(len(ordered))
    keys = keys_of_variables(graph.model)
    members, shifts, seen = [], [], set()
    for axes in graph.parameters:
        for axis in axes:
            ids = number[axis.ids]
            if axis.role not in ("produce", "carry", "shift") or id(axis.variable) in seen or (ids < 0).all():
                continue
            seen.add(id(axis.variable))
            member = Member(keys[id(axis.variable)], axis.axes, ids, len(axis.variable.shape))
            (shifts if axis.role == "shift" else members).append(member)
    return GroupSet(
        kind=kind,
        layers=layers,
        layer_of=np.array([index[labels[one]] for one in ordered], dtype=np.int64),
        weights=np.ones(len(ordered)),
        members=tuple(members),
        shifts=tuple(shifts),
    )
