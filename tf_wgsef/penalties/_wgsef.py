"""WGSEF: the envelope of "at most k groups", with and without its ridge."""

import numbers

import keras
import numpy as np
from keras import ops

from tf_wgsef.penalties._checks import check_budget, check_shapes, check_step, is_static
from tf_wgsef.penalties._group_penalty import GroupPenalty
from tf_wgsef.penalties._numerics import accumulate
from tf_wgsef.penalties._waterfilling import Filling, Ramps, fill


@keras.saving.register_keras_serializable(package="tf_wgsef")
class WGSEF(GroupPenalty):
    """The weighted group sparse envelope function with the budget k.

    With u in [0, 1]^m, Σ_g d_g u_g <= k::

        W(x) = ½ min_u Σ_g ‖x_g‖² / u_g                               debias=False
        P(x) = W(x) - ½‖x‖², which is 0 if Σ_{x_g ≠ 0} d_g <= k         debias=True

    W is the convex envelope of ½‖x‖² on the vectors within the budget (arXiv:2212.12921; Beck &
    Refael 2022; for single weights and d = 1 it is half the squared k-support norm of Argyriou,
    Foygel & Srebro 2012), the knapsack relaxed if weights differ. P, which penalises only what lies
    outside the best k groups, is ours: no paper states it. With s = strength · step_size, a_g =
    n_g/√d_g and α such that Σ_g d_g u_g = k, the factors are ::

        debias=False, s >= 0:      u_g = clip(α a_g - s, 0, 1)
                                     f_g = u_g / (u_g + s)
        debias=True, 0 <= s <= 1:  u_g = clip((α a_g - s)/(1 - s), 0, 1)
                                     f_g = u_g / (u_g + s (1 - u_g))

    With debias=True what stays is not shrunk. s = 0 changes nothing and s = 1 is the hard
    projection: the groups are taken by falling a_g while they fit whole into k, untouched, and all
    others become 0.

    - Groups whose a_g is the same to rounding are taken in the order in which they come.
    - The first group that does not fit whole ends it: it becomes 0, and no smaller one is tried.
      What stays never weighs more than k, and for d = 1 exactly ⌊k⌋ groups stay (if so many are not
      0). A budget below the weight of the best group thus leaves nothing.
    - For 0 < s < 1 groups may stay in part (0 < u_g < 1), and ties share alike.

    Args:
        k: the budget > 0, in the unit of the weights: a number, or one per row of the norms.
        strength: λ >= 0.
        debias: without the ridge, the default.

    Raises:
        InputError: if k is not finite and above 0, or the strength is negative or not finite.

    Example:
        >>> factors = WGSEF(k=2).factors(ops.array([3.0, 2.0, 1.0]), step_size=0.5)
        >>> ops.convert_to_numpy(factors).tolist()
        [1.0, 1.0, 0.0]
    """

    def __init__(self, k, *, strength: float = 1.0, debias: bool = True):
        super().__init__(strength=strength)
        self.k = check_budget(k)
        self.debias = bool(debias)

    def value(self, norms, weights=None):
        """Returns W, or P with debias=True, per row; see ``GroupPenalty.value``.

        The gradient in n_g is n_g/u_g (n_g/u_g - n_g for P), and 0 for a group of norm 0: u is held
        constant, which is exact at its minimum (the envelope theorem; Danskin 1967).
        """
        norms = ops.convert_to_tensor(norms)
        check_shapes(norms, weights, self.k)
        exact = accumulate(norms)
        return 0.5 * ops.sum(exact * (exact * self._price(exact, weights)), axis=-1)

    def gradient_factors(self, norms, weights=None):
        """Returns 1/u_g, or 1/u_g - 1 with debias=True; see ``GroupPenalty.gradient_factors``."""
        norms = ops.convert_to_tensor(norms)
        check_shapes(norms, weights, self.k)
        return ops.cast(self._price(accumulate(norms), weights), ops.dtype(norms))

    def factors(self, norms, step_size, weights=None):
        """Returns the multiplier of each group; see the class and ``GroupPenalty.factors``.

        With debias=True a tensor of steps is clipped to [0, 1/strength]; a number must be inside
        it. A row with a NaN or infinite norm gets NaN factors.
        """
        norms = ops.convert_to_tensor(norms)
        check_shapes(norms, weights, self.k)
        limit = 1.0 if self.debias else float("inf")
        check_step(step_size, strength=self.strength, limit=limit)
        exact = ops.stop_gradient(accumulate(norms))
        step = ops.stop_gradient(self.strength * accumulate(step_size, ops.dtype(exact)))
        if self.debias:
            factors = self._debiased_factors(exact, ops.clip(step, 0.0, 1.0), step_size, weights)
        else:
            shares = self._fill(exact, weights, step, 1.0).shares()
            factors = _ratio(shares, shares + step)
        return ops.cast(ops.stop_gradient(factors), ops.dtype(norms))

    def with_budget(self, k) -> "WGSEF":
        """Returns a copy with the budget ``k``.

        Args:
            k: a number, or one number per row of the norms.
        """
        return WGSEF(k, strength=self.strength, debias=self.debias)

    def get_config(self) -> dict:
        """Returns the arguments that build an equal penalty."""
        k = self.k if isinstance(self.k, numbers.Real) else ops.convert_to_numpy(self.k).tolist()
        k = k.item() if isinstance(k, np.generic) else k
        return {"k": k, **super().get_config(), "debias": self.debias}

    def _price(self, norms, weights):
        """What a unit of n_g costs: 1/u_g (less 1 without the ridge), 0 for a group of norm 0."""
        shares = self._fill(ops.stop_gradient(norms), weights, 0.0, 1.0).shares()
        inside = shares > 0
        safe = ops.where(inside, shares, ops.ones_like(shares))
        price = (1.0 - safe) / safe if self.debias else 1.0 / safe
        # A NaN share is not "inside"; it must reach the value all the same.
        return ops.stop_gradient(ops.where(inside, price, shares))

    def _fill(self, norms, weights, offset, width) -> Filling:
        dtype = ops.dtype(norms)
        budget = ops.stop_gradient(accumulate(self.k, dtype))
        levels = norms
        if weights is not None:
            weights = ops.stop_gradient(accumulate(weights, dtype))
            weights = ops.broadcast_to(weights, ops.shape(norms))
            costly = weights > 0
            root = ops.sqrt(ops.where(costly, weights, ops.ones_like(weights)))
            levels = ops.where(costly, norms / root, norms * 0.0)
        offset, width = accumulate(offset, dtype), accumulate(width, dtype)
        return fill(Ramps(levels, offset, width, weights), budget)

    def _debiased_factors(self, norms, step, step_size, weights):
        filling = self._fill(norms, weights, step, 1.0 - step)

        def soft():
            shares = filling.shares()
            return _ratio(shares, shares + step * (1.0 - shares))

        def hard():
            shares = _whole(filling, step)
            return _ratio(shares, shares + step * (1.0 - shares))

        if is_static(step_size):
            return hard() if np.any(self.strength * np.asarray(step_size) >= 1) else soft()
        return ops.cond(ops.any(step >= 1), hard, soft)


def _ratio(shares, total):
    """Returns shares / total, and 1 where both are 0: a step of 0 changes nothing."""
    empty = ops.equal(total, 0)
    return ops.where(empty, ops.ones_like(total), shares / ops.where(empty, 1.0, total))


def _whole(filling: Filling, step):
    """Returns the shares with each partly taken group of step 1 taken whole, in order, or not."""
    shares = filling.shares()
    partly = (step >= 1) & (shares > 0) & (shares < 1)
    # As a rule there is none, and a running sum is dearer than the rest of the prox.
    return ops.cond(ops.any(partly), lambda: _in_order(filling, shares, partly), lambda: shares)


def _in_order(filling: Filling, shares, partly):
    """Returns the shares with the groups of ``partly`` taken while they fit whole, in order."""
    ramps = filling.ramps
    cost = ops.ones_like(shares) if ramps.weights is None else ramps.weights
    zeros = ops.zeros_like(shares)
    left = filling.budget - ops.sum(ops.where(partly, zeros, cost * shares), axis=-1, keepdims=True)
    taken = ops.cumsum(ops.where(partly, cost, zeros), axis=-1)
    slack = float(np.finfo(np.dtype(ops.dtype(shares))).eps) * filling.budget
    fits = ops.cast(taken <= left + slack, ops.dtype(shares))
    return ops.where(partly, fits, shares)
