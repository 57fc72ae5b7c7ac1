"""Penalties that are a sum of one function of each group norm: what they share."""

import abc

from keras import ops

from tf_wgsef.penalties._checks import check_shapes, check_step
from tf_wgsef.penalties._group_penalty import GroupPenalty
from tf_wgsef.penalties._numerics import accumulate


class SeparablePenalty(GroupPenalty):
    """Ω(x) = Σ_g ω(n_g; c_g), with c_g = √d_g: each group is solved by itself.

    A penalty says what ω is, its slope, and the factor of a norm above 0; this class sees to weights, norms
    of 0, norms that are not finite, and half precision.

    Args:
        strength: λ >= 0.
        scale_by_size: c_g = √weight; otherwise c_g = 1, and weights only free the groups of weight 0.

    Raises:
        InputError: if the strength is negative or not finite.
    """

    def __init__(self, *, strength: float = 1.0, scale_by_size: bool = True):
        super().__init__(strength=strength)
        self.scale_by_size = bool(scale_by_size)

    @abc.abstractmethod
    def _cost(self, norms, scales):
        """Returns ω(n; c) for n >= 0, elementwise."""

    @abc.abstractmethod
    def _shrink(self, norms, step, scales):
        """Returns f in [0, 1] for which x = f n minimises step · ω(x; c) + ½(x - n)², elementwise, n > 0."""

    def _slope(self, norms, scales):
        """Returns the derivative of ω(n; c) in n, elementwise, n > 0; raises InputError unless written."""
        return super().gradient_factors(norms)

    def value(self, norms, weights=None):
        """Returns Σ_g ω(n_g; √d_g) per row; see ``GroupPenalty.value``."""
        norms = ops.convert_to_tensor(norms)
        check_shapes(norms, weights)
        norms = accumulate(norms)
        costs = self._cost(norms, self._scales(norms, weights))
        # One that is flat far out would hide a norm that is infinite.
        return ops.sum(ops.where(ops.isfinite(norms), costs, norms), axis=-1)

    def factors(self, norms, step_size, weights=None):
        """Returns the multiplier of each group, 0 for a norm of 0; see ``GroupPenalty.factors``."""
        norms = ops.convert_to_tensor(norms)
        check_shapes(norms, weights)
        check_step(step_size, strength=self.strength)
        exact = ops.stop_gradient(accumulate(norms))
        step = ops.stop_gradient(self.strength * accumulate(step_size, ops.dtype(exact)))
        scales = ops.stop_gradient(self._scales(exact, weights))
        some = exact > 0
        shrunk = self._shrink(ops.where(some, exact, ops.ones_like(exact)), step, scales)
        at_zero = ops.cast(step * scales <= 0, ops.dtype(exact))
        factors = ops.where(some, shrunk, at_zero * ops.ones_like(exact))
        factors = ops.where(ops.isfinite(exact), factors, float("nan"))
        return ops.cast(ops.stop_gradient(factors), ops.dtype(norms))

    def gradient_factors(self, norms, weights=None):
        """Returns ω'(n_g)/n_g, 0 for a norm of 0; see ``GroupPenalty.gradient_factors``."""
        norms = ops.convert_to_tensor(norms)
        check_shapes(norms, weights)
        exact = ops.stop_gradient(accumulate(norms))
        some = exact > 0
        safe = ops.where(some, exact, ops.ones_like(exact))
        slopes = self._slope(safe, self._scales(exact, weights))
        factors = ops.where(some, slopes / safe, ops.zeros_like(exact))
        factors = ops.where(ops.isnan(exact), exact, factors)
        return ops.cast(ops.stop_gradient(factors), ops.dtype(norms))

    def get_config(self) -> dict:
        """Returns the arguments that build an equal penalty."""
        return {**super().get_config(), "scale_by_size": self.scale_by_size}

    def _scales(self, norms, weights):
        return group_scales(norms, weights, by_size=self.scale_by_size)


def group_scales(norms, weights, *, by_size: bool):
    """Returns c_g, what the norm of a group is multiplied by, of the dtype of ``norms``.

    Args:
        norms: tensor of shape ``(..., num_groups)``.
        weights: ``None`` for ones, or d_g >= 0 of shape ``(num_groups,)`` or that of ``norms``.
        by_size: √d_g; otherwise 1, and 0 for a weight of 0.
    """
    if weights is None:
        return ops.ones_like(norms)
    weights = accumulate(weights, ops.dtype(norms))
    return ops.sqrt(weights) if by_size else ops.cast(weights > 0, ops.dtype(norms))
