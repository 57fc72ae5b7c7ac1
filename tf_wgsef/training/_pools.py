"""The penalty solved for all pools of groups at once: its prox, its gradient, the best groups."""

import dataclasses
from typing import Any

import numpy as np
from keras import ops

from tf_wgsef.groups import GroupSet
from tf_wgsef.penalties import WGSEF, GroupPenalty
from tf_wgsef.training._floor import Floor, run_or_array, take_groups
from tf_wgsef.training._level import Level

# A pool is solved together with longer ones while the padding of their matrix stays below so many numbers, or
# below such a share of it: under that a call of an operation costs more.
_PADDING, _PADDING_SHARE = 1 << 16, 1 / 8


class Pools:
    """All pools of a level, and the penalty with their budgets.

    Pools of similar size are padded into the rows of one matrix and solved together: the number of
    operations does not grow with the number of layers.

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
        for pool in level.pools:
            self.pooled[pool.groups] = True
        self.floors = [Floor(pool) for pool in level.pools if len(pool.layers) > 1]
        moving = level.budget is not None
        self.rows = [_Rows(groups, pools, penalty, moving) for pools in _of_similar_size(level.pools)]

    def solver(
        self, *, costs=None, budgets=None, metric=None, metric_in_penalty: bool = False, room=None
    ) -> "Solver":
        """Returns what solves them now.

        Args:
            costs: weight of each group where a budget re-estimates it, shape (num_groups,).
            budgets: the k of each pool in that case, shape (num_pools,).
            metric: D_g of each group, shape (num_groups,); None is the Euclidean metric.
            metric_in_penalty: whether the penalty itself is taken in the metric; see ``Solver``.
            room: share of what is beyond the level that the penalty's budget leaves, a scalar; None is 0.
        """
        return Solver(self, costs, budgets, metric, metric_in_penalty, room)


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
    room: Any = None

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
        return self._fill(norms, 1.0, _Rows.factors, self.room, step_size)

    def gradient(self, norms):
        """What the penalty's gradient multiplies each group by, without the strength; 0 outside all pools."""
        factors = self._fill(norms, 0.0, _Rows.gradient_factors, self.room)
        if self.metric is None or self.metric_in_penalty:
            return factors
        return factors / ops.cast(self.metric, factors.dtype)  # a step in the metric, as in the prox

    def best(self, norms):
        """1 for the groups that the level would keep of these, or that are in no pool, else 0."""
        return self._fill(norms, 1.0, _Rows.best, None)

    def _fill(self, norms, fill: float, solve, room, *more):
        dtype = norms.dtype
        if self.metric is not None and self.metric_in_penalty:
            norms = norms * ops.cast(ops.sqrt(self.metric), dtype)
        for floor in self.pools.floors:
            norms = floor.lift(norms)
        solved = [
            pair
            for rows in self.pools.rows
            for pair in rows.solve(norms, solve, self.costs, self.budgets, room, *more)
        ]
        runs = all(isinstance(where, range) for where, _ in solved)
        return (_laid_out if runs else _scattered)(solved, self.groups.num_groups, fill, dtype)


def _of_similar_size(pools) -> list[list]:
    """(number, pool) of all, longest first, in lists that are worth one matrix each."""
    found: list[list] = []
    real = padding = 0
    for number, pool in sorted(enumerate(pools), key=lambda pair: -len(pair[1].groups)):
        size = len(pool.groups)
        padding += len(found[-1][0][1].groups) - size if found else 0
        if not found or padding > max(_PADDING, _PADDING_SHARE * real):
            found.append([])
            real = padding = 0
        found[-1].append((number, pool))
        real += size
    return found


class _Rows:
    """Pools of similar size as the rows of a matrix, padded with groups of norm 0.

    Args:
        groups: the groups of the model.
        pools: (number of the pool in the level, pool), longest first.
        penalty: whose prox is applied.
        moving: whether weights and budgets are re-estimated while training.
    """

    def __init__(self, groups: GroupSet, pools: list[tuple], penalty: GroupPenalty, moving: bool):
        self._numbers = np.array([number for number, _ in pools], dtype="int32")
        self._where = [run_or_array(pool.groups) for _, pool in pools]
        self._penalty, self._moving = penalty, moving
        # Where all groups cost the same, padding needs no weight of 0: a norm of 0 takes no share.
        costs = [groups.weights[pool.groups] for _, pool in pools]
        weighted = any((cost != 1).any() for cost in costs)
        self._weights = _padded(costs).astype("float32") if weighted else None
        budgets = [pool.training_budget(groups.weights) for _, pool in pools]
        self._budgets = np.array(budgets, dtype="float32")

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

    def solve(self, norms, solve, costs, budgets, room, *more) -> list[tuple]:
        """(groups, what ``solve`` finds for them) of each of these pools, of norms of shape (num_groups,)."""
        weights, limits = self._weights, self._budgets
        if self._moving:
            weights, limits = self._take(costs), ops.take(budgets, self._numbers)
        if room is not None:
            limits = ops.add(limits, ops.multiply(room, ops.subtract(self._all(weights), limits)))
        solved = solve(self, self._take(norms), limits, weights, *more)
        return [(where, solved[row, : len(where)]) for row, where in enumerate(self._where)]

    def _all(self, weights):
        """What all groups of each pool weigh together."""
        if weights is None:
            return np.array([len(one) for one in self._where], dtype="float32")
        return ops.sum(weights, axis=-1)

    def _take(self, values):
        """Numbers of all groups as these rows, padded with 0."""
        values, width = ops.stop_gradient(values), max(map(len, self._where))  # no variable, a value
        return ops.stack([_widen(take_groups(values, where), width) for where in self._where])


def _laid_out(solved: list[tuple], num_groups: int, fill: float, dtype):
    """One vector of the numbers of ranges of groups, with ``fill`` between them."""
    parts, end = [], 0
    for where, factors in sorted(solved, key=lambda pair: pair[0].start):
        parts += [ops.full((where.start - end,), fill, dtype=dtype), ops.cast(factors, dtype)]
        end = where.stop
    parts.append(ops.full((num_groups - end,), fill, dtype=dtype))
    parts = [part for part in parts if part.shape[0]]
    return ops.concatenate(parts) if len(parts) > 1 else parts[0]


def _scattered(solved: list[tuple], num_groups: int, fill: float, dtype):
    """The same of groups in any order."""
    index = [np.arange(one.start, one.stop) if isinstance(one, range) else one for one, _ in solved]
    index = np.concatenate(index)[:, None].astype("int32")
    factors = ops.cast(ops.concatenate([factors for _, factors in solved]), dtype)
    return ops.scatter_update(ops.full((num_groups,), fill, dtype=dtype), index, factors)


def _widen(vector, width: int):
    missing = width - vector.shape[0]
    return ops.pad(vector, (0, missing)) if missing else vector


def _padded(rows: list[np.ndarray]) -> np.ndarray:
    """The rows as one matrix, filled up with 0."""
    matrix = np.zeros((len(rows), max(map(len, rows))))
    for line, row in zip(matrix, rows, strict=True):
        line[: len(row)] = row
    return matrix
