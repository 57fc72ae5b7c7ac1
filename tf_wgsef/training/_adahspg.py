"""AdaHSPG+: proximal or half-space steps, whichever promises more."""

import keras
import numpy as np
from keras import ops

from tf_wgsef.penalties import GroupPenalty
from tf_wgsef.training._half_space import Geometry, half_space, measure, pull
from tf_wgsef.training._hspg import check_below_one, grown, half_space_change
from tf_wgsef.training._update_rules import Change, Move, UpdateRule
from tf_wgsef.validation import check_non_negative

# The roles of groups in an epoch.
_HALF_SPACE, _PROX, _ZERO = 1.0, 0.0, -1.0


@keras.saving.register_keras_serializable("tf_wgsef")
class AdaHSPGPlus(UpdateRule):
    """Adaptive half-space steps, after AdaHSPG+ (Dai, Chen, Wang & Robinson 2023, TMLR).

    Each epoch chooses between two kinds of steps, from an update x → t at its beginning. With the step of
    the prox, s = prox(t) - x, and H the groups far from the origin, ::

        χ_h = ‖s on H‖,   χ_p = ‖s on the rest‖:   prox steps if χ_h <= μ χ_p, else half-space steps on H

    A half-space step is that of ``HSPG``. Groups outside H take proximal steps in either case, and a zero
    group to which s gives a value is free to leave zero: a group that is zero by mistake comes back, which
    ``HSPG`` rules out. The other zero groups stay zero until the next epoch.

    Confirmed, by what the authors wrote to their reviewers (the paper itself could not be read): the two
    kinds of steps, chosen anew after an epoch's worth of either; μ = 1; half-space steps on the groups that
    are not zero and far enough from the origin, without variance reduction; an ε that adapts itself.

    Unverified:

    - χ_h and χ_p. FaRSA-Group, of the same first author, chooses so between its two kinds of steps.
    - What is far: here, a group that s leaves non-zero, and whose step t_g - step · ∇Ω(x)_g - x_g is at
      most ``reach`` · ‖x_g‖ long. FaRSA-Group asks ‖x_g‖ > κ ‖∇_g‖, with a κ that it adapts.
    - That the rest takes proximal steps while H takes half-space steps.
    - How ε adapts: here as in ``HSPG``, after epochs of half-space steps.

    Departures from the source:

    - No variance reduction: its proximal steps are those of Prox-SVRG, which needs the gradient of all data
      at a snapshot of the weights, and with each batch a second gradient, at the snapshot. Keras's training
      step takes one gradient of one batch, dropout and batch norm would differ between the two, and in deep
      networks it does not reduce the variance (Defazio & Bottou 2019, arXiv:1812.04529).
    - In place of the gradient of all data, the mean update of the last epoch decides: which kind of steps,
      H, and which zeros are wrong (the first update, in the first epoch). Decided on a batch, noise brings
      zero groups back. It costs a copy of the weights of all groups, beside the one of x.
    - The best groups within the level are never projected and take proximal steps, as in ``HSPG``.

    Args:
        epsilon: ε in [0, 1); the larger, the more groups are projected.
        growth: what is added to ε after an epoch of half-space steps without progress, up to 0.9; 0 keeps it.
        mu: μ >= 0; above 1 favours the prox.
        reach: the longest step of a far group, in units of its norm.

    Raises:
        InputError: if a number is outside its range.

    Example:
        >>> import keras, tf_wgsef
        >>> hidden = keras.layers.Dense(8, activation="relu", name="hidden")
        >>> model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(1)])
        >>> tf_wgsef.sparsify(model, sparsity=0.75, update="adahspg+").update
        AdaHSPGPlus(epsilon=0.0, growth=0.1, mu=1.0, reach=1.0)
    """

    needs_previous = True

    def __init__(self, *, epsilon: float = 0.0, growth: float = 0.1, mu: float = 1.0, reach: float = 1.0):
        self.epsilon = check_below_one("epsilon", epsilon)
        self.growth = check_non_negative("growth", growth)
        self.mu = check_non_negative("mu", mu)
        self.reach = check_non_negative("reach", reach)

    def check(self, penalty: GroupPenalty) -> None:
        """See ``UpdateRule.check``."""
        penalty.with_budget(1).gradient_factors(np.ones(1, "float32"))

    def state(self, num_groups: int, shapes) -> dict:
        """See ``UpdateRule.state``."""
        return {
            "epsilon": np.float32(self.epsilon),
            "live_before": np.float32(0),
            "chosen": np.float32(0),  # whether the kind of steps of this epoch is chosen
            "role": np.zeros(num_groups, "float32"),
            "updates": np.float32(0),  # in the sums
            **{f"sum_{i}": np.zeros(shape, "float32") for i, shape in enumerate(shapes)},
        }

    def begin_epoch(self, state: dict, *, live: float, progress: float, choose=None) -> dict:
        """See ``UpdateRule.begin_epoch``."""
        half = (state["role"] == _HALF_SPACE).any()
        changed = grown(state, live, self.growth if half else 0.0)
        return {**changed, "chosen": np.float32(0)}

    def move(self, step, move: Move) -> Change:
        """See ``UpdateRule.move``."""
        state = move.state
        names = [f"sum_{i}" for i in range(len(move.values))]
        sums = [state[name] for name in names]
        role, updates, sums = ops.cond(
            state["chosen"] > 0,
            lambda: (state["role"], state["updates"], sums),
            lambda: self._choose(step, move, sums),
        )
        change = [ops.subtract(new, old) for new, old in zip(move.values, move.previous, strict=True)]
        sums = [total + ops.cast(part, "float32") for total, part in zip(sums, change, strict=True)]
        state = {
            **state,
            "chosen": ops.ones_like(state["chosen"]),
            "role": role,
            "updates": updates + 1.0,
            **dict(zip(names, sums, strict=True)),
        }
        return self._take(step, move, measure(step, move.previous, move.values), role, state)

    def _take(self, step, move: Move, geometry: Geometry, role, state: dict) -> Change:
        # What is zero stays so in this epoch, unless the choice says that the prox would bring it back.
        fixed = ops.equal(geometry.before, 0) & ops.not_equal(role, _PROX)
        nothing = ops.zeros_like(geometry.after)
        still = ops.where(fixed, nothing, geometry.after)
        prox = ops.where(fixed, nothing, step.prox(still, move.step_size))

        def half():
            pulls = pull(step, move, geometry.before)
            factors, past = half_space(geometry, pulls, state["epsilon"], step.best(still), prox)
            there = ops.equal(role, _HALF_SPACE)
            return ops.where(there, factors, prox), ops.where(there, past, nothing)

        half_epoch = ops.any(ops.equal(role, _HALF_SPACE))
        factors, past = ops.cond(half_epoch, half, lambda: (prox, nothing))
        return half_space_change(geometry, factors, past, state)

    def _choose(self, step, move: Move, sums: list):
        """The role of each group in this epoch; the sums start again."""
        updates = move.state["updates"]

        def mean():
            return [
                old + ops.cast(total / ops.maximum(updates, 1.0), old.dtype)
                for total, old in zip(sums, move.previous, strict=True)
            ]

        after = ops.cond(updates > 0, mean, lambda: [ops.convert_to_tensor(new) for new in move.values])
        geometry = measure(step, move.previous, after)
        prox = step.prox(geometry.after, move.step_size)
        pulls = pull(step, move, geometry.before)
        stays = (prox > 0) & (geometry.after > 0)
        reached = geometry.squared_move(ops.ones_like(pulls), pulls) <= ops.square(
            self.reach * geometry.before
        )
        far = reached & stays & (geometry.before > 0) & step.pooled
        moved = ops.where(step.pooled, geometry.squared_move(prox, ops.zeros_like(prox)), 0.0)
        chi_half = ops.sqrt(ops.sum(ops.where(far, moved, 0.0)))
        chi_prox = ops.sqrt(ops.sum(ops.where(far, 0.0, moved)))
        role = ops.where(far & (chi_half > self.mu * chi_prox), _HALF_SPACE, _PROX)
        zero = ops.equal(geometry.before, 0) & ops.logical_not(stays) & step.pooled
        role = ops.cast(ops.where(zero, _ZERO, role), "float32")
        return role, ops.zeros_like(updates), [ops.zeros_like(total) for total in sums]

    def get_config(self) -> dict:
        """Returns the arguments that build an equal rule."""
        return {
            "epsilon": self.epsilon,
            "growth": self.growth,
            "mu": self.mu,
            "reach": self.reach,
        }
