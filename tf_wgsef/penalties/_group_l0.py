"""Group ℓ0: the number of groups that are not zero."""

import keras
from keras import ops

from tf_wgsef.penalties._separable_penalty import SeparablePenalty


@keras.saving.register_keras_serializable(package="tf_wgsef")
class GroupL0(SeparablePenalty):
    """Ω(x) = Σ_g d_g · 1[x_g ≠ 0], the weight of the groups that are not zero.

    It has no budget: the strength decides how much goes, where WGSEF's budget does.

    Its prox is hard thresholding (Blumensath & Davies 2008, J. Fourier Anal. Appl. 14, for single weights):
    with s = strength · step_size a group stays as it is if n_g > √(2 s d_g), and becomes 0 otherwise. At the
    threshold both cost the same, and 0 is returned.

    Ω is flat wherever it is smooth, so there is nothing for half-space steps to go along: it has no
    ``gradient_factors``.

    Args:
        strength: λ >= 0.
        scale_by_size: count each group by its weight; otherwise weights only free the groups of weight 0.

    Raises:
        InputError: if the strength is negative or not finite.

    Example:
        >>> factors = GroupL0(strength=0.5).factors(ops.array([2.0, 1.1, 0.9, 0.0]), step_size=1.0)
        >>> ops.convert_to_numpy(factors).tolist()
        [1.0, 1.0, 0.0, 0.0]
    """

    def _cost(self, norms, scales):
        return ops.square(scales) * ops.cast(norms > 0, ops.dtype(norms))

    def _shrink(self, norms, step, scales):
        return ops.cast(norms > scales * ops.sqrt(2.0 * step), ops.dtype(norms))
