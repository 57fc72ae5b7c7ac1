"""What a model costs once some of its groups are gone, and what each group adds to that."""

import contextlib
import dataclasses
from collections.abc import Callable

import keras
import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.graph import ChannelGraph, build_channel_graph, removable_channels
from tf_wgsef.groups._group_set import GroupSet
from tf_wgsef.groups._keys import keys_of_variables
from tf_wgsef.groups._latency_table import LatencyTable
from tf_wgsef.rules import LayerRule

UNITS = ("params", "macs", "bytes", "latency")
REMOVED_BY_STRIP = ("filter", "channel", "head", "depth")
"""The kinds whose zero groups leave the model; zeros inside kernels make it no cheaper."""


@dataclasses.dataclass(frozen=True)
class _Term:
    """One product: its cost depends on how many channels stay along each axis.

    Attributes:
        calls: numbers of the calls that need it; it costs nothing once they are all gone.
        axes: per axis, its channel ids.
        cost: of the numbers that stay along the axes.
    """

    calls: tuple[int, ...]
    axes: tuple[np.ndarray, ...]
    cost: Callable[..., float]


class GroupCosts:
    """The cost of what ``strip`` leaves of a model, as a function of the groups that stay.

    It counts what goes with the groups, and the channels that layers need for equal numbers. Where a choice
    happens to silence more (a head all of whose output channels are gone) the model becomes cheaper yet.

    Args:
        model: the model that the groups were built from, or its ``ChannelGraph``.
        groups: groups of the kinds that ``strip`` removes.
        unit: ``"params"``, ``"macs"`` (for one sample), ``"bytes"`` (of the weights, in their own dtype), or
            ``"latency"`` (microseconds, by ``table``).
        table: the measured cost of each layer, for ``"latency"``.

    Raises:
        InputError: for groups of another kind, or a table of another model.

    Example:
        >>> import keras, tf_wgsef
        >>> model = keras.Sequential(
        ...     [keras.Input((4,)), keras.layers.Dense(3, name="hidden"), keras.layers.Dense(2)])
        >>> costs = GroupCosts(model, tf_wgsef.build_groups(model), "macs")
        >>> costs.total(np.array([True, True, True])), costs.total(np.array([True, False, False]))
        (18.0, 6.0)
    """

    def __init__(self, model, groups: GroupSet, unit: str, table: LatencyTable | None = None):
        graph = model if isinstance(model, ChannelGraph) else build_channel_graph(model)
        _check_kinds(groups)
        self._graph = graph
        self._num_groups = groups.num_groups
        channels, of_group, self._branches = _what_goes(graph, groups)
        goes = ~_stuck(graph, groups, channels, of_group)
        self._channels, self._channel_groups = channels[goes], of_group[goes]
        self._restoring = [
            (call, rule)
            for call, rule in zip(graph.calls, graph.rules, strict=True)
            if type(rule).restore is not LayerRule.restore
        ]
        self._terms = _latency_terms(graph, table) if unit == "latency" else _counted_terms(graph, unit)
        grouped = np.zeros(graph.num_ids, bool)
        grouped[self._channels] = True
        self._grouped = grouped

    def total(self, stays: np.ndarray) -> float:
        """Returns the cost with the groups ``stays``, bool of shape (num_groups,)."""
        return float(sum(cost for _, _, cost in self._costs(stays, self._needed(stays))))

    def weights(self, stays: np.ndarray) -> np.ndarray:
        """Returns what each group costs while ``stays`` stay, shape (num_groups,), float64.

        Each product of channels is shared out evenly among its axes that have groups, and there among the
        channels that stay. So these weights, over the groups that stay, add up to what depends on groups
        at all; a group that is gone is priced like its neighbours that stay, a branch by what it would cost.
        """
        price = np.zeros(self._graph.num_ids)
        weights = np.zeros(self._num_groups)
        for term, counts, cost in self._costs(stays, None):
            axes = [
                (ids, count)
                for ids, count in zip(term.axes, counts, strict=True)
                if count and self._grouped[ids].any()
            ]
            branches = {self._branches[call] for call in term.calls if call in self._branches}
            parts = len(axes) + len(branches)
            for ids, count in axes:
                price += np.bincount(ids, minlength=len(price)) * (cost / parts / count)
            for branch in branches:
                weights[branch] += cost / parts / len(branches)
        np.add.at(weights, self._channel_groups, price[self._channels])
        return weights

    def _costs(self, stays: np.ndarray, needed: set[int] | None):
        """(term, numbers that stay along its axes, cost) of every term that the calls ``needed`` have."""
        keeps = self._keeps(stays)
        for term in self._terms:
            if needed is None or not needed.isdisjoint(term.calls):
                counts = [int(np.count_nonzero(keeps[ids])) for ids in term.axes]
                yield term, counts, term.cost(*counts)

    def _keeps(self, stays: np.ndarray) -> np.ndarray:
        """Which channel ids stay, those included that layers bring back for the sake of equal numbers."""
        keeps = np.ones(self._graph.num_ids, bool)
        keeps[self._channels[~stays[self._channel_groups]]] = False
        before = -1
        while before != (before := int(keeps.sum())):
            for call, rule in self._restoring:
                keys = (*call.inputs, *call.outputs)
                now = [keeps[self._graph.ids[key]] for key in keys]
                more = rule.restore(call, now[: len(call.inputs)], now[len(call.inputs) :])
                for key, stay in zip(keys, (*more[0], *more[1]), strict=True):
                    keeps[self._graph.ids[key][stay]] = True
        return keeps

    def _needed(self, stays: np.ndarray) -> set[int] | None:
        """Numbers of the calls that the outputs need once branches are gone; None for all."""
        if all(stays[branch] for branch in self._branches.values()):
            return None
        makers = {key: number for number, call in enumerate(self._graph.calls) for key in call.outputs}
        found: set[int] = set()
        waiting = [makers[key] for key in self._graph.outputs]
        while waiting:
            one = waiting.pop()
            if one not in found and stays[self._branches.get(one, slice(0))].all():
                found.add(one)
                waiting += [makers[key] for key in self._graph.calls[one].inputs]
        return found


def _check_kinds(groups: GroupSet) -> None:
    others = [kind for kind in groups.kind.split("+") if kind not in REMOVED_BY_STRIP]
    if others and groups.num_groups:
        raise InputError(
            f"Expected groups that strip removes for a budget: {', '.join(REMOVED_BY_STRIP)}. Received: "
            f"{', '.join(others)}, whose zeros leave the model as large. Pass sparsity= or k= for these."
        )


def _what_goes(graph: ChannelGraph, groups: GroupSet):
    """Pairs (channel id, group) of the channels that go with groups; {call: group} of whole branches."""
    keys = keys_of_variables(graph.model)
    members = {}
    for member in groups.members:
        members.setdefault(member.variable, []).append(member)
    channels, numbers, branches = [], [], {}
    for number, (call, axes) in enumerate(zip(graph.calls, graph.parameters, strict=True)):
        for weight in getattr(call.layer, "weights", ()):
            for member in members.get(keys.get(id(weight)), ()):
                if not member.axes:
                    branches[number] = int(member.ids)
        for axis in axes:
            for member in members.get(keys.get(id(axis.variable)), ()):
                size = len(member.axes)
                if size and axis.axes[:size] == member.axes:
                    of_each = member.ids.reshape(member.ids.shape + (1,) * (axis.ids.ndim - size))
                    channels.append(axis.ids.reshape(-1))
                    numbers.append(np.broadcast_to(of_each, axis.ids.shape).reshape(-1))
    if not channels:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), branches
    pairs = np.stack([np.concatenate(channels), np.concatenate(numbers)])
    pairs = np.unique(pairs[:, pairs[1] >= 0], axis=1)
    return pairs[0], pairs[1], branches


def _stuck(graph: ChannelGraph, groups: GroupSet, channels: np.ndarray, of_group: np.ndarray) -> np.ndarray:
    """Which of the channels stay even if their group is zero, such as a constant behind 'same' padding.

    Seen by trying: every other group of each layer is zero for a moment, then the others.
    """
    first = np.searchsorted(groups.layer_of, groups.layer_of)  # groups of a layer follow each other
    even = (np.arange(groups.num_groups) - first) % 2 == 0
    alone = groups.sizes[groups.layer_of] == 1
    whole = np.isin(np.arange(groups.num_groups), of_group, invert=True)
    stuck = np.zeros(len(channels), bool)
    for half in (even, ~even):
        zero = half & ~alone & ~whole
        with _zeroed(graph.model, groups, zero):
            stays = ~removable_channels(graph)
        stuck |= zero[of_group] & stays[channels]
    return stuck


@contextlib.contextmanager
def _zeroed(model, groups: GroupSet, zero: np.ndarray):
    """Groups of ``model`` that are zero inside, and as they were again after it."""
    variables = groups.all_variables(model)
    before = [keras.ops.convert_to_numpy(variable) for variable in variables]
    try:
        groups.scale(model, (~zero).astype("float32"))
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def _counted_terms(graph: ChannelGraph, unit: str) -> list[_Term]:
    """Terms of MACs, parameters or bytes: a factor times the numbers of channels along the axes."""
    along = _axes_of_variables(graph)
    if unit == "macs":
        return [
            _product((number,), of, times * call.times, graph, along)
            for number, (call, rule) in enumerate(zip(graph.calls, graph.rules, strict=True))
            for of, times in rule.work(call)
        ]
    holders: dict[int, tuple] = {}
    for number, call in enumerate(graph.calls):
        for weight in getattr(call.layer, "weights", ()):
            holders.setdefault(id(weight), (weight, []))[1].append(number)
    for compound in graph.compounds.values():  # such as a scale that none of the parts holds
        for weight in compound.call.layer.weights:
            holders.setdefault(id(weight), (weight, list(range(len(graph.calls)))))
    return [
        _product(tuple(numbers), weight, 1 if unit == "params" else _item_size(weight), graph, along)
        for weight, numbers in holders.values()
    ]


def _axes_of_variables(graph: ChannelGraph) -> dict[int, dict[tuple[int, ...], np.ndarray]]:
    """{id(variable): {axes: channel ids along them}}."""
    along: dict[int, dict] = {}
    for axes in graph.parameters:
        for axis in axes:
            along.setdefault(id(axis.variable), {}).setdefault(axis.axes, axis.ids.reshape(-1))
    return along


def _product(calls, of, factor: int, graph: ChannelGraph, along) -> _Term:
    if isinstance(of, tuple):
        axes = (graph.ids[of],)
    else:
        covered = along.get(id(of), {})
        axes = tuple(covered.values())
        others = set(range(len(of.shape))) - {axis for one in covered for axis in one}
        factor *= int(np.prod([of.shape[axis] for axis in others], dtype=np.int64))
    return _Term(calls, axes, lambda *counts: factor * float(np.prod(counts)))


def _item_size(variable) -> int:
    return 2 if variable.dtype == "bfloat16" else np.dtype(variable.dtype).itemsize


def _latency_terms(graph: ChannelGraph, table: LatencyTable) -> list[_Term]:
    """One term per layer of the table: a function of its input and output channels."""
    terms, seen = [_Term(tuple(range(len(graph.calls))), (), lambda: table.overhead)], set()
    for number, call in enumerate(graph.calls):
        if call.name in table.layers and call.inputs:
            axes = (graph.ids[call.inputs[0]], graph.ids[call.outputs[0]])
            table.check(call, len(axes[0]), len(axes[1]))
            terms.append(_Term((number,), axes, table.layers[call.name].microseconds_of))
            seen.add(call.name)
    table.check_all_known(seen, graph.model.name)
    return terms
