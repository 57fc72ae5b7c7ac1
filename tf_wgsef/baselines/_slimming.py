"""Network slimming: ℓ1 on batch norm's gamma, then a cut by gamma over the whole model."""

import math

import keras
import numpy as np
from keras import ops

from tf_wgsef.errors import InputError
from tf_wgsef.graph import check_keras_model
from tf_wgsef.groups import GroupSet
from tf_wgsef.validation import check_non_negative, check_share


@keras.saving.register_keras_serializable("tf_wgsef")
class GammaL1(keras.regularizers.Regularizer):
    """strength · Σ |gamma|, on top of the regularizer that was there before.

    Args:
        strength: λ.
        before: the gamma's own regularizer, or None.

    Raises:
        InputError: for a strength below 0.

    Example:
        >>> import keras
        >>> from tf_wgsef.baselines import GammaL1
        >>> float(GammaL1(0.5)(keras.ops.array([1.0, -3.0])))
        2.0
    """

    def __init__(self, strength: float, before=None):
        self.strength = check_non_negative("strength", strength)
        self.before = keras.regularizers.get(before)

    def __call__(self, gamma):
        """Returns the penalty, a scalar."""
        value = self.strength * ops.sum(ops.abs(gamma))
        return value if self.before is None else value + self.before(gamma)

    def get_config(self):
        """Returns the arguments."""
        return {"strength": self.strength, "before": keras.regularizers.serialize(self.before)}


def slimming(model, strength: float):
    """Puts ℓ1 on the gamma of each batch norm of ``model``: loss + strength · Σ |gamma|.

    Network slimming (Liu et al. 2017, arXiv:1708.06519, equation 1 with g(γ) = |γ|): train so, remove the
    channels with the smallest gammas of the whole model (``select_by_gamma``), and train what is left. A
    second call sets another strength. ``remove_slimming`` takes it off again.

    The ordinary gradient of |γ| makes gammas small, never exactly zero: ``tf_wgsef.strip`` finds nothing
    before the cut. Unverified: that the paper starts gammas at 0.5; pass
    ``BatchNormalization(gamma_initializer=keras.initializers.Constant(0.5))`` to do so.

    Args:
        model: a built Sequential or functional ``keras.Model``, or a wrapper with one in ``.model``; its
            layers, those of nested models too, are changed in place. Compile it after this.
        strength: λ.

    Returns:
        ``model``.

    Raises:
        InputError: for a strength below 0, or if no batch norm has a gamma.

    Example:
        >>> import keras
        >>> from tf_wgsef.baselines import slimming
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()])
        >>> [round(float(loss), 6) for loss in slimming(model, 0.1).losses]
        [0.3]
    """
    strength = check_non_negative("strength", strength)
    for layer in _with_gamma(model):
        own = layer.gamma_regularizer
        _regularize(layer, GammaL1(strength, own.before if isinstance(own, GammaL1) else own))
    return model


def remove_slimming(model):
    """Takes off what ``slimming`` put on; other regularizers of gamma come back.

    Args:
        model: the model. Compile it after this.

    Returns:
        ``model``.

    Raises:
        InputError: if no batch norm has a gamma.

    Example:
        >>> import keras
        >>> from tf_wgsef.baselines import remove_slimming, slimming
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()])
        >>> remove_slimming(slimming(model, 0.1)).losses
        []
    """
    for layer in _with_gamma(model):
        if isinstance(layer.gamma_regularizer, GammaL1):
            _regularize(layer, layer.gamma_regularizer.before)
    return model


def select_by_gamma(groups: GroupSet, model, sparsity: float) -> np.ndarray:
    """Chooses the groups with the smallest |gamma| of the whole model, for ``groups.scale(model, factors)``.

    One threshold for all layers, as in network slimming (Liu et al. 2017). Not of the paper: the best group
    of each layer stays, so that no layer dies; a group with several gammas (channels tied by ``Add``, or a
    depthwise convolution with a batch norm of its own) counts by the largest. Groups without a gamma stay,
    and do not count.

    Args:
        groups: filters of the model, of ``tf_wgsef.build_groups(model)``.
        model: the model.
        sparsity: share of the groups with a gamma to remove, in [0, 1).

    Returns:
        0 for each group that goes, 1 for the others, array of shape (num_groups,).

    Raises:
        InputError: if no group has a gamma, or every layer cannot keep one at this sparsity.

    Example:
        >>> import keras, tf_wgsef
        >>> from tf_wgsef.baselines import select_by_gamma
        >>> norm = keras.layers.BatchNormalization()
        >>> layers = [keras.Input((2,)), keras.layers.Dense(4), norm, keras.layers.Dense(1)]
        >>> model = keras.Sequential(layers)
        >>> norm.gamma.assign([0.1, -3.0, 0.2, 0.0])  # doctest: +ELLIPSIS
        <...>
        >>> select_by_gamma(tf_wgsef.build_groups(model), model, 0.5).tolist()
        [0.0, 1.0, 1.0, 0.0]
    """
    share = check_share("sparsity", sparsity)
    sizes = largest_gammas(groups, model)
    known = np.flatnonzero(sizes >= 0)
    order = known[np.argsort(sizes[known], kind="stable")]
    last = {layer: group for layer, group in zip(groups.layer_of[order].tolist(), order, strict=True)}
    number = math.ceil(len(known) * share - 1e-9)
    if not len(known) or number > len(known) - len(last):
        raise InputError(
            f"Expected groups with a gamma, of which each of the {len(last)} layers keeps one. Received: "
            f"{len(known)} of them, of which sparsity={sparsity!r} removes {number}. Lower it, or build "
            f"groups of filters that batch normalization follows."
        )
    factors = np.ones(groups.num_groups)
    factors[order[~np.isin(order, list(last.values()))][:number]] = 0.0
    return factors


def largest_gammas(groups: GroupSet, model) -> np.ndarray:
    """Returns the largest |gamma| of each group, −1 where there is none, shape (num_groups,).

    Args:
        groups: of the model.
        model: the model.

    Raises:
        InputError: if no batch norm has a gamma.
    """
    gammas = {id(layer.gamma) for layer in _with_gamma(model)}
    sizes = np.full(groups.num_groups, -1.0)
    for member, variable in zip(groups.members, groups.variables(model), strict=True):
        if id(variable) in gammas:
            grouped = member.ids >= 0
            values = np.abs(ops.convert_to_numpy(variable))
            np.maximum.at(sizes, member.ids[grouped], values[grouped])
    return sizes


def _with_gamma(model) -> list:
    found = [layer for layer in _batch_norms(check_keras_model(model)) if layer.scale]
    if not found:
        raise InputError(
            f"Expected a model with BatchNormalization layers that have a gamma. Received: model="
            f"{model.name!r} without one. Add them behind the convolutions, with scale=True."
        )
    return found


def _batch_norms(model):
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _batch_norms(layer)
        elif isinstance(layer, keras.layers.BatchNormalization):
            yield layer


def _regularize(layer, regularizer) -> None:
    # The layer's is what is saved, the variable's is what counts in the loss.
    layer.gamma_regularizer = layer.gamma.regularizer = regularizer
