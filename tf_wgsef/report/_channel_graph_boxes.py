"""A channel graph as boxes and edges: which calls share a box, which boxes are tied, what stays and why."""

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tf_wgsef.graph import ChannelGraph
    from tf_wgsef.rules import Call, TensorKey


@dataclasses.dataclass(frozen=True)
class Box:
    """One call, with the element-wise calls behind it.

    Attributes:
        name: the layer's name.
        kind: its class.
        folded: names of the element-wise layers behind it, in order.
        channels: number of its output's channels.
        kept: how many of them stay, None if nobody has asked.
        sets: (index of the set of tied channels, or None if no other box carries them; number of
            channels) for each part of the output, in order.
        barrier: why no rule covers it, or None.
        stays: for each reason why channels must stay: (how many of the output's, the reason).
        is_input: whether it is an input of the model.
        is_output: whether the model returns its output.
    """

    name: str
    kind: str
    folded: tuple[str, ...]
    channels: int
    kept: int | None
    sets: tuple[tuple[int | None, int], ...]
    barrier: str | None
    stays: tuple[tuple[int, str], ...]
    is_input: bool
    is_output: bool

    @property
    def goes(self) -> bool:
        """Whether no channel stays, and so nothing of the box does."""
        return self.kept == 0 and self.channels > 0 and not self.is_input


@dataclasses.dataclass(frozen=True)
class Diagram:
    """What the picture shows, without any geometry.

    Attributes:
        title: the model's name.
        boxes: in order of execution.
        edges: (index of the box that a tensor comes from, index of the one it goes to), without doubles.
        calls: number of calls in all boxes.
        sets: number of sets of channels that two boxes or more carry.
    """

    title: str
    boxes: tuple[Box, ...]
    edges: tuple[tuple[int, int], ...]
    calls: int
    sets: int


def read_diagram(
    graph: "ChannelGraph",
    keeps: "Mapping[TensorKey, np.ndarray] | None" = None,
    reasons: Mapping[int, str] | None = None,
) -> Diagram:
    """Returns the boxes and edges of ``graph``.

    Args:
        graph: the channels of a model.
        keeps: per tensor, which of its channels stay, bool of shape (channels,).
        reasons: {channel id: why it stays}, beside the graph's own pins.
    """
    runs = _fold(graph)
    owner = {key: place for place, run in enumerate(runs) for call in run for key in call.outputs}
    sets, num_sets = _tied_sets(graph, runs)
    reasons = {**(reasons or {}), **graph.pins}
    barriers = graph.barriers()
    boxes = tuple(_make_box(graph, run, keeps, reasons, sets, barriers.get(run[0].name)) for run in runs)
    pairs = [(owner[key], place) for place, run in enumerate(runs) for key in run[0].inputs if key in owner]
    return Diagram(
        title=graph.model.name,
        boxes=boxes,
        edges=tuple(dict.fromkeys(pairs)),
        calls=len(graph.calls),
        sets=num_sets,
    )


def _fold(graph: "ChannelGraph") -> "list[list[Call]]":
    """Puts each element-wise call that is the only reader of its input behind the call before it."""
    readers = Counter(key for call in graph.calls for key in call.inputs)
    barriers, outputs = graph.barriers(), set(graph.outputs)
    runs: list[list] = []
    last: dict[tuple, list] = {}
    for call, axes in zip(graph.calls, graph.parameters, strict=True):
        run = last.get(call.inputs[0]) if len(call.inputs) == 1 else None
        apart = (
            run is None
            or not run[0].inputs
            or {call.name, run[0].name} & barriers.keys()
            or readers[call.inputs[0]] > 1
            or call.inputs[0] in outputs
            or not _is_element_wise(graph, call, axes)
            or _makes_channels_stay(graph, call)
        )
        if apart:
            run = []
            runs.append(run)
        run.append(call)
        if len(call.outputs) == 1:
            last[call.outputs[0]] = run
    return runs


def _is_element_wise(graph: "ChannelGraph", call: "Call", axes) -> bool:
    """Whether a call keeps shape and channels, and has at most one weight of a kind per channel."""
    return (
        len(call.outputs) == 1
        and call.input_shapes == call.output_shapes
        and np.array_equal(graph.ids[call.inputs[0]], graph.ids[call.outputs[0]])
        and all(
            axis.role not in ("produce", "consume", "inner")
            and math.prod(axis.variable.shape) == np.size(axis.ids)
            for axis in axes
        )
    )


def _makes_channels_stay(graph: "ChannelGraph", call: "Call") -> bool:
    """Whether a reason names the call: people look for it."""
    ids = graph.ids[call.inputs[0]].tolist()
    return any(call.describe() in graph.pins.get(one, "") for one in ids)


def _tied_sets(graph: "ChannelGraph", runs) -> tuple[dict[int, int], int]:
    """Returns {channel id: index of its set}, for ids that two boxes or more carry, and how many sets.

    Ids that the same boxes carry form one set.
    """
    carriers: dict[int, list[int]] = {}
    for place, run in enumerate(runs):
        carried = [graph.ids[key] for key in run[-1].outputs]
        for one in np.unique(np.concatenate(carried)).tolist() if carried else ():
            carriers.setdefault(one, []).append(place)
    # In the order in which the boxes come, so that neighbours get neighbouring colours.
    found = sorted({tuple(places) for places in carriers.values() if len(places) > 1})
    index = {places: number for number, places in enumerate(found)}
    sets = {one: index[tuple(places)] for one, places in carriers.items() if len(places) > 1}
    return sets, len(found)


def _make_box(graph: "ChannelGraph", run, keeps, reasons: dict, sets: dict, barrier: str | None) -> Box:
    head, outputs = run[0], run[-1].outputs
    ids = np.concatenate([graph.ids[key] for key in outputs]) if outputs else np.zeros(0, int)
    explained = not head.inputs or barrier is not None
    return Box(
        name=head.name,
        kind=type(head.layer).__name__.lstrip("_"),
        folded=tuple(call.name for call in run[1:]),
        channels=len(ids),
        kept=None if keeps is None else sum(int(np.count_nonzero(keeps[key])) for key in outputs),
        sets=_parts(ids, sets),
        barrier=barrier,
        stays=() if explained else _why_channels_stay(ids, reasons),
        is_input=not head.inputs,
        is_output=any(key in graph.outputs for key in outputs),
    )


def _parts(ids: np.ndarray, sets: dict[int, int]) -> tuple[tuple[int | None, int], ...]:
    """The output as its sets, each with its number of channels, in the order in which they first appear."""
    return tuple(Counter(sets.get(one) for one in ids.tolist()).items())


def _why_channels_stay(ids: np.ndarray, reasons: dict[int, str]) -> tuple[tuple[int, str], ...]:
    counts = Counter(reasons[one] for one in ids.tolist() if one in reasons)
    return tuple((number, reason) for reason, number in counts.most_common())
