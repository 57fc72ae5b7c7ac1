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


@dataclasses.dataclass(frozen=True)
class ProximalState:
    """What the step carries from batch to batch; scalars but for the mask.

    Attributes:
        epoch: number of the running epoch.
        batch: batches seen in this epoch.
        steps: batches in an epoch, 0 while unknown.
        ramp_epochs: the epoch at which the ramp ends.
        frozen: 1 when the surviving groups are chosen, else 0.
        live: number of groups that are not zero.
        mask: 1 for the groups that stay once frozen, shape (num_groups,).
    """

    epoch: Any
    batch: Any
    steps: Any
    ramp_epochs: Any
    frozen: Any
    live: Any
    mask: Any

    @property
    def progress(self):
        """How far the ramp has come, in [0, 1]."""
        within = ops.minimum(self.batch / ops.maximum(self.steps, 1.0), 1.0)
        within = ops.where(self.steps > 0, within, 0.0)
        return ops.minimum((self.epoch + within) / ops.maximum(self.ramp_epochs, 1.0), 1.0)


class ProximalStep:
    """Applies the penalty's proximal operator to every pool of groups.

    Pools of similar size are padded into the rows of one matrix (to the next power of two, so less than
    twice the work) and solved together: the number of operations does not grow with the number of layers.

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
        for pool in level.pools:
            width = 1 << max(len(pool.groups) - 1, 0).bit_length()
            buckets.setdefault(width, []).append(pool)
        self._rows = [_Rows(groups, pools, width, penalty) for width, pools in buckets.items()]

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

        def prox():
            norms = group_norms(members, values, count)
            step_size = self._schedule.step_size(state.progress, learning_rate)
            return ops.cast(self._factors(norms, step_size), "float32")

        factors = ops.cond(state.frozen > 0, lambda: ops.convert_to_tensor(state.mask), prox)
        factors = ops.where(updated, factors, ops.ones_like(factors))
        alive = ops.sum(ops.cast(factors > 0, "float32"))
        state = dataclasses.replace(
            state, batch=state.batch + 1.0, live=ops.where(updated, alive, state.live)
        )
        return scale_groups(members, values, factors), state

    def _factors(self, norms, step_size):
        for floor in self._floors:
            norms = floor.lift(norms)
        factors = ops.ones_like(norms)
        for rows in self._rows:
            factors = rows.factors(norms, step_size, factors)
        return factors


class _Rows:
    """Pools of similar size as the rows of a matrix, padded with groups of norm and weight 0."""

    def __init__(self, groups: GroupSet, pools: list, width: int, penalty: GroupPenalty):
        pad = groups.num_groups
        self._index = np.full((len(pools), width), pad, dtype="int32")
        for row, pool in zip(self._index, pools, strict=True):
            row[: len(pool.groups)] = pool.groups
        self._weights = np.append(groups.weights, 0.0)[self._index].astype("float32")
        real = self._index != pad
        self._targets = self._index[real][:, None]
        self._sources = np.flatnonzero(real).astype("int32")
        self._whole = np.array_equal(self._targets[:, 0], np.arange(pad))
        self._penalty = penalty.with_budget(np.array([pool.k for pool in pools], dtype="float32"))

    def factors(self, norms, step_size, factors):
        """Writes the factors of these pools' groups into ``factors``, shape (num_groups,)."""
        padded = ops.concatenate([norms, ops.zeros((1,), dtype=norms.dtype)])
        rows = ops.take(padded, self._index)
        solved = ops.reshape(self._penalty.factors(rows, step_size, self._weights), (-1,))
        solved = ops.cast(ops.take(solved, self._sources), factors.dtype)
        return solved if self._whole else ops.scatter_update(factors, self._targets, solved)


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
        self._row_of = np.full(pad, len(layers), dtype="int32")
        self._row_of[pool.groups] = position

    def lift(self, norms):
        """Lifts the ``floor`` largest norms of each layer above all others, shape (num_groups,)."""
        padded = ops.concatenate([norms, ops.full((1,), -1.0, dtype=norms.dtype)])
        rows = ops.take(padded, self._index)
        smallest = ops.top_k(rows, self._floor)[0][:, -1]
        beyond = ops.full((1,), float("inf"), dtype=norms.dtype)
        threshold = ops.take(ops.concatenate([smallest, beyond]), self._row_of)
        return ops.where(norms >= threshold, ops.max(norms) * _LIFT, norms)
