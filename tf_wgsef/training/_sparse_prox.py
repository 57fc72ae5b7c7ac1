"""Sparse groups: a prox of single weights, then the penalty's prox of the groups."""

import keras
import numpy as np
from keras import ops

from tf_wgsef.errors import InputError
from tf_wgsef.groups import group_norms
from tf_wgsef.penalties import GroupL0, GroupLasso, GroupTransformedL1
from tf_wgsef.training._update_rules import Change, Move, UpdateRule, count_alive
from tf_wgsef.validation import check_non_negative

# The prox of single weights is that of groups of one.
_KINDS = {"l1": GroupLasso, "l0": GroupL0, "transformed_l1": GroupTransformedL1}


@keras.saving.register_keras_serializable("tf_wgsef")
class SparseProx(UpdateRule):
    """The prox of λΩ + μ Σ_i ρ(x_i): zero groups, and zero weights inside the groups that stay.

    With t after the optimizer's update, in the groups that have a level, ::

        z = prox of rate · μ ρ at t, weight by weight,      x_g = f_g z_g, f the penalty's factors at ‖z_g‖

    With ``kind="l1"``, ρ = |·|, the first is soft thresholding, z = sign(t) max(0, |t| - rate · μ), and x is
    exactly the prox of both penalties together, for every Ω that falls in no norm: of all x_g of one length
    the multiple of z_g costs least, and up to a constant it costs what Ω makes of ‖z_g‖ (derived here). With
    ``GroupLasso`` it is the sparse group lasso of Simon, Friedman, Hastie & Tibshirani (2013), J. Comput.
    Graph. Stat. 22, pp. 231-245.

    The other kinds, of Bui et al. (2021), arXiv:1912.07868, are the two proxes one after the other, which is
    not the prox of their sum: ``"l0"``, ρ = 1[x ≠ 0], zeroes what is at most √(2 rate · μ); and
    ``"transformed_l1"``, ρ = 2|x|/(1 + |x|), is ``GroupTransformedL1`` with a = 1 on single weights. The
    paper's algorithm is another one, variable splitting: a dense copy of the weights, tied to a sparse one by
    a quadratic term that grows. It is not here; what the paper reports is unverified for this form.

    The step of the weights is the learning rate for every penalty, also for the WGSEF without ridge, whose
    own step runs from 0 to 1. All variables of a group are thresholded, biases and betas too. Once the
    survivors are chosen, what zeroes weights inside them ends as the penalty does: they may leave zero again.
    A μ that zeroes whole groups that the level keeps leaves fewer than it asks.

    Args:
        elementwise: μ >= 0; 0 is the plain prox.
        kind: ``"l1"``, ``"l0"`` or ``"transformed_l1"``.

    Raises:
        InputError: if μ is negative or not finite, or the kind is unknown. A model raises it for
            ``metric="group"``, in which the step of each weight would be another.

    Example:
        >>> import keras, tf_wgsef
        >>> hidden = keras.layers.Dense(8, activation="relu", name="hidden")
        >>> model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(1)])
        >>> tf_wgsef.sparsify(model, sparsity=0.75, update=tf_wgsef.SparseProx(elementwise=1e-3)).update
        SparseProx(elementwise=0.001, kind='l1')
    """

    needs_learning_rate = True
    any_metric = False

    def __init__(self, *, elementwise: float = 1e-4, kind: str = "l1"):
        self.elementwise = check_non_negative("elementwise", elementwise)
        if not isinstance(kind, str) or kind not in _KINDS:
            raise InputError(f"Expected `kind` to be one of {sorted(_KINDS)}. Received: kind={kind!r}.")
        self.kind = kind

    def move(self, step, move: Move) -> Change:
        """See ``UpdateRule.move``."""
        members, count = step.groups.members, step.groups.num_groups
        penalty = _KINDS[self.kind](strength=self.elementwise)
        values = [
            _shrunk(penalty, value, move.learning_rate, _pooled(member, step.pooled))
            for member, value in zip(members, move.values, strict=True)
        ]
        norms = group_norms(members, values, count)
        factors = step.prox(norms, move.step_size)
        past = () if move.previous is None else ops.zeros_like(factors)
        return Change(factors, past, count_alive(factors, norms), move.state, values)

    def get_config(self) -> dict:
        """Returns the arguments that build an equal rule."""
        return {"elementwise": self.elementwise, "kind": self.kind}


def _shrunk(penalty, value, rate, pooled: np.ndarray):
    """The penalty's prox of each entry that is ``pooled``, of the dtype of ``value``."""
    if not pooled.any():
        return value
    shrunk = ops.multiply(value, penalty.factors(ops.abs(value), ops.cast(rate, "float32")))
    # Nothing is chosen where all are in a pool: that would hold 25 million single weights twice.
    return shrunk if pooled.all() else ops.where(pooled, shrunk, value)


def _pooled(member, pooled: np.ndarray) -> np.ndarray:
    """Whether each entry is in a group of a pool, in a shape that broadcasts against the variable."""
    inside = np.where(member.ids < 0, False, pooled[member.ids])
    shape = [1] * member.rank
    for axis, size in zip(member.axes, member.ids.shape, strict=True):
        shape[axis] = size
    return inside.reshape(shape)
