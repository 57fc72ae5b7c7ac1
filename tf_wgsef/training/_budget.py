"""A budget: how much of what the model costs may stay, and which groups make the best of it."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.groups import UNITS, GroupCosts, LatencyTable
from tf_wgsef.validation import is_finite_number

_ROUNDS = 6
"""Choices and costs depend on each other; the choice rarely changes after the third round."""

_FEW = 256
"""So many blocks are each tried for what the budget has left."""


@dataclasses.dataclass(frozen=True)
class Budget:
    """What the stripped model may cost.

    Attributes:
        unit: ``"params"``, ``"macs"``, ``"bytes"`` or ``"latency"``.
        amount: in that unit (for one sample; latency in microseconds).
        table: the measured cost of each layer, for ``"latency"``.
        evenly: whether all layers keep the same share of their groups; else the groups of all compete.
    """

    unit: str
    amount: float
    table: LatencyTable | None = None
    evenly: bool = False

    def costs(self, model, groups) -> GroupCosts:
        """Returns what the choice of ``groups`` costs in this unit."""
        return GroupCosts(model, groups, self.unit, self.table)

    def get_config(self) -> dict:
        """Returns plain strings and numbers."""
        table = None if self.table is None else self.table.to_json()
        return {**vars(self), "table": table}

    @classmethod
    def from_config(cls, config: dict) -> "Budget":
        """Makes the budget again from ``get_config()``.

        Raises:
            InputError: if ``config`` is no such configuration.
        """
        try:
            unit, amount, table, evenly = (config[name] for name in ("unit", "amount", "table", "evenly"))
            known = unit in UNITS and (unit == "latency") == (table is not None)
        except (KeyError, TypeError) as error:
            raise _no_budget(config) from error
        if not known or not isinstance(evenly, bool):
            raise _no_budget(config)
        table = None if table is None else LatencyTable.from_json(table)
        return cls(unit, _positive(unit, amount), table, evenly)

    def __str__(self):
        amount = f"{self.amount:,.1f} µs" if self.unit == "latency" else f"{self.amount:,.0f} {self.unit}"
        return f"{amount}{f' on {self.table.device}' if self.table else ''}"


def _no_budget(config) -> InputError:
    return InputError(
        f"Expected a configuration made by Budget.get_config. Received: {config!r}. Load a file that was not "
        f"changed by hand."
    )


def read_budget(budget, model, groups, *, evenly: bool) -> Budget:
    """Turns ``{"macs": 0.3}`` into a ``Budget``.

    Args:
        budget: {unit: share or amount}: a share is a float of at most 1, of the model's cost now; an amount
            is anything larger. ``{"latency": (microseconds, LatencyTable)}`` takes an amount.
        model: the model.
        groups: its groups.
        evenly: see ``Budget``.

    Raises:
        InputError: for an unknown unit, or an amount that is not above 0.
    """
    if not isinstance(budget, Mapping) or len(budget) != 1 or next(iter(budget)) not in UNITS:
        raise InputError(
            f"Expected `budget` to be {{unit: share or amount}} with one of the units {', '.join(UNITS)}, "
            f'such as {{"macs": 0.3}}. Received: budget={budget!r}.'
        )
    ((unit, asked),) = budget.items()
    if unit == "latency":
        return Budget(unit, *_microseconds_and_table(asked), evenly)
    amount = _positive(unit, asked)
    if isinstance(asked, float | np.floating) and amount <= 1:
        amount *= GroupCosts(model, groups, unit).total(np.ones(groups.num_groups, bool))
    return Budget(unit, amount, None, evenly)


def step_of(budget: Budget | None, asked: str) -> int:
    """Returns the ``round_to`` that a latency budget's table proposes: the device's ``channel_step``.

    Args:
        budget: the budget.
        asked: what the user passed: ``"table"``.

    Raises:
        InputError: if it is another word, or there is no such table, or no step was seen.
    """
    if asked != "table":
        raise InputError(
            f'Expected `round_to` as a whole number, or "table" beside a latency budget. Received: '
            f"round_to={asked!r}."
        )
    table = budget.table if budget is not None else None
    if table is None or table.channel_step is None:
        why = "no latency budget" if table is None else "a table that shows no step"
        raise InputError(
            f'Expected round_to="table" beside a latency budget whose table has a channel_step. Received: '
            f"{why}. Pass a number."
        )
    return table.channel_step


def _microseconds_and_table(asked) -> tuple[float, LatencyTable]:
    pair = tuple(asked) if isinstance(asked, tuple | list) else ()
    if len(pair) != 2 or not isinstance(pair[1], LatencyTable):
        raise InputError(
            f'Expected {{"latency": (microseconds, table)}} with a tf_wgsef.LatencyTable. '
            f"Received: {asked!r}."
        )
    return _positive("latency", pair[0]), pair[1]


def _positive(unit: str, asked) -> float:
    if not is_finite_number(asked) or asked <= 0:
        raise InputError(
            f"Expected a budget of {unit} above 0: a share such as 0.3, or an amount. Received: {asked!r}."
        )
    return float(asked)


def select_within(budget: Budget, costs: GroupCosts, norms: np.ndarray, pools) -> np.ndarray:
    """Chooses the groups that stay: the best for their cost, within the budget, by the true cost.

    Blocks of each layer's groups (see ``Pool``) are ordered by norm/√cost (Refael et al. 2022,
    arXiv:2212.12921, order by it what the knapsack takes), or so that all layers keep the same share;
    floors first. The longest run of them that the budget allows stays, found by bisection. A group's cost
    depends on what its neighbours keep, so it is estimated again for this choice, and so on. Then whatever
    still fits is added, until no further block fits. Groups that are zero are not: they cannot come back.

    Args:
        budget: the limit.
        costs: what a choice costs.
        norms: norm of each group, shape (num_groups,).
        pools: the groups that compete; all others stay.

    Returns:
        Which groups stay, bool of shape (num_groups,).

    Raises:
        InputError: if the floors alone cost more.
    """
    free = np.ones(len(norms), bool)
    for pool in pools:
        free[pool.groups] = False
    stays = np.ones(len(norms), bool)
    for _ in range(_ROUNDS):
        weights = costs.weights(stays)
        blocks = _ordered(pools, norms, weights, budget.evenly)
        fits = _longest_run(blocks, free, costs, budget)
        found = _with(free, blocks[:fits])
        if np.array_equal(found, stays):
            break
        stays = found
    return _filled(stays, blocks[fits:], norms, weights, costs, budget.amount)


@dataclasses.dataclass(frozen=True)
class _Block:
    """Groups of one layer that stay or go together."""

    layer: int
    groups: np.ndarray
    optional: bool
    dead: bool


def _ordered(pools, norms: np.ndarray, weights: np.ndarray, evenly: bool) -> list[_Block]:
    entries = []
    for pool in pools:
        costs = weights[pool.groups]
        scores = np.where(costs > 0, norms[pool.groups] / np.sqrt(np.where(costs > 0, costs, 1)), np.inf)
        for layer, floor in pool.floors.items():
            inside = np.flatnonzero(pool.layer_of == layer)
            inside = inside[np.argsort(-scores[inside], kind="stable")]
            for start in range(0, len(inside), pool.round_to):
                part = inside[start : start + pool.round_to]
                block = _Block(
                    layer,
                    pool.groups[part],
                    start >= floor,
                    bool((norms[pool.groups[part]] == 0).any()),
                )
                rank = start / len(inside) if evenly else -float(np.sqrt(np.mean(scores[part] ** 2)))
                entries.append(((block.optional, block.dead, rank, block.layer, start), block))
    return [block for _, block in sorted(entries, key=lambda entry: entry[0])]


def _with(stays: np.ndarray, blocks) -> np.ndarray:
    found = stays.copy()
    for block in blocks:
        found[block.groups] = True
    return found


def _longest_run(blocks: list[_Block], free: np.ndarray, costs: GroupCosts, budget: Budget) -> int:
    """How many of the blocks, from the first, fit into the budget."""
    low = sum(not block.optional for block in blocks)
    high = sum(not (block.optional and block.dead) for block in blocks)
    least = costs.total(_with(free, blocks[:low]))
    if least > budget.amount:
        everything = costs.total(np.ones(len(free), bool))
        unit = "µs" if budget.unit == "latency" else budget.unit
        raise InputError(
            f"Expected a budget that leaves each layer its floor: at least {least:,.6g} {unit}, "
            f"{least / everything:.3g} of the model. Received: {budget}. Raise it, or lower `floor` or "
            f"`round_to`."
        )
    while low < high:
        middle = (low + high + 1) // 2
        if costs.total(_with(free, blocks[:middle])) <= budget.amount:
            low = middle
        else:
            high = middle - 1
    return low


def _filled(stays, blocks, norms, weights, costs: GroupCosts, amount: float) -> np.ndarray:
    """Adds each block that still fits; of many, equal ones in a layer are tried only once.

    A layer's last block may be short. It is added where all others of the layer stay: else the layer's count
    would be no multiple of their size.
    """
    too_dear, left_out = set(), {}
    for number, block in enumerate(blocks):
        if len(block.groups) < left_out.get(block.layer, 0):
            continue
        key = (block.layer, len(block.groups), float(np.round(weights[block.groups].sum(), 9)))
        if len(blocks) <= _FEW:
            key = number  # layers that need equal numbers make equal groups cost differently
        more = None if block.dead or key in too_dear else _with(stays, [block])
        if more is not None and costs.total(more) <= amount:
            stays = more
        else:
            too_dear.add(key)
            left_out[block.layer] = len(block.groups)
    return stays
