"""Gradual removal: what is to go is picked at the start of the ramp, and falls to zero until its end."""

import keras
import numpy as np
from keras import ops

from tf_wgsef.groups import group_norms
from tf_wgsef.training._hspg import check_below_one
from tf_wgsef.training._update_rules import Change, Move, UpdateRule, count_alive


@keras.saving.register_keras_serializable("tf_wgsef")
class GradualRemoval(UpdateRule):
    """Gradual removal of groups picked beforehand, after HESSO (Chen et al. 2024, arXiv:2409.09085).

    When the ramp begins, or after a ``warmup``, the groups to remove are picked, as the final choice picks
    them. From there on, with t after the optimizer's update and p the progress of the ramp, ::

        x_g ← (1 - p_after)/(1 - p_before) · t_g      for the picked groups,      x_g ← t_g for the others

    without the updates a straight line to zero at the end of the ramp. That is HESSO's (T - s - 1)/(T - s) at
    its step s of T. What is zero by then is what the final choice removes: the level is met by construction,
    whatever it is, and no penalty acts on any group; ``penalty`` is not used.

    Confirmed, by the authors' code (``HESSO`` in only_train_once): the factor, that it follows the update,
    and that the other groups take the optimizer's step alone.

    Departures from the source, whose results are unverified for this form:

    - The pick is by norm, as the level's: per layer, in total, or within a budget. HESSO's saliency score
      weighs five alike: two of magnitude, the angle between weights and gradient, two of Taylor's series.
    - One pick. HESSO can split the removal into periods, each with a pick of its own, and its corrective
      cycle (CRIC) takes wrong picks back. Here a wrong pick is final.
    - Picks fall at the start of an epoch. If none starts between the warm-up and the end of the ramp, the
      final choice is a cut.

    Picked from random weights, the choice is by chance: start from a trained model, or give a ``warmup``.

    Args:
        warmup: share of the ramp before the pick, in [0, 1).

    Raises:
        InputError: if the share is outside its range.

    Example:
        >>> import keras, tf_wgsef
        >>> hidden = keras.layers.Dense(8, activation="relu", name="hidden")
        >>> model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(1)])
        >>> tf_wgsef.sparsify(model, sparsity=0.75, update=tf_wgsef.GradualRemoval(warmup=0.5)).update
        GradualRemoval(warmup=0.5)
    """

    def __init__(self, *, warmup: float = 0.0):
        self.warmup = check_below_one("warmup", warmup)

    def state(self, num_groups: int, shapes) -> dict:
        """See ``UpdateRule.state``."""
        return {"picked": np.float32(0), "stays": np.ones(num_groups, "float32"), "lowered": np.float32(0)}

    def begin_epoch(self, state: dict, *, live: float, progress: float, choose) -> dict:
        """See ``UpdateRule.begin_epoch``."""
        if float(state["picked"]) or progress < self.warmup:
            return {}
        stays = choose().astype("float32")
        return {"picked": np.float32(1), "stays": stays, "lowered": np.float32(progress)}

    def move(self, step, move: Move) -> Change:
        """See ``UpdateRule.move``."""
        norms = group_norms(step.groups.members, move.values, step.groups.num_groups)
        # Up to where the last step lowered them: steps without an update are made up for, and what was
        # lowered for a shorter ramp waits for a longer one.
        before = ops.minimum(move.state["lowered"], 1.0)
        after = ops.maximum(ops.cast(move.next_progress, "float32"), before)
        left = ops.where(before < 1.0, (1.0 - after) / ops.maximum(1.0 - before, 1e-7), 0.0)
        factors = ops.where(move.state["stays"] > 0, 1.0, ops.cast(left, norms.dtype))
        factors = ops.cast(factors, norms.dtype)
        past = () if move.previous is None else ops.zeros_like(factors)
        state = {**move.state, "lowered": ops.where(move.state["picked"] > 0, after, before)}
        return Change(factors, past, count_alive(factors, norms), state)

    def get_config(self) -> dict:
        """Returns the arguments that build an equal rule."""
        return {"warmup": self.warmup}
