"""Groups that the caller numbers: any entries of any variables."""

from collections.abc import Mapping

import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.graph import check_keras_model
from tf_wgsef.groups._group_set import GroupSet
from tf_wgsef.groups._keys import variables_by_key
from tf_wgsef.groups._member import Member


def custom_groups(model, ids: Mapping[str, np.ndarray], *, label: str = "custom") -> GroupSet:
    """Builds groups from your own numbering of weights.

    Args:
        model: a built Sequential or functional ``keras.Model``.
        ids: {``layer/variable``: group of each entry}, whole numbers from 0 of the variable's shape, or of
            its last axis alone; -1 is in no group. Every number up to the largest must occur.
        label: the name that the groups share in ``GroupSet.layers`` and in ``k={label: …}``.

    Raises:
        InputError: for an unknown variable, or numbers that do not fit.

    Example:
        >>> import keras, numpy as np, tf_wgsef
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(6, name="d")])
        >>> pairs = np.arange(6) // 2
        >>> groups = tf_wgsef.custom_groups(model, {"d/kernel": pairs, "d/bias": pairs})
        >>> groups.num_groups
        3
    """
    if not isinstance(ids, Mapping) or not ids:
        raise InputError(f"Expected `ids` as {{'layer/variable': numbers}}. Received: ids={ids!r}.")
    variables = variables_by_key(check_keras_model(model), list(ids))
    _check_once(list(ids), variables)
    members = tuple(
        _member(key, np.asarray(numbers), variable)
        for (key, numbers), variable in zip(ids.items(), variables, strict=True)
    )
    used = np.unique(np.concatenate([member.ids.reshape(-1) for member in members]))
    used = used[used >= 0]
    count = int(used.max()) + 1 if used.size else 0
    if len(used) < count:
        missing = np.setdiff1d(np.arange(count), used)[0]
        raise InputError(
            f"Expected every group from 0 to {count - 1} to hold a weight. Received: none in {missing}."
        )
    return GroupSet("custom", (label,), np.zeros(count, dtype=np.int64), np.ones(count), members)


def _check_once(keys: list[str], variables: list) -> None:
    first: dict[int, str] = {}
    for key, variable in zip(keys, variables, strict=True):
        other = first.setdefault(id(variable), key)
        if other != key:
            raise InputError(
                f"Expected each variable once. Received: {other!r} and {key!r}, which are one variable of a "
                f"layer that models share. Leave one of them out."
            )


def _member(key: str, numbers: np.ndarray, variable) -> Member:
    shape = tuple(variable.shape)
    if numbers.dtype.kind not in "iu" or (numbers.size and numbers.min() < -1):
        raise InputError(
            f"Expected whole numbers of at least -1 for {key!r}. Received: {numbers.dtype} numbers."
        )
    if numbers.shape == shape:
        axes = tuple(range(len(shape)))
    elif shape and numbers.shape == shape[-1:]:
        axes = (len(shape) - 1,)
    else:
        raise InputError(
            f"Expected the numbers of {key!r} in shape {shape}, or {shape[-1:]} for its last axis. "
            f"Received: shape {numbers.shape}."
        )
    return Member(key, axes, numbers.astype(np.int64), len(shape))
