"""From the channel graph to groups of any kind."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.graph import ChannelGraph, build_channel_graph
from tf_wgsef.groups._channel import channel_groups
from tf_wgsef.groups._depth import depth_groups
from tf_wgsef.groups._draft import Draft, assemble
from tf_wgsef.groups._filter import filter_groups
from tf_wgsef.groups._group_set import GroupSet
from tf_wgsef.groups._head import head_groups
from tf_wgsef.groups._kernel import block_groups, element_groups, filter_shape_groups, spatial_groups

KINDS = ("filter", "channel", "filter_shape", "spatial", "depth", "block", "element", "head")


def build_groups(
    model, *, kind: str | Mapping[str, str] = "filter", only=None, skip=(), block: tuple[int, int] = (1, 4)
) -> GroupSet:
    """Builds the groups of ``model``: what the hardware can save on, as sets of weights.

    ======================  ============================================================================
    kind                    one group is …
    ======================  ============================================================================
    ``"filter"``            a channel with everything that makes it: a filter or a unit, its bias, the
                            batch norm and depthwise kernels behind it, the same of every layer that
                            ``Add`` ties to it. Zero means silent for every input (a zero-invariant
                            group: Chen et al. 2021, "Only Train Once"), and ``strip`` removes it.
    ``"channel"``           kernel[:, :, c, :] of every layer that reads channel c; ``strip`` removes it.
    ``"depth"``             all weights of a residual branch; ``strip`` removes it. All branches of the
                            model count as one layer, named ``depth``.
    ``"head"``              a head of an attention; ``strip`` removes it.
    ``"spatial"``           kernel[i, j, :, :]; ``strip`` cuts rows and columns at the border.
    ``"filter_shape"``      kernel[i, j, c, :], a row of the lowered matrix.
    ``"block"``             ``block`` rows × columns of the lowered matrix.
    ``"element"``           a single weight of a kernel.
    ======================  ============================================================================

    Channels that reach an output of the model, or a layer that no rule covers, are in no ``filter`` or
    ``channel`` group.

    Args:
        model: a built Sequential or functional ``keras.Model``.
        kind: what a group is; or {pattern of layer names: kind}, such as
            ``{"conv*": "filter", "*": "element"}``: the first pattern that fits a layer counts.
        only: names of the layers to group; all if None. That of a layer made of others (``Bidirectional``,
            attention) stands for all its parts, here as in ``skip`` and ``kind``.
        skip: names of layers to leave alone; what is tied to them is left alone too.
        block: rows and columns of a block.

    Raises:
        InputError: for an unknown kind or layer name, kinds that share weights, or a model whose graph
            cannot be read.

    Example:
        >>> import keras, tf_wgsef
        >>> model = keras.Sequential(
        ...     [keras.Input((4,)), keras.layers.Dense(3, name="hidden"), keras.layers.Dense(2, name="out")])
        >>> tf_wgsef.build_groups(model).num_groups
        3
        >>> tf_wgsef.build_groups(model, kind={"out": "element", "*": "filter"}).sizes.tolist()
        [6, 3]
    """
    kinds = _check_kinds(kind)
    block = _check_block(block)
    graph = build_channel_graph(model)
    skip = _with_parts(_check_names("skip", () if skip is None else skip, graph), graph)
    chosen = set(_names(graph)) if only is None else _with_parts(_check_names("only", only, graph), graph)
    _check_patterns(kinds, graph)
    layers: dict[str, set[str]] = {one: set() for one in KINDS}
    for name in chosen:
        found = next((one for pattern, one in kinds.items() if _fits(name, pattern, one, graph)), None)
        if found is not None:
            layers[found].add(name)
    drafts = [_draft(one, graph, layers[one], skip, block) for one in dict.fromkeys(kinds.values())]
    return assemble(graph, drafts)


def _draft(kind: str, graph: ChannelGraph, layers: set[str], skip: set[str], block) -> Draft:
    if kind in _TIED:
        return _TIED[kind](graph, layers, skip)
    if kind == "block":
        return block_groups(graph, layers - skip, block)
    return _IN_KERNELS[kind](graph, layers - skip)


_TIED = {"filter": filter_groups, "channel": channel_groups, "depth": depth_groups, "head": head_groups}
_IN_KERNELS = {
    "filter_shape": filter_shape_groups,
    "spatial": spatial_groups,
    "element": element_groups,
}


def _names(graph: ChannelGraph) -> list[str]:
    """The names that layers are chosen by, those of compound layers and of their parts included."""
    names = [call.name for call in graph.calls if call.inputs]
    names += [compound.call.name for compound in graph.compounds.values()]
    return list(dict.fromkeys(names))


def _with_parts(names, graph: ChannelGraph) -> set[str]:
    """The names, and those of the parts of layers that are made of others."""
    return {one for one in _names(graph) if any(f"{one}/".startswith(f"{name}/") for name in names)}


def _fits(name: str, pattern: str, kind: str, graph: ChannelGraph) -> bool:
    """Whether a pattern names the layer or, but for heads, which are the whole's, one it is a part of."""
    if fnmatchcase(name, pattern):
        return True
    wholes = (compound.call.name for compound in graph.compounds.values())
    return kind != "head" and any(
        name.startswith(f"{whole}/") and fnmatchcase(whole, pattern) for whole in wholes
    )


def _check_kinds(kind) -> dict[str, str]:
    kinds = dict(kind) if isinstance(kind, Mapping) else {"*": kind}
    for pattern, one in kinds.items():
        if not isinstance(one, str) or one not in KINDS:
            raise InputError(f"Expected `kind` to be one of {list(KINDS)}. Received: kind={one!r}.")
        if not isinstance(pattern, str):
            raise InputError(f"Expected patterns of layer names as keys of `kind`. Received: {pattern!r}.")
    if not kinds:
        raise InputError("Expected `kind` to name at least one pattern. Received: an empty mapping.")
    return kinds


def _check_patterns(kinds: Mapping[str, str], graph: ChannelGraph) -> None:
    for pattern in kinds:
        if not any(fnmatchcase(name, pattern) for name in _names(graph)):
            raise InputError(
                f"Expected patterns of `kind` that fit layers of the model. Received: {pattern!r}, which "
                f"fits none of: {', '.join(_names(graph))}."
            )


def _check_block(block) -> tuple[int, int]:
    sizes = tuple(block) if isinstance(block, Iterable) and not isinstance(block, str) else ()
    whole = all(isinstance(size, int | np.integer) and not isinstance(size, bool) for size in sizes)
    if len(sizes) != 2 or not whole or min(sizes) < 1:
        raise InputError(
            f"Expected `block` to be (rows, columns), whole numbers of at least 1. Received: block={block!r}."
        )
    return int(sizes[0]), int(sizes[1])


def _check_names(argument: str, names, graph: ChannelGraph):
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise InputError(
            f"Expected `{argument}` to be a list of layer names. Received: {argument}={names!r}. "
            f"Pass {argument}=[{names!r}]."
        )
    names, known = list(names), _names(graph)
    for name in names:
        if name not in known:
            raise InputError(
                f"Expected `{argument}` to name layers of the model. Received: {name!r}. "
                f"The model has: {', '.join(known)}."
            )
    return names
