"""The contract of a penalty: a function of group norms with a value and a proximal operator."""

import abc

from tf_wgsef.errors import InputError
from tf_wgsef.validation import check_non_negative


class GroupPenalty(abc.ABC):
    """A penalty Ω on the norms n_g = ‖t_g‖₂ of groups of parameters.

    Its proximal operator scales each group by one number, x_g = f_g · t_g (as those of
    this package do), so a penalty needs to know the norms only: no model, no layer, no
    variable::

        argmin_x  strength · step_size · Ω(x) + ½‖x - t‖²      →      x_g = f_g · t_g

    Norms have shape ``(..., num_groups)`` and all work is along the last axis: the layers of a
    model, padded with zeros to the longest of them, are solved in one call as rows. A group of
    weight 0 is free: it costs nothing of the budget and is not penalised, so zero norms with zero
    weights pad a row. float16 and bfloat16 norms are summed in float32.

    To add a penalty, write a file with ``value`` and ``factors`` (and ``gradient_factors``, for half-space
    steps) and add a line to ``tests/penalties/cases.py``: it then inherits the common tests.

    Args:
        strength: λ >= 0, which multiplies the step size.

    Raises:
        InputError: if the strength is negative or not finite.

    Example:
        >>> from tf_wgsef.penalties import WGSEF
        >>> factors = WGSEF(k=2).factors(ops.array([3.0, 2.0, 1.0]), step_size=1.0)
        >>> ops.convert_to_numpy(factors).tolist()
        [1.0, 1.0, 0.0]
    """

    k = None  # the budget, for the penalties that have one

    def __init__(self, *, strength: float = 1.0):
        self._strength = check_non_negative("strength", strength)

    @property
    def strength(self) -> float:
        """λ, which multiplies the step size in ``factors``; ``value`` is without it."""
        return self._strength

    @abc.abstractmethod
    def value(self, norms, weights=None):
        """Returns Ω, without the strength, one number per row.

        Args:
            norms: tensor of shape ``(..., num_groups)``, entries of at least 0.
            weights: ``None`` for ones, or d_g >= 0 of shape ``(num_groups,)`` or that of ``norms``.

        Returns:
            A tensor of shape ``(...,)``, float64 for float64 norms, else float32.

        Raises:
            InputError: if shapes do not fit, or an array of weights is negative or not finite.
        """

    @abc.abstractmethod
    def factors(self, norms, step_size, weights=None):
        """Returns the multiplier of each group in the proximal step, a constant for the gradient.

        Args:
            norms: tensor of shape ``(..., num_groups)``, entries of at least 0.
            step_size: τ >= 0, a number or a tensor that broadcasts to ``norms`` (one step per
                group).
            weights: ``None`` for ones, or d_g >= 0 of shape ``(num_groups,)`` or that of ``norms``.

        Returns:
            f_g in [0, 1], of the shape and dtype of ``norms``; all ones for a step of 0. Norms that
            are NaN or infinite give NaN, for their group or for its whole row.

        Raises:
            InputError: if shapes do not fit, a number is out of range, or an array of weights is
                negative or not finite.
        """

    def gradient_factors(self, norms, weights=None):
        """Returns the multiplier of each group in the gradient: ∂Ω/∂x_g = c_g · x_g, without the strength.

        It is the gradient of ``value`` in the norm, divided by the norm, and 0 for a group of norm 0.
        The half-space update rules step along it; a penalty without it can train with the prox alone.

        Args:
            norms: tensor of shape ``(..., num_groups)``, entries of at least 0.
            weights: ``None`` for ones, or d_g >= 0 of shape ``(num_groups,)`` or that of ``norms``.

        Returns:
            c_g of the shape and dtype of ``norms``, a constant for the gradient. Norms that are NaN give
            NaN, for their group or for its whole row.

        Raises:
            InputError: if the penalty has none, shapes do not fit, or an array of weights is negative or
                not finite.
        """
        raise InputError(
            f"Expected a penalty with a gradient for half-space steps. Received: {type(self).__name__}, "
            f"which has no gradient_factors(). Write it, or train with update='prox'."
        )

    def with_budget(self, k) -> "GroupPenalty":
        """Returns a copy with the budget ``k``; a penalty without a budget returns itself.

        Args:
            k: a number, or one number per row of the norms.
        """
        del k
        return self

    def get_config(self) -> dict:
        """Returns the arguments that build an equal penalty, as plain JSON values."""
        return {"strength": self._strength}

    @classmethod
    def from_config(cls, config: dict) -> "GroupPenalty":
        """Returns the penalty of ``get_config``.

        Args:
            config: the arguments by name.
        """
        return cls(**config)

    def __repr__(self):
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"
