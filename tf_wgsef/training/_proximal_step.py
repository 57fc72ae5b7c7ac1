"""The proximal step as a pure function: values in, values out; the same code on every backend."""

import dataclasses

import keras
from keras import ops

from tf_wgsef.groups import GroupSet, group_norms, scale_groups
from tf_wgsef.penalties import GroupPenalty
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
        schedule: gives the step size.
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
        self, values: list, state: ProximalState, learning_rate, updated, previous=None, scales=None
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

        Returns:
            The new values and the new state.
        """
        members, count = self._groups.members, self._groups.num_groups
        # Rounded to float32, the factors of a float64 model would end beside its optimum.
        double = any(keras.backend.standardize_dtype(value.dtype) == "float64" for value in values)
        dtype = "float64" if double else "float32"
        carried = {name: ops.convert_to_tensor(value) for name, value in state.rule.items()}

        def change(factors, live):
            past = () if previous is None else ops.zeros((count,), dtype=dtype)
            return Change(ops.cast(factors, dtype), past, live, carried)

        def move():
            step_size = self._schedule.step_size(state.progress, learning_rate)
            solver = self._pools.solver(
                costs=state.costs,
                budgets=state.budgets,
                metric=None if scales is None else group_metric(members, scales, count),
                metric_in_penalty=self._schedule.up_to_one,
            )
            return self._rule.move(solver, Move(values, previous, state.progress, step_size, carried))

        def held():
            mask, live = ops.convert_to_tensor(state.mask), ops.convert_to_tensor(state.live)
            # Once all that are to stay are alive, there is nothing to count any more.
            live = ops.cond(
                live < ops.sum(mask),
                lambda: count_alive(mask, group_norms(members, values, count)),
                lambda: live,
            )
            return change(mask, live)

        def nothing():
            return change(ops.ones((count,)), ops.convert_to_tensor(state.live))

        # Once frozen on every step: averaged weights (EMA) are written back on steps without an update too.
        made = ops.cond(state.frozen > 0, held, lambda: ops.cond(updated, move, nothing))
        state = dataclasses.replace(state, batch=state.batch + 1.0, live=made.live, rule=made.state)
        values = scale_groups(members, values, made.factors)
        if previous is not None:
            pulls = scale_groups(members, previous, made.past)
            values = [ops.subtract(value, pull) for value, pull in zip(values, pulls, strict=True)]
        return values, state
