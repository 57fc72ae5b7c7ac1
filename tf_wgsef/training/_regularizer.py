"""WGSEF as a Keras regularizer, carried by the layers themselves."""

import keras
from keras import ops

from tf_wgsef.errors import InputError
from tf_wgsef.graph import build_channel_graph
from tf_wgsef.groups import GroupSet, build_groups
from tf_wgsef.penalties import WGSEF, safe_norm
from tf_wgsef.training._level import Level, count_that_stays, preset_level
from tf_wgsef.validation import check_non_negative, check_positive_int, check_share


@keras.saving.register_keras_serializable("tf_wgsef")
class WGSEFRegularizer(keras.Regularizer):
    """Group sparsity of a kernel's output channels, to a preset level.

    Inside ``ProximalModel`` it says which layers are grouped and how many channels stay; the prox does
    the rest, and ``strength`` plays no part. ``strip`` leaves it out of the smaller model. In a plain
    ``keras.Model`` it is an ordinary penalty, strength · P(w) added to the loss, whose gradient is 0, not
    NaN, at a filter that is all zero.

    Args:
        sparsity: share of the channels to remove, in [0, 1).
        k: number of channels that stay, instead of ``sparsity``.
        groups: kind of the groups; this version knows ``"filter"``.
        strength: λ of the penalty in a plain model.

    Raises:
        InputError: for a level outside its range, or when a kernel has fewer channels than ``k``.

    Example:
        >>> import keras, tf_wgsef
        >>> layer = keras.layers.Dense(8, kernel_regularizer=tf_wgsef.WGSEFRegularizer(sparsity=0.5))
    """

    is_group_penalty = True

    def __init__(
        self,
        sparsity: float | None = None,
        *,
        k: int | None = None,
        groups: str = "filter",
        strength: float = 1e-4,
    ):
        if groups != "filter":
            raise InputError(f"Expected `groups` to be 'filter'. Received: groups={groups!r}.")
        if (sparsity is None) == (k is None):
            raise InputError(
                f"Expected either `sparsity` or `k`. Received: sparsity={sparsity!r}, k={k!r}. "
                f"Pass sparsity=0.5 to remove half."
            )
        # k is checked against a layer's size when there is one. Plain numbers, for the layer's JSON.
        self.sparsity = None if sparsity is None else check_share("sparsity", sparsity)
        self.k = None if k is None else check_positive_int("k", k)
        self.groups = groups
        self.strength = check_non_negative("strength", strength)

    def __call__(self, kernel):
        """Returns strength · P(kernel), a scalar; the groups are ``kernel[..., j]``."""
        stays = count_that_stays(kernel.shape[-1], self.sparsity, self.k, "the kernel")
        columns = ops.reshape(kernel, (-1, kernel.shape[-1]))
        return self.strength * WGSEF(stays).value(safe_norm(columns, axis=0))

    def get_config(self):
        """Returns the arguments."""
        return {
            "sparsity": self.sparsity,
            "k": self.k,
            "groups": self.groups,
            "strength": self.strength,
        }


def level_from_regularizers(model) -> tuple[GroupSet, Level]:
    """Reads groups and level off the layers of ``model`` that carry a ``WGSEFRegularizer``.

    Raises:
        InputError: if no layer carries one, one of those cannot be grouped, or tied ones disagree.
    """
    carriers = _carriers(model)
    if not carriers:
        raise InputError(
            f"Expected groups and a level, or layers with a WGSEFRegularizer. Received: model="
            f"{model.name!r} with neither. Use tf_wgsef.sparsify(model, sparsity=0.75)."
        )
    groups = build_groups(model, only=tuple(carriers))
    tied = {label: label.split("+") for label in groups.layers}
    stuck = [name for name in carriers if not any(name in names for names in tied.values())]
    if stuck:
        raise InputError(
            f"Expected a WGSEFRegularizer on layers whose channels can go only. Received: "
            f"{', '.join(stuck)}, which make the model's output, feed a layer without a rule, or are tied to "
            f"a layer that carries none. Take it off there."
        )
    counts = {}
    for label, size in zip(groups.layers, groups.sizes.tolist(), strict=True):
        asked = {
            count_that_stays(size, carriers[name].sparsity, carriers[name].k, f"layer {label!r}")
            for name in tied[label]
        }
        if len(asked) > 1:
            raise InputError(
                f"Expected one level for layers whose channels are tied. Received: {sorted(asked)} channels "
                f"to keep in {label!r}. Give these layers the same WGSEFRegularizer."
            )
        counts[label] = asked.pop()
    return groups, preset_level(groups, k=counts)


def _carriers(model) -> dict[str, WGSEFRegularizer]:
    """The regularizers by the paths of their layers, those inside nested models and wrappers included."""
    carried = {
        call.name: getattr(call.layer, "kernel_regularizer", None)
        for call in build_channel_graph(model).calls
    }
    return {name: one for name, one in carried.items() if isinstance(one, WGSEFRegularizer)}
