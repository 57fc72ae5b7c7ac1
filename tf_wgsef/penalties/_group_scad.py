"""Group SCAD: group lasso for small norms, then less and less, then a constant."""

import keras
from keras import ops

from tf_wgsef.penalties._checks import check_above
from tf_wgsef.penalties._separable_penalty import SeparablePenalty


@keras.saving.register_keras_serializable(package="tf_wgsef")
class GroupSCAD(SeparablePenalty):
    """The smoothly clipped absolute deviation of the group norms.

    With c = √d_g ::

        Ω(x) = Σ_g ω(‖x_g‖₂),   ω'(n) = c                          for n <= c
                                      = max(0, a c - n) / (a - 1)   above

    It has no budget: the strength decides how much goes. Groups with a norm above a c are not shrunk.

    ω is the SCAD penalty of Fan & Li (2001), J. Am. Stat. Assoc. 96, on norms as in Wang, Chen & Li (2007),
    Bioinformatics 23, with λ = c: here the strength multiplies the whole. With s = strength · step_size ::

        s < a - 1:   f_g = clip(max(1 - r, (a - 1 - a r) / (a - 1 - s)), 0, 1),    r = s c/n_g
        s >= a - 1:  f_g = 1 if n_g > T, else max(0, 1 - r),
                     T = c (s + a + 1)/2 if s < a + 1, else c √(s (a + 1))

    The first is the threshold of Fan & Li for s = 1. The second, where the objective is concave from c to a c
    and the better of two minima is taken, is ours. Tests compare it with the minimum over a fine grid.

    Args:
        strength: λ >= 0.
        a: a > 2, in units of c: ω is flat from a c on; 3.7 is that of Fan & Li.
        scale_by_size: c = √weight; otherwise c = 1, and weights only free the groups of weight 0.

    Raises:
        InputError: if the strength is negative or not finite, or a is not finite and above 2.

    Example:
        >>> factors = GroupSCAD(a=3.0).factors(ops.array([4.0, 2.5, 1.5, 0.5]), step_size=1.0)
        >>> [round(f, 4) for f in ops.convert_to_numpy(factors).tolist()]
        [1.0, 0.8, 0.3333, 0.0]
    """

    def __init__(self, *, strength: float = 1.0, a: float = 3.7, scale_by_size: bool = True):
        super().__init__(strength=strength, scale_by_size=scale_by_size)
        self.a = check_above("a", a, 2.0)

    def get_config(self) -> dict:
        """Returns the arguments that build an equal penalty."""
        return {**super().get_config(), "a": self.a}

    def _cost(self, norms, scales):
        # From c to a c the slope falls evenly from c to 0.
        beyond = ops.minimum(ops.relu(norms - scales), (self.a - 1.0) * scales)
        return scales * ops.minimum(norms, scales) + beyond * (scales - beyond / (2.0 * (self.a - 1.0)))

    def _shrink(self, norms, step, scales):
        a = self.a
        ratio = step * scales / norms
        soft = ops.relu(1.0 - ratio)
        convex = step < a - 1.0
        room = ops.where(convex, (a - 1.0) - step, ops.ones_like(step))
        smooth = ops.clip(ops.maximum(soft, ((a - 1.0) - a * ratio) / room), 0.0, 1.0)
        reach = ops.where(step < a + 1.0, (step + a + 1.0) / 2.0, ops.sqrt(step * (a + 1.0)))
        jump = ops.where(norms > scales * reach, ops.ones_like(norms), soft)
        return ops.where(convex, smooth, jump)

    def _slope(self, norms, scales):
        return ops.minimum(ops.relu((self.a * scales - norms) / (self.a - 1.0)), scales)
