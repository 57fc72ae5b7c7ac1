"""The preset level: how many groups stay alive, and which ones in the end."""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.groups import BRANCHES, GroupCosts, GroupSet, from_runs, to_runs
from tf_wgsef.training._budget import Budget, select_within
from tf_wgsef.training._layer_floors import fits_layer, layer_floors, names_layer
from tf_wgsef.validation import check_count, check_positive_int, check_share

SCOPES = ("layer", "global")

# A penalty has no budget of 0. Groups that share this one are as good as gone.
_LEAST = 1e-6


@dataclasses.dataclass(frozen=True)
class Pool:
    """Groups that compete for one budget.

    Attributes:
        groups: group numbers, shape (n,).
        layer_of: layer of each of these groups, shape (n,).
        k: the budget, in the unit of the groups' weights: how much stays.
        floor: at least this many groups of each layer stay; or one such number for each of ``layers``.
        round_to: the count of each layer is a multiple of this (or all its groups).
    """

    groups: np.ndarray
    layer_of: np.ndarray
    k: float
    floor: int | tuple[int, ...] = 1
    round_to: int = 1

    @property
    def layers(self) -> np.ndarray:
        """The layers that these groups are of, ascending."""
        return np.flatnonzero(np.bincount(self.layer_of))

    @property
    def floors(self) -> dict[int, int]:
        """The floor of each of ``layers``."""
        each = np.broadcast_to(self.floor, self.layers.shape)
        return dict(zip(self.layers.tolist(), each.tolist(), strict=True))

    def training_budget(self, weights: np.ndarray) -> float:
        """Returns the budget of the penalty while it tightens: ``k``, and room for whole blocks.

        The penalty knows no blocks. Where several layers share the budget it leaves each of them up to
        ``round_to`` - 1 groups more, so that ``select`` finds ``k`` groups in blocks without a dead one.
        """
        return max(self.k + self.spare(weights), _LEAST)

    def spare(self, weights: np.ndarray) -> float:
        """What whole blocks may need beyond the budget while the penalty tightens."""
        layers = len(self.layers)
        return 0.0 if layers == 1 else layers * (self.round_to - 1) * float(weights[self.groups].max())

    def budget_while_tightening(self, stays: np.ndarray, weights: np.ndarray) -> float:
        """Returns what the groups ``stays`` weigh, and some more, so that the final choice is one.

        Costs change with the choice: of a tenth more groups, or one, some fill what the budget has left.
        """
        kept = float(weights[self.groups][stays[self.groups]].sum())
        one = float(weights[self.groups].max(initial=0.0))
        return max(kept + self.spare(weights) + max(0.1 * kept, one), _LEAST)

    def select(self, norms: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Chooses the groups that stay: the best by norm/√weight, floors first, inside the budget.

        Each layer's groups are taken in blocks of ``round_to``, best first. Ties go to the lower number,
        so that the count is exact whatever the norms. A block with a zero group in it comes last: a group
        that is zero cannot come back to life.

        Args:
            norms: norm of each group of the model, shape (num_groups,).
            weights: cost of each group of the model, shape (num_groups,).

        Returns:
            Numbers of the groups that stay.
        """
        costs = weights[self.groups]
        scores = norms[self.groups] / np.sqrt(costs)
        alike = (costs == costs[0]).all() and (np.diff(self.layer_of) >= 0).all()
        if self.round_to == 1 and alike:
            return self._select_alike(scores, float(costs[0]))
        return self._select_blocks(scores, costs)

    def _select_alike(self, scores: np.ndarray, cost: float) -> np.ndarray:
        """The same for single groups that cost alike, layer by layer: one sort, for millions of them."""
        order = np.argsort(-scores, kind="stable")
        protected = np.zeros(len(scores), bool)
        for layer, floor in self.floors.items():
            start, stop = np.searchsorted(self.layer_of, [layer, layer + 1])
            best = np.argsort(-scores[start:stop], kind="stable")[:floor]
            protected[start + best] = True
        stays, rest = protected.copy(), order[~protected[order]]
        more = int((self.k + 1e-9) // cost) - int(protected.sum())
        stays[rest[: max(more, 0)]] = True
        return np.sort(self.groups[stays])

    def _select_blocks(self, scores: np.ndarray, costs: np.ndarray) -> np.ndarray:
        blocks = []
        for layer, floor in self.floors.items():
            inside = np.flatnonzero(self.layer_of == layer)
            inside = inside[np.argsort(-scores[inside], kind="stable")]
            for start in range(0, len(inside), self.round_to):
                block = inside[start : start + self.round_to]
                protected = start < floor
                dead = bool((scores[block] == 0).any())
                strength = float(np.sqrt(np.mean(scores[block] ** 2)))
                blocks.append((not protected, dead, -strength, layer, start, block))
        kept, left, closed = [], self.k, set()
        for optional, _, _, layer, _, block in sorted(blocks, key=lambda entry: entry[:5]):
            cost = costs[block].sum()
            if layer in closed or (optional and cost > left + 1e-9):
                closed.add(layer)
                continue
            kept.append(self.groups[block])
            left -= cost
        return np.sort(np.concatenate(kept)) if kept else self.groups[:0]


@dataclasses.dataclass(frozen=True)
class Level:
    """The level of a whole model: one pool per layer, or one for all layers.

    Attributes:
        pools: disjoint; groups in no pool are left alone.
        budget: what the choice may cost in all; None where each pool has a ``k`` that says it.
    """

    pools: tuple[Pool, ...]
    budget: Budget | None = None

    def select(self, groups: GroupSet, norms: np.ndarray, costs: GroupCosts | None = None) -> np.ndarray:
        """Returns which groups stay, bool of shape (num_groups,).

        Args:
            groups: the groups.
            norms: norm of each, shape (num_groups,).
            costs: of the model, where there is a budget.
        """
        if self.budget is not None:
            return select_within(self.budget, costs, norms, self.pools)
        stays = np.ones(groups.num_groups, bool)
        for pool in self.pools:
            stays[pool.groups] = False
            stays[pool.select(norms, groups.weights)] = True
        return stays

    def get_config(self) -> dict:
        """Returns the pools as plain lists and numbers."""
        return {
            "pools": [
                {**vars(pool), "groups": to_runs(pool.groups), "layer_of": to_runs(pool.layer_of)}
                for pool in self.pools
            ],
            "budget": None if self.budget is None else self.budget.get_config(),
        }

    @classmethod
    def from_config(cls, config: dict, *, most: int | None = None) -> "Level":
        """Makes the level again from ``get_config()``.

        Args:
            config: of ``get_config``.
            most: the number of groups of the model, if it is known: no pool has more.

        Raises:
            InputError: if ``config`` is no such configuration.
        """
        try:
            pools = tuple(_pool_of(pool, most) for pool in config["pools"])
            budget = config.get("budget")
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, MemoryError) as error:
            raise InputError(
                f"Expected a configuration made by Level.get_config. Received: {type(error).__name__} "
                f"({error}). Load a file that was not changed by hand."
            ) from error
        return cls(pools, None if budget is None else Budget.from_config(budget))


def _pool_of(config: dict, most: int | None) -> Pool:
    floor = config["floor"]
    return Pool(
        **{
            **config,
            "groups": from_runs(config["groups"], np.int64, most=most),
            "layer_of": from_runs(config["layer_of"], np.int64, most=most),
            "floor": tuple(floor) if isinstance(floor, list) else floor,
        }
    )


def preset_level(
    groups: GroupSet,
    *,
    sparsity: float | None = None,
    k: int | dict[str, int] | None = None,
    budget: Budget | None = None,
    scope: str = "layer",
    round_to: int = 1,
    floor: int | Mapping[str, int] = 1,
) -> Level:
    """Turns what the user asks for into counts.

    Args:
        groups: the groups of the model.
        sparsity: share of the groups to remove, in [0, 1): of every layer (scope ``"layer"``, rounded so
            that at least this share goes, but one group stays) or in total (``"global"``).
        k: number of groups that stay instead: in every layer, or {pattern of layer names: number}, or in
            total. Of patterns the first that fits counts; a layer that none fits is left alone. Of
            branches (kind ``"depth"``) none need stay.
        budget: what may stay instead, as a cost.
        scope: ``"layer"`` or ``"global"``; with a budget, whether all layers keep the same share or compete.
        round_to: counts are multiples of this; with scope ``"layer"`` each count is rounded up, with
            ``"global"`` the counts are chosen inside the total.
        floor: at least this many groups of each layer stay; or {pattern of layer names: number}.

    Raises:
        InputError: for a level that no choice of groups can meet.
    """
    check_scope(scope)
    if sum(one is not None for one in (sparsity, k, budget)) != 1:
        raise InputError(
            f"Expected one of `sparsity`, `k` and `budget`. Received: sparsity={sparsity!r}, k={k!r}, "
            f"budget={budget!r}. Pass sparsity=0.75 to remove three quarters, k to say how many groups stay, "
            f'or budget={{"macs": 0.3}} to say what may stay of the cost.'
        )
    # No layer has more groups: a larger multiple keeps all of each too.
    round_to = min(check_positive_int("round_to", round_to), max(groups.num_groups, 1))
    floors = layer_floors(floor, groups, round_to)
    if budget is not None:
        if not names_layer(floor, BRANCHES):
            # Branches need no floor, unless one is asked for: without them the trunk stays.
            one = layer_floors(floor, groups) == 1
            floors[[name == BRANCHES for name in groups.layers] & one] = 0
        return Level(_budget_pools(groups, floors, round_to), budget)
    if scope == "global":
        total = count_that_stays(groups.num_groups, sparsity, k, "the model")
        return Level((_global_pool(groups, total, floors, round_to),))
    counts = _layer_counts(groups, sparsity, k)
    if k is not None:
        counted = layer_floors(floor, groups)
        if not names_layer(floor, BRANCHES):
            # One, the floor where none is asked for, is no contradiction to k = 0.
            gone = [layer for layer, count in counts.items() if count == 0 and counted[layer] == 1]
            floors[gone] = counted[gone] = 0
        _check_floors(groups, counts, counted)
    return Level(
        tuple(
            _layer_pool(groups, layer, max(count, floors[layer]), int(floors[layer]), round_to)
            for layer, count in sorted(counts.items())
        )
    )


def check_scope(scope: str) -> None:
    """Raises InputError unless ``scope`` is one of ``SCOPES``."""
    if scope not in SCOPES:
        raise InputError(f"Expected `scope` to be one of {list(SCOPES)}. Received: scope={scope!r}.")


def _layer_pool(groups: GroupSet, layer: int, count: int, floor: int, round_to: int) -> Pool:
    """The groups of one layer, of which ``count``, rounded up to whole blocks, stay."""
    inside = np.flatnonzero(groups.layer_of == layer)
    k = float(min(len(inside), math.ceil(count / round_to) * round_to))
    return Pool(inside, np.full(len(inside), layer), k, floor, round_to)


def _budget_pools(groups: GroupSet, floors: np.ndarray, round_to: int) -> tuple[Pool, ...]:
    """One pool per layer, whose ``k`` follows from the budget, epoch by epoch."""
    return tuple(
        _layer_pool(groups, layer, groups.sizes[layer], int(floor), round_to)
        for layer, floor in enumerate(floors)
    )


def _layer_counts(groups: GroupSet, sparsity, k) -> dict[int, int]:
    if isinstance(k, dict):
        if not k:
            raise InputError(
                f"Expected `k` to name at least one layer. Received: k={{}}. "
                f"These have groups: {', '.join(groups.layers)}."
            )
        for pattern in k:
            if not any(fits_layer(name, pattern) for name in groups.layers):
                raise InputError(
                    f"Expected `k` to name layers with groups. Received: {pattern!r}. "
                    f"These have groups: {', '.join(groups.layers)}."
                )
        found = (next((p for p in k if fits_layer(name, p)), None) for name in groups.layers)
        chosen = {layer: k[pattern] for layer, pattern in enumerate(found) if pattern is not None}
    else:
        chosen = dict.fromkeys(range(len(groups.layers)), k)

    def counted(layer: int, number) -> int:
        name = groups.layers[layer]
        least = 0 if name == BRANCHES else 1  # without branches the trunk stays
        return count_that_stays(groups.sizes[layer], sparsity, number, f"layer {name!r}", least)

    return {layer: counted(layer, number) for layer, number in chosen.items()}


def count_that_stays(size: int, sparsity: float | None, k: int | None, where: str, least: int = 1) -> int:
    """Returns how many of ``size`` groups stay: ``k``, or so that at least the share ``sparsity`` goes.

    Raises:
        InputError: if ``sparsity`` is outside [0, 1), or ``k`` is no number from ``least`` to ``size``.
    """
    if sparsity is not None:
        share = check_share("sparsity", sparsity)
        return max(1, int(size - math.ceil(size * share - 1e-9)))
    k = (check_positive_int if least else check_count)("k", k)
    if k > size:
        raise InputError(
            f"Expected `k`, the number of groups that stay, to be at most the {size} groups of {where}. "
            f"Received: k={k}."
        )
    return k


def _check_floors(groups: GroupSet, counts: dict[int, int], floors: np.ndarray) -> None:
    for layer, count in counts.items():
        if count < floors[layer]:
            raise InputError(
                f"Expected `k` to be at least the floor of each layer. Received: k={count} for layer "
                f"{groups.layers[layer]!r}, whose floor is {floors[layer]}. Lower the floor or raise k."
            )


def _global_pool(groups: GroupSet, total: int, floors: np.ndarray, round_to: int) -> Pool:
    if floors.sum() > total:
        raise InputError(
            f"Expected a level at which every layer keeps its floor, {floors.sum()} groups in all. "
            f"Received: {total} groups to keep. Lower `sparsity`, `floor` or `round_to`, or name layers in "
            f"`skip`."
        )
    everything = np.arange(groups.num_groups)
    return Pool(everything, groups.layer_of, float(total), tuple(floors.tolist()), round_to)
