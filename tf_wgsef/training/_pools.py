"""The penalty solved for all pools of groups at once: its prox, its gradient, the best groups."""

import dataclasses
from typing import Any

import numpy as np
from keras import ops

from tf_wgsef.groups import GroupSet
from tf_wgsef.penalties import WGSEF, GroupPenalty
from tf_wgsef.training._level import Level

# How far the groups under a floor are lifted above all others, so that any penalty lets them pass.
_LIFT = 1e6

# Pools of up to so many groups are solved together: a call of an operation costs more than its padding
# (LeNet-5 20-50-500, batch 128, in one matrix instead of three: the prox adds 6.5 % to a step, not 8.3 %).
_SMALL = 1024


class Pools:
    """All pools of a level, and the penalty with their budgets.

    Pools of similar size (small ones, or up to the same power of two) are padded into the rows of one
    matrix and solved together: the number of operations does not grow with the number of layers.

    Args:
        groups: the groups of the model.
        level: the pools, with their budgets.
        penalty: whose prox is applied; ``with_budget`` gives it each pool's budget.

    Attributes:
        groups: the groups of the model.
        strength: of the penalty.
        pooled: whether a group is in a pool, bool of shape (num_groups,).
    """

    def __init__(self, groups: GroupSet, level: Level, penalty: GroupPenalty):
        self.groups, self.strength = groups, penalty.strength
        self.pooled = np.zeros(groups.num_groups, bool)
        self.floors = [_Floor(groups, pool) for pool in level.pools if len(set(pool.layer_of)) > 1]
        buckets: dict[int, list] = {}
        for number, pool in enumerate(level.pools):
            self.pooled[pool.groups] = True
            width = max(1 << max(len(pool.groups) - 1, 0).bit_length(), _SMALL)
            buckets.setdefault(width, []).append((number, pool))
        moving = level.budget is not None
        self.rows = [_Rows(groups, dict(pools), penalty, moving) for pools in buckets.values()]

    def solver(self, *, costs=None, budgets=None, metric=None, metric_in_penalty: bool = False) -> "Solver":
        """Returns what solves them now.

        Args:
            costs: weight of each group where a budget re-estimates it, shape (num_groups,).
            budgets: the k of each pool in that case, shape (num_pools,).
            metric: D_g of each group, shape (num_groups,); None is the Euclidean metric.
            metric_in_penalty: whether the penalty itself is taken in the metric; see ``Solver``.
        """
        return Solver(self, costs, budgets, metric, metric_in_penalty)


@dataclasses.dataclass(frozen=True)
class Solver:
    """The penalty for all pools, at one step of training; norms and results have shape (num_groups,).

    With a metric D_g per group, the prox is argmin_x s·Ω(x) + ½ Σ_g D_g ‖x_g - t_g‖². For a penalty in
    units of the weights that is its prox with the step s/D_g. For one whose step goes from 0 to 1 (the WGSEF
    without ridge) the penalty is the envelope of "at most k groups" in the same metric, ½ Σ_g D_g ‖x_g‖²: its
    prox scales norms by √D_g, and at s = 1 it is the projection in that metric (ours; no source).
    """

    pools: Pools
    costs: Any
    budgets: Any
    metric: Any
    metric_in_penalty: bool

    @property
    def groups(self) -> GroupSet:
        """The groups of the model."""
        return self.pools.groups

    @property
    def strength(self) -> float:
        """The penalty's strength."""
        return self.pools.strength

    @property
    def pooled(self) -> np.ndarray:
        """Whether a group is in a pool."""
        return self.pools.pooled

    def prox(self, norms, step_size):
        """Factor of each group in the penalty's prox; 1 outside all pools."""
        if self.metric is not None and not self.metric_in_penalty:
            step_size = ops.cast(step_size, "float32") / self.metric
        return self._fill(norms, ops.ones_like(norms), lambda rows, *at: rows.factors(*at), step_size)

    def gradient(self, norms):
        """What the penalty's gradient multiplies each group by, without the strength; 0 outside all pools."""
        return self._fill(norms, ops.zeros_like(norms), lambda rows, *at: rows.gradient_factors(*at))

    def best(self, norms):
        """1 for the groups that the level would keep of these, or that are in no pool, else 0."""
        return self._fill(norms, ops.ones_like(norms), lambda rows, *at: rows.best(*at))

    def _fill(self, norms, filled, solve, *more):
        if self.metric is not None and self.metric_in_penalty:
            norms = norms * ops.sqrt(self.metric)
        for floor in self.pools.floors:
            norms = floor.lift(norms)
        for rows in self.pools.rows:
            filled = rows.fill(norms, filled, solve, self.costs, self.budgets, *more)
        return filled


class _Rows:
    """Pools of similar size as the rows of a matrix, padded with groups of norm 0.

    Args:
        groups: the groups of the model.
        pools: {number of the pool in the level: pool}.
        penalty: whose prox is applied.
        moving: whether weights and budgets are re-estimated while training.
    """

    def __init__(self, groups: GroupSet, pools: dict, penalty: GroupPenalty, moving: bool):
        pad = groups.num_groups
        width = max(len(pool.groups) for pool in pools.values())
        self._numbers = np.array(list(pools), dtype="int32")
        self._index = np.full((len(pools), width), pad, dtype="int32")
        for row, pool in zip(self._index, pools.values(), strict=True):
            row[: len(pool.groups)] = pool.groups
        real = self._index != pad
        # Where all groups cost the same, padding needs no weight of 0: a norm of 0 takes no share.
        weighted = (groups.weights != 1).any()
        costs = np.append(groups.weights, 0.0)[self._index].astype("float32")
        self._weights = costs if weighted else None
        self._targets = self._index[real][:, None]
        self._sources = np.flatnonzero(real).astype("int32")
        self._whole = np.array_equal(self._targets[:, 0], np.arange(pad))
        self._budgets = None
        if not moving:
            budgets = [pool.training_budget(groups.weights) for pool in pools.values()]
            self._budgets = np.array(budgets, dtype="float32")
        self._penalty = penalty

    def factors(self, rows, budgets, weights, step_size):
        """The penalty's prox, on a matrix of norms."""
        if len(getattr(step_size, "shape", ())):
            step_size = self._take(step_size)
        return self._penalty.with_budget(budgets).factors(rows, step_size, weights)

    def gradient_factors(self, rows, budgets, weights):
        """The penalty's gradient, on a matrix of norms."""
        return self._penalty.with_budget(budgets).gradient_factors(rows, weights)

    def best(self, rows, budgets, weights):
        """1 for the best groups within the budget, else 0, whatever the penalty."""
        return WGSEF(budgets).factors(rows, 1.0, weights)

    def fill(self, norms, filled, solve, costs, budgets, *more):
        """Writes what ``solve`` finds for these pools' groups into ``filled``, shape (num_groups,)."""
        if self._budgets is None:
            weights, budgets = self._take(costs), ops.take(budgets, self._numbers)
        else:
            weights, budgets = self._weights, self._budgets
        solved = ops.reshape(solve(self, self._take(norms), budgets, weights, *more), (-1,))
        solved = ops.cast(ops.take(solved, self._sources), filled.dtype)
        return solved if self._whole else ops.scatter_update(filled, self._targets, solved)

    def _take(self, values):
        """Numbers of all groups as these rows, padded with 0."""
        values = ops.convert_to_tensor(values)
        return ops.take(ops.concatenate([values, ops.zeros((1,), dtype=values.dtype)]), self._index)


class _Floor:
    """The best groups of each layer of a pool that spans several layers: they stay, whatever the others."""

    def __init__(self, groups: GroupSet, pool):
        self._floor = pool.floor
        pad = groups.num_groups
        layers, position = np.unique(pool.layer_of, return_inverse=True)
        width = max(int(np.bincount(position).max()), pool.floor)
        self._index = np.full((len(layers), width), pad, dtype="int32")
        for number, row in enumerate(self._index):
            inside = pool.groups[position == number]
            row[: len(inside)] = inside

    def lift(self, norms):
        """Lifts the ``floor`` largest norms of each layer above all others, shape (num_groups,)."""
        padded = ops.concatenate([norms, ops.full((1,), -1.0, dtype=norms.dtype)])
        # By position, not by threshold: of equal norms (a layer that is all zero) no more are lifted.
        best = ops.top_k(ops.take(padded, self._index), self._floor)[1]
        chosen = ops.take_along_axis(ops.convert_to_tensor(self._index), best, axis=1)
        lifted = ops.ones((chosen.shape[0] * chosen.shape[1],), dtype=norms.dtype)
        lifted = lifted * ops.max(norms) * _LIFT
        return ops.scatter_update(padded, ops.reshape(chosen, (-1, 1)), lifted)[:-1]
