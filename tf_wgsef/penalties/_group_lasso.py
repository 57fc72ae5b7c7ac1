"""Group lasso: the sum of the group norms."""

import keras
from keras import ops

from tf_wgsef.penalties._separable_penalty import SeparablePenalty


@keras.saving.register_keras_serializable(package="tf_wgsef")
class GroupLasso(SeparablePenalty):
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

    def _cost(self, norms, scales):
        return norms * scales

    def _shrink(self, norms, step, scales):
        return ops.relu(1.0 - step * scales / norms)

    def _slope(self, norms, scales):
        return scales
