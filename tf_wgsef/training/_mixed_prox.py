"""The prox of ProxSGD: of a whole step of the optimizer, mixed into the weights by the learning rate."""

import keras
from keras import ops

from tf_wgsef.errors import InputError
from tf_wgsef.groups import group_norms
from tf_wgsef.penalties import WGSEF, GroupPenalty
from tf_wgsef.training._update_rules import Change, Move, UpdateRule, count_alive


@keras.saving.register_keras_serializable("tf_wgsef")
class MixedProx(UpdateRule):
    """The update of ProxSGD (Yang et al. 2020, ICLR, openreview HygpthEtvr): x ← x + ε (x̂ - x).

    With t = x - ε v/τ after the optimizer's update (``ProxSGD``, or Adam and its kin), ε its rate, ::

        z = x + (t - x)/ε = x - v/τ,       x̂_g = prox of μ Ω in the metric D_g at z,      x ← x + ε (x̂ - x)

    which for each group is f t + (1 - ε)(1 - f) x, with f its factor in the prox. It needs a penalty with a
    strength μ, and ``metric="group"``. The paper takes single weights, where τ is the metric; that D_g is the
    mean of τ in the group, so that the prox of a group keeps its closed form, is ours.

    A mix never reaches zero. With the last step of the ramp the groups whose x̂ is zero become zero; the
    others keep the mix: x̂ is a whole step away, v/τ, which in theory has become small by then, and in a
    short training has not. That is ours too; the authors' code leaves the mix as it is.

    Raises:
        InputError: by the model, for another metric or the WGSEF without its ridge.

    Example:
        >>> import keras, tf_wgsef
        >>> from tf_wgsef.training import ProxSGD
        >>> hidden = keras.layers.Dense(8, activation="relu", name="hidden")
        >>> model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(1)])
        >>> lasso = tf_wgsef.GroupLasso(strength=1e-3)
        >>> sparse = tf_wgsef.sparsify(model, k=2, penalty=lasso, update="mixed", metric="group")
        >>> sparse.compile(ProxSGD(), "mse")
    """

    needs_previous = True
    needs_learning_rate = True
    needs_metric = True

    def check(self, penalty: GroupPenalty) -> None:
        """See ``UpdateRule.check``."""
        if isinstance(penalty, WGSEF) and penalty.debias:
            raise InputError(
                f"Expected a penalty with a strength for update='mixed'. Received: penalty={penalty!r}. Pass "
                f"GroupLasso(strength=1e-3), say, or leave `update` out."
            )

    def move(self, step, move: Move) -> Change:
        """See ``UpdateRule.move``."""
        members, count = step.groups.members, step.groups.num_groups
        rate = ops.maximum(ops.cast(move.learning_rate, "float32"), 1e-12)
        whole = [
            ops.add(old, ops.divide(ops.subtract(new, old), ops.cast(rate, new.dtype)))
            for new, old in zip(move.values, move.previous, strict=True)
        ]
        factors = step.prox(group_norms(members, whole, count), 1.0)
        share = ops.cast(1.0 - rate, factors.dtype)
        gone = ops.logical_and(factors <= 0, move.next_progress >= 1.0)
        past = ops.where(gone, ops.zeros_like(factors), share * (factors - 1.0))
        norms = group_norms(members, move.values, count)
        stays = ops.where(gone, ops.zeros_like(factors), ops.ones_like(factors))
        return Change(factors, past, count_alive(stays, norms), move.state)
