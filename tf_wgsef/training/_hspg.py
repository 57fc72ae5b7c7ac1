"""HSPG: proximal steps first, then half-space steps."""

import numbers

import keras
import numpy as np
from keras import ops

from tf_wgsef.errors import InputError
from tf_wgsef.penalties import GroupPenalty
from tf_wgsef.training._half_space import Geometry, half_space, measure, pull
from tf_wgsef.training._update_rules import Change, Move, Prox, UpdateRule, count_alive
from tf_wgsef.validation import check_non_negative

# ε must stay below 1, where every group whose update does not lead away from the origin would go.
_LARGEST_EPSILON = 0.9


@keras.saving.register_keras_serializable("tf_wgsef")
class HSPG(UpdateRule):
    """Half-space stochastic projected gradient (Chen et al. 2020, arXiv:2009.12078).

    Phase 1 takes proximal steps. Phase 2 takes half-space steps on the groups that are not zero: with x
    before the optimizer's update and t after it, ::

        y_g = t_g - step · ∇Ω(x)_g,        x_g ← 0 if ⟨y_g, x_g⟩ < ε ‖x_g‖², else y_g

    and groups that are zero stay zero. Stochastic proximal steps seldom zero a group, because they must
    land within a distance of the origin that shrinks with the learning rate; a half-space step need only
    leave the half-space around x.

    Departures from the source:

    - The best groups within the level are never projected. They take proximal steps throughout: with the
      debiased WGSEF, ∇Ω grows so fast with the ramp that gradient steps can destroy a small network that
      keeps few groups. The authors' code caps the sparsity by a random choice of what to project instead.
    - t is the update of any Keras optimizer, with its momentum; the authors' code runs momentum over the
      gradient of loss and penalty together.
    - Phase 2 is counted in shares of the ramp, not in steps.
    - ε grows where sparsity stalls: by ``growth`` after each epoch of phase 2 in which no group went, up to
      0.9. The authors tune ε by hand; that they raise it by 0.1 then is unverified.

    Args:
        epsilon: ε in [0, 1); the larger, the more groups are projected.
        start: share of the ramp at which phase 2 starts, in [0, 1).
        growth: what is added to ε after an epoch without progress; 0 keeps it.

    Raises:
        InputError: if a number is outside its range.

    Example:
        >>> import keras, tf_wgsef
        >>> hidden = keras.layers.Dense(8, activation="relu", name="hidden")
        >>> model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(1)])
        >>> tf_wgsef.sparsify(model, sparsity=0.75, update=tf_wgsef.HSPG(epsilon=0.1)).update
        HSPG(epsilon=0.1, start=0.5, growth=0.1)
    """

    needs_previous = True

    def __init__(self, *, epsilon: float = 0.0, start: float = 0.5, growth: float = 0.1):
        self.epsilon = check_below_one("epsilon", epsilon)
        self.start = check_below_one("start", start)
        self.growth = check_non_negative("growth", growth)

    def check(self, penalty: GroupPenalty) -> None:
        """See ``UpdateRule.check``."""
        penalty.with_budget(1).gradient_factors(np.ones(1, "float32"))

    def state(self, num_groups: int, shapes) -> dict:
        """See ``UpdateRule.state``."""
        return {"epsilon": np.float32(self.epsilon), "live_before": np.float32(0)}

    def begin_epoch(self, state: dict, *, live: float, progress: float, choose=None) -> dict:
        """See ``UpdateRule.begin_epoch``."""
        if progress < self.start:
            return {}
        return grown(state, live, self.growth)

    def move(self, step, move: Move) -> Change:
        """See ``UpdateRule.move``."""

        def second():
            geometry = measure(step, move.previous, move.values)
            # A zero group takes no place of the level's: it stays zero.
            still = ops.where(geometry.before > 0, geometry.after, ops.zeros_like(geometry.after))
            pulls = pull(step, move, geometry.before)
            prox = step.prox(still, move.step_size)
            factors, past = half_space(geometry, pulls, move.state["epsilon"], step.best(still), prox)
            return half_space_change(geometry, factors, past, move.state)

        return ops.cond(move.progress >= self.start, second, lambda: Prox().move(step, move))

    def get_config(self) -> dict:
        """Returns the arguments that build an equal rule."""
        return {"epsilon": self.epsilon, "start": self.start, "growth": self.growth}


def half_space_change(geometry: Geometry, factors, past, state: dict) -> Change:
    """Returns the change in which each group becomes factor · t_g - past · x_g."""
    # With a pull the inner product with x is above 0, so that the group is not zero; without one it is t.
    live = count_alive(factors, ops.where(past > 0, geometry.before, geometry.after))
    return Change(factors, past, live, state)


def grown(state: dict, live: float, growth: float) -> dict:
    """Returns the state with ε grown if no group went since it was last asked, and ``live`` noted.

    Args:
        state: with ``epsilon`` and ``live_before``, which is 0 if it was not asked yet.
        live: number of groups that are not zero now.
        growth: what ε grows by.
    """
    epsilon, before = float(state["epsilon"]), float(state["live_before"])
    if 0 < before <= live:
        epsilon = max(epsilon, min(epsilon + growth, _LARGEST_EPSILON))
    return {"epsilon": np.float32(epsilon), "live_before": np.float32(live)}


def check_below_one(name: str, value: float) -> float:
    """Returns ``value`` as a float if it is in [0, 1).

    Raises:
        InputError: if it is not.
    """
    number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not number or not 0 <= value < 1:
        raise InputError(
            f"Expected `{name}` in [0, 1). Received: {name}={value!r}. Pass 0 to start with, "
            f"or a little more."
        )
    return float(value)
