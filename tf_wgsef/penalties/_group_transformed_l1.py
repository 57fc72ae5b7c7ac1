"""Group transformed ℓ1: between the number of groups and the sum of their norms."""

import keras
from keras import ops

from tf_wgsef.penalties._checks import check_above
from tf_wgsef.penalties._separable_penalty import SeparablePenalty


@keras.saving.register_keras_serializable(package="tf_wgsef")
class GroupTransformedL1(SeparablePenalty):
    """Ω(x) = Σ_g √d_g ρ_a(‖x_g‖₂) with ρ_a(n) = (a + 1) n / (a + n), the transformed ℓ1 of the group norms.

    It has no budget: the strength decides how much goes. As a → 0 it is group ℓ0, as a → ∞ group lasso.

    ρ_a and its closed prox are those of Zhang & Xin (2017), Commun. Math. Sci. 15, pp. 511-537, and (2018),
    Math. Program. 169, of norms in place of single entries. With t = strength · step_size · √d_g the group
    becomes 0 if n_g <= T, and otherwise ::

        x_g = max(0, n_g - (4/3)(a + n_g) sin²(φ/6)),   sin²(φ/2) = 27 t a (a + 1) / (4 (a + n_g)³)
        T = √(2 t (a + 1)) - a/2

    which is the papers' ⅔ (a + n) cos(φ/3) - ⅔ a + n/3 without the cancellation at large a. Where t <=
    a²/(2 (a + 1)) x_g grows from 0 on, at the papers' other threshold, t (a + 1)/a; above, it jumps at T.

    Args:
        strength: λ >= 0.
        a: a > 0, in units of a norm: half of (a + 1), the most that a group costs, is reached at n = a.
        scale_by_size: multiply each ρ_a by √weight; otherwise weights only free the groups of weight 0.

    Raises:
        InputError: if the strength is negative or not finite, or a is not finite and above 0.

    Example:
        >>> factors = GroupTransformedL1(strength=0.5).factors(ops.array([3.0, 1.0, 0.5]), step_size=1.0)
        >>> [round(f, 4) for f in ops.convert_to_numpy(factors).tolist()]
        [0.9785, 0.618, 0.0]
    """

    def __init__(self, *, strength: float = 1.0, a: float = 1.0, scale_by_size: bool = True):
        super().__init__(strength=strength, scale_by_size=scale_by_size)
        self.a = check_above("a", a, 0.0)

    def get_config(self) -> dict:
        """Returns the arguments that build an equal penalty."""
        return {**super().get_config(), "a": self.a}

    def _cost(self, norms, scales):
        return scales * ((self.a + 1.0) * (norms / (self.a + norms)))

    def _shrink(self, norms, step, scales):
        a, threshold = self.a, step * scales
        stays = norms > ops.sqrt(2.0 * (a + 1.0) * threshold) - a / 2.0
        total = a + norms
        # Factor by factor: the cube of a large norm would overflow.
        taken = _root((threshold / total) * (a / total) * ((a + 1.0) / total))
        factors = ops.clip(1.0 - taken * total / norms, 0.0, 1.0)
        return ops.where(stays, factors, ops.zeros_like(norms))

    def _slope(self, norms, scales):
        return scales * ((self.a / (self.a + norms)) * ((self.a + 1.0) / (self.a + norms)))


def _root(q):
    """Returns the root w of w (1 - w)² = q in [0, 1/3], and 1/3 where q is above 4/27 and there is none."""
    third = ops.arcsin(ops.sqrt(ops.clip(6.75 * q, 0.0, 1.0))) / 3.0
    w = (4.0 / 3.0) * ops.cast(ops.square(ops.sin(third)), ops.dtype(q))
    # On JAX the sines of Keras are float32 for float64 too: one Newton step, but not at the double root.
    steep = 1.0 - 3.0 * w > 1e-3
    slope = ops.where(steep, (1.0 - w) * (1.0 - 3.0 * w), ops.ones_like(w))
    return ops.where(steep, w - (w * ops.square(1.0 - w) - q) / slope, w)
