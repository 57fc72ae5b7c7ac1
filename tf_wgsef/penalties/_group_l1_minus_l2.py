"""Group ℓ1 - αℓ2: the sum of the group norms, less the norm of all together."""

import numbers

import keras
from keras import ops

from tf_wgsef.errors import InputError
from tf_wgsef.penalties._checks import check_shapes, check_step
from tf_wgsef.penalties._group_penalty import GroupPenalty
from tf_wgsef.penalties._numerics import accumulate, safe_norm
from tf_wgsef.penalties._separable_penalty import group_scales


@keras.saving.register_keras_serializable(package="tf_wgsef")
class GroupL1MinusL2(GroupPenalty):
    """Ω(x) = Σ_g c_g n_g - α c √(Σ_g n_g²), with c_g = √d_g and c the smallest c_g above 0 of the row.

    It has no budget: the strength decides how much goes. With α = 1 it is 0 where a single group is not 0.
    Both sums are over the groups of weights above 0.

    For c_g = 1 it is ℓ1 - αℓ2 (Lou & Yan 2018, J. Sci. Comput. 74, arXiv:1609.09530) of the vector of norms,
    in place of single entries. They have no weights: c, which keeps Ω >= 0 and every factor in [0, 1], is
    ours. The prox is theirs, and couples the groups of a row: with s = strength · step_size and
    z_g = n_g - s c_g ::

        some z_g > 0:  x_g = max(0, z_g) (1 + α s c / ‖max(0, z)‖₂)
        none:          the group with the largest z_g, the first of equal ones, becomes
                       max(0, z_g + α s c), the others 0

    Since the factor (1 + …) is one number per row only if all groups take the same step, one step per group
    is refused: ``metric="group"`` and several optimizers are not for this penalty.

    Args:
        strength: λ >= 0.
        alpha: α in [0, 1]; 0 is group lasso.
        scale_by_size: c_g = √weight; otherwise c_g = 1, and weights only free the groups of weight 0.

    Raises:
        InputError: if the strength is negative or not finite, or alpha is not in [0, 1].

    Example:
        >>> factors = GroupL1MinusL2().factors(ops.array([5.0, 4.0, 1.0, 0.0]), step_size=1.0)
        >>> [round(f, 4) for f in ops.convert_to_numpy(factors).tolist()]
        [0.96, 0.9, 0.0, 0.0]
    """

    def __init__(self, *, strength: float = 1.0, alpha: float = 1.0, scale_by_size: bool = True):
        super().__init__(strength=strength)
        self.alpha = _check_alpha(alpha)
        self.scale_by_size = bool(scale_by_size)

    def value(self, norms, weights=None):
        """Returns Ω per row; see ``GroupPenalty.value``."""
        norms = ops.convert_to_tensor(norms)
        check_shapes(norms, weights)
        norms = accumulate(norms)
        scales = self._scales(norms, weights)
        length = _length(_penalised(norms, scales))[..., 0]
        return ops.sum(scales * norms, axis=-1) - self.alpha * _smallest(scales)[..., 0] * length

    def factors(self, norms, step_size, weights=None):
        """Returns the multiplier of each group, NaN for a row with a norm that is not finite.

        See the class and ``GroupPenalty.factors``; the step is a number, or one per row, shape (..., 1).
        """
        norms = ops.convert_to_tensor(norms)
        check_shapes(norms, weights)
        check_step(step_size, strength=self.strength)
        exact = ops.stop_gradient(accumulate(norms))
        step = ops.stop_gradient(self.strength * accumulate(step_size, ops.dtype(exact)))
        _check_one_step(step)
        scales = ops.stop_gradient(self._scales(exact, weights))
        factors = _shrink(exact, step, scales, self.alpha)
        factors = ops.where(step * scales <= 0, ops.ones_like(exact), ops.clip(factors, 0.0, 1.0))
        finite = ops.all(ops.isfinite(exact), axis=-1, keepdims=True)
        return ops.cast(ops.where(finite, factors, float("nan")), ops.dtype(norms))

    def gradient_factors(self, norms, weights=None):
        """Returns c_g/n_g - α c/√(Σ n²), 0 for a norm of 0; see ``GroupPenalty.gradient_factors``."""
        norms = ops.convert_to_tensor(norms)
        check_shapes(norms, weights)
        exact = ops.stop_gradient(accumulate(norms))
        scales = self._scales(exact, weights)
        length = _length(_penalised(exact, scales))
        some, less = exact > 0, self.alpha * _smallest(scales) / ops.where(length > 0, length, 1.0)
        slopes = scales / ops.where(some, exact, ops.ones_like(exact)) - less
        factors = ops.where(some & (scales > 0), slopes, ops.zeros_like(exact))
        # A row with a NaN has a NaN length.
        factors = ops.where(ops.isnan(length), length, factors)
        return ops.cast(ops.stop_gradient(factors), ops.dtype(norms))

    def get_config(self) -> dict:
        """Returns the arguments that build an equal penalty."""
        return {**super().get_config(), "alpha": self.alpha, "scale_by_size": self.scale_by_size}

    def _scales(self, norms, weights):
        scales = group_scales(norms, weights, by_size=self.scale_by_size)
        return ops.broadcast_to(scales, ops.shape(norms))


def _shrink(norms, step, scales, alpha: float):
    """Returns x_g / n_g of the class, for the groups of scales above 0."""
    some = scales > 0
    least = _smallest(scales)
    inside = ops.relu(_penalised(norms - step * scales, scales))
    length = _length(inside)
    several = length > 0
    spread = inside + alpha * step * least * (inside / ops.where(several, length, ops.ones_like(length)))
    # z_g + s c, which orders as z_g does: a small norm would be lost beside s c_g.
    left = ops.where(some, norms - step * (scales - least), float("-inf"))
    first = ops.expand_dims(ops.argmax(left, axis=-1), -1)
    best = ops.equal(ops.arange(ops.shape(norms)[-1], dtype=ops.dtype(first)), first)
    single = ops.relu(left - (1.0 - alpha) * step * least)
    kept = ops.where(several, spread, ops.where(best, single, ops.zeros_like(single)))
    return kept / ops.where(norms > 0, norms, ops.ones_like(norms))


def _penalised(norms, scales):
    return ops.where(scales > 0, norms, ops.zeros_like(norms))


def _smallest(scales):
    """Returns the smallest scale above 0 of each row, 0 if there is none, shape (..., 1)."""
    least = ops.min(ops.where(scales > 0, scales, float("inf")), axis=-1, keepdims=True)
    return ops.where(ops.isfinite(least), least, ops.zeros_like(least))


def _length(norms):
    """Returns √(Σ n²) of each row, shape (..., 1), without overflow; its gradient is 0 at 0."""
    largest = ops.stop_gradient(ops.max(norms, axis=-1, keepdims=True))
    unit = ops.where(largest > 0, largest, ops.ones_like(largest))
    return unit * safe_norm(norms / unit, axis=-1, keepdims=True)


def _check_one_step(step) -> None:
    shape = tuple(step.shape)
    if shape and shape[-1] != 1:
        raise InputError(
            f"Expected one step for all groups of a row, which this penalty couples: a number, or shape "
            f"(..., 1). Received: step_size.shape={shape}. Train with one optimizer and "
            f"metric='euclidean', or take another penalty."
        )


def _check_alpha(alpha: float) -> float:
    number = isinstance(alpha, numbers.Real) and not isinstance(alpha, bool)
    if not number or not 0 <= alpha <= 1:
        raise InputError(
            f"Expected `alpha` in [0, 1]: above 1 the penalty would be negative. Received: alpha={alpha!r}. "
            f"Pass 1 for ℓ1 - ℓ2, or 0 for group lasso."
        )
    return float(alpha)
