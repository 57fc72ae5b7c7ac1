"""The proximal step as a pure function: values in, values out; the same code on every backend."""

import dataclasses

from keras import ops

from tf_wgsef.groups import GroupSet, group_norms, scale_groups
from tf_wgsef.penalties import GroupPenalty
from tf_wgsef.training._fused import fused
from tf_wgsef.training._level import Level
from tf_wgsef.training._metric import group_metric
from tf_wgsef.training._pools import Pools
from tf_wgsef.training._proximal_state import ProximalState
from tf_wgsef.training._update_rules import Change, Move, Prox, UpdateRule, count_alive


class ProximalStep:
    """Applies an update rule, as a rule the penalty's proximal operator, to every pool of groups.

    Args:
        groups: the groups of the model.
        level: the pools, with their budgets.
        penalty: whose prox is applied; ``with_budget`` gives it each pool's budget.
        schedule: gives the step size, and how much room the budget leaves beyond the level.
        rule: what is done with it; the plain prox if None.
    """

    def __init__(
        self,
        groups: GroupSet,
        level: Level,
        penalty: GroupPenalty,
        schedule,
        rule: UpdateRule | None = None,
    ):
        self._groups, self._schedule = groups, schedule
        self._rule = Prox() if rule is None else rule
        self._pools = Pools(groups, level, penalty)

    def __call__(
        self, values: list, state: ProximalState, learning_rate, updated, previous=None, scales=None, every=1
    ):
        """Takes one step.

        Args:
            values: value of each member of the groups, after the optimizer's update.
            state: as it was before.
            learning_rate: of the update just made, a scalar tensor.
            updated: whether the optimizer updated anything, a scalar bool tensor; no prox if not.
            previous: the values before that update, if the rule needs them.
            scales: what the optimizer divides each weight's step by, one tensor per member, if the prox is to
                be taken in that metric.
            every: after so many batches the optimizer updates.

        Returns:
            The new values and the new state.
        """
        members, count = self._groups.members, self._groups.num_groups
        carried = {name: ops.convert_to_tensor(value) for name, value in state.rule.items()}
        live, mask = ops.convert_to_tensor(state.live), ops.convert_to_tensor(state.mask)

        def move():
            progress = state.progress
            solver = self._pools.solver(
                costs=state.costs,
                budgets=state.budgets,
                metric=None if scales is None else group_metric(members, scales, count),
                metric_in_penalty=self._schedule.up_to_one,
                room=self._schedule.room(progress),
            )
            steps = state.steps * state.ramp_epochs / every
            step_size = self._schedule.step_size(progress, learning_rate, steps)
            after = dataclasses.replace(state, batch=state.batch + 1.0).progress
            seen = Move(values, previous, progress, step_size, carried, learning_rate, after)
            made = self._rule.move(solver, seen)
            return self._apply(made, values, previous), made.live, made.state

        def held():
            # Once all that are to stay are alive, there is nothing to count any more.
            alive = ops.cond(
                live < state.kept,
                lambda: count_alive(mask, group_norms(members, values, count)),
                lambda: live,
            )
            return scale_groups(members, values, mask), alive, carried

        def nothing():
            return values, live, carried

        # Once frozen on every step: averaged weights (EMA) are written back on steps without an update too.
        # The branches return the values, not the factors: those would be written, and read again.
        taken = fused(move, count)
        values, live, carried = ops.cond(state.frozen > 0, held, lambda: ops.cond(updated, taken, nothing))
        return values, dataclasses.replace(state, batch=state.batch + 1.0, live=live, rule=carried)

    def _apply(self, change: Change, values: list, previous: list | None) -> list:
        """Each group becomes factor · v_g - past · x_g."""
        members = self._groups.members
        values = values if change.values is None else change.values
        scaled = scale_groups(members, values, change.factors)
        if previous is None:
            return scaled
        pulls = scale_groups(members, previous, change.past)
        return [ops.subtract(value, pull) for value, pull in zip(scaled, pulls, strict=True)]
