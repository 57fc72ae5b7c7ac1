"""Group MCP: group lasso for small norms, a constant for large ones."""

import keras
from keras import ops

from tf_wgsef.penalties._checks import check_above
from tf_wgsef.penalties._separable_penalty import SeparablePenalty


@keras.saving.register_keras_serializable(package="tf_wgsef")
class GroupMCP(SeparablePenalty):
    """The minimax concave penalty of the group norms.

    With c = √d_g ::

        Ω(x) = Σ_g ω(‖x_g‖₂),   ω(n) = ∫₀ⁿ max(0, c - v/γ) dv = c n - n²/(2γ)   for n <= γ c
                                                              = γ c²/2          above

    It has no budget: the strength decides how much goes. Groups with a norm above γ c are not shrunk.

    ω is ρ(n; λ, γ) of Zhang (2010), Ann. Statist. 38, and of group MCP (Huang, Breheny & Ma 2012, Statist.
    Sci. 27), with λ = c: here the strength multiplies the whole. Their ρ(n; λ c, γ) is ``strength=λ,
    gamma=λ γ``. With s = strength · step_size the prox is firm thresholding::

        s < γ:   f_g = clip((1 - s c/n_g) / (1 - s/γ), 0, 1)
        s >= γ:  f_g = 1 if n_g > c √(s γ), else 0

    The second line, where the objective is concave up to γ c and the better of its ends is taken, is ours;
    the papers keep s below γ. Tests compare it with the minimum over a fine grid.

    Args:
        strength: λ >= 0.
        gamma: γ > 0, in units of a norm: ω is flat from γ c on. The smaller, the nearer to ℓ0 it is; a large
            one is group lasso.
        scale_by_size: c = √weight; otherwise c = 1, and weights only free the groups of weight 0.

    Raises:
        InputError: if the strength is negative or not finite, or gamma is not finite and above 0.

    Example:
        >>> factors = GroupMCP(strength=0.5, gamma=2.0).factors(ops.array([2.0, 1.0, 0.5]), step_size=1.0)
        >>> [round(f, 4) for f in ops.convert_to_numpy(factors).tolist()]
        [1.0, 0.6667, 0.0]
    """

    def __init__(self, *, strength: float = 1.0, gamma: float = 3.0, scale_by_size: bool = True):
        super().__init__(strength=strength, scale_by_size=scale_by_size)
        self.gamma = check_above("gamma", gamma, 0.0)

    def get_config(self) -> dict:
        """Returns the arguments that build an equal penalty."""
        return {**super().get_config(), "gamma": self.gamma}

    def _cost(self, norms, scales):
        # Where it is flat, from the knee: the square of a large norm would overflow.
        inner = ops.minimum(norms, self.gamma * scales)
        return inner * (scales - inner / (2.0 * self.gamma))

    def _shrink(self, norms, step, scales):
        gamma = self.gamma
        convex = step < gamma
        # The difference, not 1 - s/γ: it is above 0 whenever s < γ.
        room = ops.where(convex, gamma - step, ops.ones_like(step))
        firm = ops.clip((1.0 - step * scales / norms) * (gamma / room), 0.0, 1.0)
        hard = ops.cast(norms > scales * ops.sqrt(step * gamma), ops.dtype(norms))
        return ops.where(convex, firm, hard)

    def _slope(self, norms, scales):
        return ops.relu(scales - norms / self.gamma)
