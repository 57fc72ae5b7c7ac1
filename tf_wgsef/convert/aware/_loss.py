"""Which loss fits an output and its targets, and the targets as that loss takes them."""

import numpy as np

from tf_wgsef.errors import InputError

LOSSES = ("crossentropy", "mean_squared_error", "mean_absolute_error")
_REGRESSIONS = {"mean_squared_error": "squared_error", "mean_absolute_error": "absolute_error"}


def choose_loss(loss: str | None, targets: np.ndarray, shape: tuple, activation: str) -> dict:
    """Returns the loss of one output: its "kind", and whether the output is "from_logits".

    Args:
        loss: one of ``LOSSES``, or None to tell from the targets: classes and one-hot rows mean
            cross-entropy, anything else the squared error.
        targets: some targets.
        shape: of the output, without the batch.
        activation: what the output passed last: "softmax" or "sigmoid" make probabilities.

    Raises:
        InputError: if the targets do not fit the output.

    Example:
        >>> from tf_wgsef.convert.aware._loss import choose_loss
        >>> choose_loss(None, np.array([0, 3, 1]), (10,), "linear")
        {'kind': 'sparse_crossentropy', 'from_logits': True, 'classes': 10}
    """
    if loss in _REGRESSIONS or (loss is None and not _are_classes(targets, shape, activation)):
        if _as_rows(targets, shape) is None:
            _raise_shape(targets, shape)
        return {"kind": _REGRESSIONS.get(loss, "squared_error"), "from_logits": False}
    probabilities = activation in ("softmax", "sigmoid")
    if shape[-1:] == (1,) or activation == "sigmoid":
        return {"kind": "binary_crossentropy", "from_logits": not probabilities}
    if targets.shape[1:] == shape:
        return {"kind": "crossentropy", "from_logits": not probabilities}
    if _as_classes(targets, shape) is None:
        _raise_shape(targets, shape)
    return {"kind": "sparse_crossentropy", "from_logits": not probabilities, "classes": shape[-1]}


def fit_targets(targets, shape: tuple, loss: dict) -> np.ndarray:
    """Returns one batch of targets as its loss takes them.

    Args:
        targets: of one output.
        shape: of the output, without the batch.
        loss: as ``choose_loss`` returns it.

    Raises:
        InputError: if they do not fit the output, or are no numbers, NaN or no classes.
    """
    array = np.asarray(targets)
    if array.dtype.kind not in "fbiu" or not np.isfinite(array).all():
        raise InputError(
            f"Expected `y` of finite numbers. Received: dtype={array.dtype}"
            f"{' with NaN or infinity' if array.dtype.kind == 'f' else ''}. Clean the data first."
        )
    if loss["kind"] != "sparse_crossentropy":
        rows = _as_rows(array, shape)
        if rows is not None and loss["kind"] == "binary_crossentropy" and not _are_shares(rows):
            raise InputError(
                f"Expected `y` from 0 to 1 for cross-entropy of one score. Received: values from "
                f"{rows.min()} to {rows.max()}. Pass loss='mean_squared_error' if they are no classes."
            )
        return rows.astype("float32") if rows is not None else _raise_shape(array, shape)
    classes = _as_classes(array, shape)
    if classes is None:
        _raise_shape(array, shape)
    if len(classes) and (
        classes.min() < 0 or classes.max() >= loss["classes"] or (classes != np.rint(classes)).any()
    ):
        raise InputError(
            f"Expected classes from 0 to {loss['classes'] - 1} in `y`. Received: values from {classes.min()} "
            f"to {classes.max()}. Number the classes as the model's outputs are."
        )
    return classes.astype("int32")


def _are_classes(targets, shape, activation: str) -> bool:
    """Whether targets are classes, one-hot rows, or zeros and ones for one score."""
    whole = targets.dtype.kind in "iub"
    if len(shape) and shape[-1] == 1:
        # As floats they may be any measure, but not of what ends in a sigmoid.
        return bool((whole or activation == "sigmoid") and np.isin(targets, (0, 1)).all())
    if targets.shape[1:] == shape:
        return bool(np.isin(targets, (0, 1)).all() and (targets.sum(axis=-1) == 1).all())
    return whole and _as_classes(targets, shape) is not None


def _as_classes(array, shape):
    if array.shape[1:] == shape[:-1]:
        return array
    return array[..., 0] if array.shape[1:] == (*shape[:-1], 1) else None


def _as_rows(array, shape):
    if array.shape[1:] == shape:
        return array
    return array[..., None] if (*array.shape[1:], 1) == shape else None


def _are_shares(rows) -> bool:
    return rows.size == 0 or (rows.min() >= 0 and rows.max() <= 1)


def _raise_shape(targets, shape):
    raise InputError(
        f"Expected `y` that fits an output of shape {('n', *shape)}: classes from 0, or an array of that "
        f"shape. Received: shape={targets.shape}, dtype={targets.dtype}."
    )
