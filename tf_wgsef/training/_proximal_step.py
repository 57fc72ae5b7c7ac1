"""The proximal step as a pure function: values in, values out; the same code on every backend."""

import dataclasses
from typing import Any

import numpy as np
from keras import ops

from tf_wgsef.groups import GroupSet, group_norms, scale_groups
from tf_wgsef.penalties import GroupPenalty
from tf_wgsef.training._level import Level

# How far the groups under a floor are lifted above all others, so that any penalty lets them pass.
_LIFT = 1e6

# Pools of up to so many groups are solved together: a call of an operation costs more than its padding
# (LeNet-5 20-50-500, batch 128, in one matrix instead of three: the prox adds 6.5 % to a step, not 8.3 %).
_SMALL = 1024


@dataclasses.dataclass(frozen=True)
class ProximalState:
    """What the step carries from batch to batch; scalars but for the mask.

    Attributes:
        epoch: number of the running epoch.
        batch: batches seen in this epoch.
        steps: batches in an epoch, 0 while unknown.
        ramp_start: the epoch at which the ramp starts.
        ramp_epochs: how many epochs the ramp takes.
        frozen: 1 when the surviving groups are chosen, else 0.
        live: number of groups that are not zero.
        mask: 1 for the groups that stay once frozen, shape (num_groups,).
        costs: weight d_g of each group where a budget re-estimates it, shape (num_groups,); else None.
        budgets: the k of each pool in that case, shape (num_pools,).
    """

    epoch: Any
    batch: Any
    steps: Any
    ramp_start: Any
    ramp_epochs: Any
    frozen: Any
    live: Any
    mask: Any
    costs: Any = None
    budgets: Any = None

    @property
    def progress(self):
        """How far the ramp has come, in [0, 1]."""
        within = ops.minimum(self.batch / ops.maximum(self.steps, 1.0), 1.0)
        within = ops.where(self.steps > 0, within, 0.0)
        passed = self.epoch - self.ramp_start + within
        return ops.minimum(passed / ops.maximum(self.ramp_epochs, 1.0), 1.0)


class ProximalStep:
    """Applies the penalty's proximal operator to every pool of groups.

    Pools of similar size (small ones, or up to the same power of two) are padded into the rows of one
    matrix and solved together: the number of operations does not grow with the number of layers.

    Args:
        groups: the groups of the model.
        level: the pools, with their budgets.
        penalty: whose prox is applied; ``with_budget`` gives it each pool's budget.
        schedule: gives the step size.
    """

    def __init__(self, groups: GroupSet, level: Level, penalty: GroupPenalty, schedule):
        self._groups = groups
        self._schedule = schedule
        self._floors = [_Floor(groups, pool) for pool in level.pools if len(set(pool.layer_of)) > 1]
        buckets: dict[int, list] = {}
        for number, pool in enumerate(level.pools):
            width = max(1 << max(len(pool.groups) - 1, 0).bit_length(), _SMALL)
            buckets.setdefault(width, []).append((number, pool))
        moving = level.budget is not None
        self._rows = [_Rows(groups, dict(pools), penalty, moving) for pools in buckets.values()]

    def __call__(self, values: list, state: ProximalState, learning_rate, updated):
        """Takes one step.

        Args:
            values: value of each member of the groups, after the optimizer's update.
            state: as it was before.
            learning_rate: of the update just made, a scalar tensor.
            updated: whether the optimizer updated anything, a scalar bool tensor; no prox if not.

        Returns:
            The new values and the new state.
        """
        members, count = self._groups.members, self._groups.num_groups

        def count_alive(factors, norms):
            # A group that is to stay can be zero all the same: a count by the factors would miss it.
            return ops.sum(ops.cast(ops.logical_and(factors > 0, norms > 0), "float32"))

        def prox():
            norms = group_norms(members, values, count)
            step_size = self._schedule.step_size(state.progress, learning_rate)
            factors = ops.cast(self._factors(norms, step_size, state), "float32")
            return factors, count_alive(factors, norms)

        def held():
            mask, live = ops.convert_to_tensor(state.mask), ops.convert_to_tensor(state.live)
            # Once all that are to stay are alive, there is nothing to count any more.
            return mask, ops.cond(
                live < ops.sum(mask),
                lambda: count_alive(mask, group_norms(members, values, count)),
                lambda: live,
            )

        def nothing():
            return ops.ones((count,), dtype="float32"), ops.convert_to_tensor(state.live)

        factors, live = ops.cond(updated, lambda: ops.cond(state.frozen > 0, held, prox), nothing)
        state = dataclasses.replace(state, batch=state.batch + 1.0, live=live)
        return scale_groups(members, values, factors), state

    def _factors(self, norms, step_size, state: ProximalState):
        for floor in self._floors:
            norms = floor.lift(norms)
        factors = ops.ones_like(norms)
        for rows in self._rows:
            factors = rows.factors(norms, step_size, factors, state)
        return factors


class _Rows:
    """Pools of similar size as the rows of a matrix, padded with groups of norm 0.

    Args:
        groups: the groups of the model.
        pools: {number of the pool in the level: pool}.
        penalty: whose prox is applied.
        moving: whether weights and budgets are re-estimated while training, and come with the state.
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
        budgets = [pool.training_budget(groups.weights) for pool in pools.values()]
        self._moving = moving
        self._penalty = penalty if moving else penalty.with_budget(np.array(budgets, dtype="float32"))

    def factors(self, norms, step_size, factors, state: ProximalState):
        """Writes the factors of these pools' groups into ``factors``, shape (num_groups,)."""
        rows = self._take(norms)
        penalty, weights = self._penalty, self._weights
        if self._moving:
            penalty = penalty.with_budget(ops.take(state.budgets, self._numbers))
            weights = self._take(ops.convert_to_tensor(state.costs))
        solved = ops.reshape(penalty.factors(rows, step_size, weights), (-1,))
        solved = ops.cast(ops.take(solved, self._sources), factors.dtype)
        return solved if self._whole else ops.scatter_update(factors, self._targets, solved)

    def _take(self, values):
        """Numbers of all groups as these rows, padded with 0."""
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
