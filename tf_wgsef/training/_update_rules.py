"""What is done with the optimizer's update: the contract of an update rule, and the plain prox."""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from tf_wgsef.errors import InputError
from tf_wgsef.groups import group_norms
from tf_wgsef.penalties import GroupPenalty


class Move(NamedTuple):
    """What a rule sees of one step.

    Attributes:
        values: t, value of each member of the groups after the optimizer's update.
        previous: x, the same before it; None unless the rule needs them.
        progress: how far the ramp has come, in [0, 1].
        step_size: of the schedule.
        state: what the rule carries, {name: tensor}.
        learning_rate: of the update just made.
        next_progress: how far the ramp is when the next step begins.
    """

    values: list
    previous: list | None
    progress: Any
    step_size: Any
    state: dict[str, Any]
    learning_rate: Any
    next_progress: Any


class Change(NamedTuple):
    """What a rule makes of it: each group becomes factor · v_g - past · x_g.

    Attributes:
        factors: shape (num_groups,), of the dtype of the norms.
        past: the same, or () for a rule that does not see x.
        live: number of groups that are not zero then, a scalar.
        state: what the rule carries on.
        values: v, value of each member; None is t.
    """

    factors: Any
    past: Any
    live: Any
    state: dict[str, Any]
    values: list | None = None


class UpdateRule(abc.ABC):
    """How the penalty acts on the weights, after each update of the optimizer.

    A rule is plain data: what changes while training is in the variables that ``state`` names, which the
    ``ProximalModel`` keeps and saves.
    """

    needs_previous = False
    """Whether it sees the values before the update, which costs a copy of them."""

    needs_learning_rate = False
    """Whether it reads the learning rate whatever the schedule, so that there must be one."""

    any_metric = True
    """Whether it knows what to do where the prox is taken in the metric of the optimizer."""

    needs_metric = False
    """Whether it takes the prox in the metric of the optimizer only."""

    def check(self, penalty: GroupPenalty) -> None:
        """Raises ``InputError`` if the rule cannot work with ``penalty``."""
        del penalty

    def state(self, num_groups: int, shapes: list[tuple]) -> dict[str, Any]:
        """Returns what it carries from step to step, {name: array with the initial values}.

        Args:
            num_groups: number of groups of the model.
            shapes: shape of each member of the groups.
        """
        del num_groups, shapes
        return {}

    def begin_epoch(
        self, state: dict[str, Any], *, live: float, progress: float, choose: Callable[[], np.ndarray]
    ) -> dict[str, Any]:
        """Returns what changes in ``state`` between epochs.

        Args:
            state: {name: array}, as the last epoch left it.
            live: number of groups that are not zero.
            progress: how far the ramp has come, in [0, 1].
            choose: returns which groups would stay if the final choice fell now, bool of shape (num_groups,).
        """
        del state, live, progress, choose
        return {}

    @abc.abstractmethod
    def move(self, step, move: Move) -> Change:
        """Decides on one update, in ``keras.ops``.

        Args:
            step: the ``Solver``, which solves the penalty's parts for all pools.
            move: what was updated.
        """

    def get_config(self) -> dict:
        """Returns the arguments that build an equal rule, as plain JSON values."""
        return {}

    @classmethod
    def from_config(cls, config: dict) -> "UpdateRule":
        """Returns the rule of ``get_config``."""
        return cls(**config)

    def __repr__(self):
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


@keras.saving.register_keras_serializable("tf_wgsef")
class Prox(UpdateRule):
    """The proximal gradient method: the penalty's prox, taken at the optimizer's update."""

    def move(self, step, move: Move) -> Change:
        """See ``UpdateRule.move``."""
        norms = group_norms(step.groups.members, move.values, step.groups.num_groups)
        factors = step.prox(norms, move.step_size)
        past = () if move.previous is None else ops.zeros_like(factors)
        return Change(factors, past, count_alive(factors, norms), move.state)


def check_rule(rule: UpdateRule, penalty: GroupPenalty, metric: str) -> None:
    """Checks that the rule can work with the penalty, in this metric.

    Raises:
        InputError: if it cannot.
    """
    rule.check(penalty)
    if metric == "euclidean" and rule.needs_metric:
        raise InputError(
            f"Expected metric='group' for update={rule!r}. Received: metric={metric!r}. Pass metric='group' "
            f"and compile with an optimizer that has a step size per weight, ProxSGD or Adam."
        )
    if metric != "euclidean" and not rule.any_metric:
        raise InputError(
            f"Expected metric='euclidean' for update={rule!r}, whose steps are of single weights. "
            f"Received: metric={metric!r}. Leave `metric` out, or use update='prox'."
        )


def begin_epoch(rule: UpdateRule, state, choose: Callable[[], np.ndarray]) -> dict[str, Any]:
    """Returns what the rule changes between epochs of what it carries, {name: array}.

    Args:
        rule: the update rule.
        state: the ``ProximalState``.
        choose: makes the final choice as if it fell now.
    """
    values = (state.frozen, state.live, state.progress)
    frozen, live, progress = (float(ops.convert_to_numpy(value)) for value in values)
    if frozen or not state.rule:
        return {}
    carried = {name: ops.convert_to_numpy(value) for name, value in state.rule.items()}
    return rule.begin_epoch(carried, live=live, progress=progress, choose=choose)


def count_alive(factors, norms):
    """Counts the groups that stay and are not zero: one that is to stay can be zero all the same."""
    alive = ops.logical_and(factors > 0, norms > 0)
    # In whole numbers: float32 counts to 2^24.
    return ops.cast(ops.sum(ops.cast(alive, "int32")), "float32")
