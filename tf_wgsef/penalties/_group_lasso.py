"""Group lasso: the sum of the group norms."""

import keras
from keras import ops

from tf_wgsef.penalties._checks import check_shapes, check_step
from tf_wgsef.penalties._group_penalty import GroupPenalty
from tf_wgsef.penalties._numerics import accumulate


@keras.saving.register_keras_serializable(package="tf_wgsef")
class GroupLasso(GroupPenalty):
    """Ω(x) = Σ_g √d_g ‖x_g‖₂, the group lasso.

    It has no budget: the strength decides how much goes.

    With d_g the size of the group this is Yuan & Lin (2006), J. R. Stat. Soc. B 68, eq. (2.1) with
    K_j = p_j I; with ``scale_by_size=False`` every group counts alike, Ω = Σ_g ‖x_g‖₂, as in
    structured sparsity learning (Wen et al. 2016, arXiv:1608.03665). Its prox is block soft
    thresholding, f_g = max(0, 1 - s √d_g / n_g) with s = strength · step_size: every group that
    stays is shrunk as well.

    Args:
        strength: λ >= 0.
        scale_by_size: multiply each norm by √weight; otherwise weights only free the groups of
            weight 0.

    Raises:
        InputError: if the strength is negative or not finite.

    Example:
        >>> factors = GroupLasso(strength=0.5).factors(ops.array([2.0, 0.4, 0.0]), step_size=1.0)
        >>> ops.convert_to_numpy(factors).tolist()
        [0.75, 0.0, 0.0]
    """

    def __init__(self, *, strength: float = 1.0, scale_by_size: bool = True):
        super().__init__(strength=strength)
        self.scale_by_size = bool(scale_by_size)

    def value(self, norms, weights=None):
        """Returns Σ_g √d_g n_g per row; see ``GroupPenalty.value``."""
        norms = ops.convert_to_tensor(norms)
        check_shapes(norms, weights)
        norms = accumulate(norms)
        return ops.sum(norms * self._scales(norms, weights), axis=-1)

    def factors(self, norms, step_size, weights=None):
        """Returns max(0, 1 - s √d_g / n_g), 0 for a norm of 0; see ``GroupPenalty.factors``."""
        norms = ops.convert_to_tensor(norms)
        check_shapes(norms, weights)
        check_step(step_size, strength=self.strength)
        exact = ops.stop_gradient(accumulate(norms))
        step = self.strength * accumulate(step_size, ops.dtype(exact))
        threshold = step * self._scales(exact, weights)
        some = exact > 0
        shrunk = ops.maximum(0.0, 1.0 - threshold / ops.where(some, exact, ops.ones_like(exact)))
        at_zero = ops.cast(threshold <= 0, ops.dtype(exact))
        factors = ops.where(some, shrunk, at_zero * ops.ones_like(exact))
        factors = ops.where(ops.isfinite(exact), factors, float("nan"))
        return ops.cast(ops.stop_gradient(factors), ops.dtype(norms))

    def gradient_factors(self, norms, weights=None):
        """Returns √d_g / n_g, 0 for a norm of 0; see ``GroupPenalty.gradient_factors``."""
        norms = ops.convert_to_tensor(norms)
        check_shapes(norms, weights)
        exact = ops.stop_gradient(accumulate(norms))
        zero = ops.equal(exact, 0)
        scales = self._scales(exact, weights)
        factors = ops.where(zero, ops.zeros_like(exact), scales / ops.where(zero, 1.0, exact))
        return ops.cast(ops.stop_gradient(factors), ops.dtype(norms))

    def get_config(self) -> dict:
        """Returns the arguments that build an equal penalty."""
        return {**super().get_config(), "scale_by_size": self.scale_by_size}

    def _scales(self, norms, weights):
        if weights is None:
            return ops.ones_like(norms)
        weights = accumulate(weights, ops.dtype(norms))
        return ops.sqrt(weights) if self.scale_by_size else ops.cast(weights > 0, ops.dtype(norms))
