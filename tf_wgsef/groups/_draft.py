"""What a group kind finds, and how the finds of several kinds become one ``GroupSet``."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.graph import ChannelGraph
from tf_wgsef.groups._group_set import GroupSet
from tf_wgsef.groups._keys import keys_of_variables
from tf_wgsef.groups._member import Member


@dataclasses.dataclass(frozen=True)
class Slices:
    """The entries of one variable that belong to groups of a draft.

    Attributes:
        variable: the ``keras.Variable``.
        axes: its axes that run over groups, ascending; none where the whole variable is in one group.
        ids: group of each index along ``axes``, counted within the draft; -1 is in no group.
        counts: False for moving statistics, which are zeroed with a group but count in no norm.
    """

    variable: Any
    axes: tuple[int, ...]
    ids: np.ndarray
    counts: bool = True


@dataclasses.dataclass(frozen=True)
class Draft:
    """Groups of one kind, numbered from 0.

    Attributes:
        kind: what a group is.
        sizes: {layer, tied ones joined with ``+``: number of its groups}, in the order of the groups.
        slices: what belongs to them.
    """

    kind: str
    sizes: Mapping[str, int]
    slices: tuple[Slices, ...]


def assemble(graph: ChannelGraph, drafts: list[Draft]) -> GroupSet:
    """Numbers the groups of all drafts one after another.

    Args:
        graph: the channel graph of the model.
        drafts: in the order of numbering.

    Raises:
        InputError: if two drafts hold the same variable.
    """
    keys = keys_of_variables(graph.model)
    members, shifts = [], []
    labels: list[str] = []
    sizes: list[int] = []
    taken: dict[int, str] = {}
    for draft in drafts:
        for one in draft.slices:
            other = taken.setdefault(id(one.variable), draft.kind)
            if other != draft.kind:
                raise InputError(
                    f"Expected groups that share no weights. Received: kinds {other!r} and {draft.kind!r} "
                    f"both on {keys[id(one.variable)]!r}. Give its layer, and those tied to it, one kind."
                )
            ids = np.where(one.ids < 0, -1, one.ids + sum(sizes)) if sizes else one.ids
            member = Member(keys[id(one.variable)], one.axes, ids, len(one.variable.shape))
            (members if one.counts else shifts).append(member)
        labels += draft.sizes.keys()
        sizes += draft.sizes.values()
    layers = tuple(dict.fromkeys(labels))
    index = {label: position for position, label in enumerate(layers)}
    return GroupSet(
        kind="+".join(dict.fromkeys(draft.kind for draft in drafts if draft.sizes)),
        layers=layers,
        layer_of=np.repeat(np.array([index[label] for label in labels], dtype=np.int64), sizes),
        weights=np.ones(sum(sizes)),
        members=tuple(members),
        shifts=tuple(shifts),
    )
