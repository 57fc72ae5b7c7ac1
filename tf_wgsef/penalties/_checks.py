"""Checks of what a penalty is given: each failure is one line that says what to do."""

import math
import numbers

import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.validation import is_finite_number


def is_static(x) -> bool:
    """Returns whether the value of ``x`` can be looked at now: a number, a list, an array."""
    return isinstance(x, (numbers.Real, list, tuple, np.ndarray, np.generic))


def check_budget(k):
    """Returns the budget as it was given, a list as an array.

    Args:
        k: a number, an array of shape ``(...,)`` or a tensor; the values of a tensor are not
            checked.

    Raises:
        InputError: if it is no number, or not finite and above 0.
    """
    if not is_static(k):
        if hasattr(k, "shape") and hasattr(k, "dtype"):
            return k
        raise InputError(
            f"Expected `k`, the budget, to be a number or one number per row. Received: k={k!r}. "
            f"Pass the number of groups to keep, or their total weight."
        )
    values = np.asarray(k)
    numeric = values.dtype.kind in "iuf"
    if not numeric or not np.all(np.isfinite(values)) or not np.all(values > 0):
        raise InputError(
            f"Expected `k`, the budget, to be finite and above 0. Received: k={k!r}. Pass the "
            f"number of groups to keep, or their total weight."
        )
    return k if isinstance(k, numbers.Real) else values


def check_shapes(norms, weights, k=None) -> None:
    """Raises unless norms, weights and budget fit together.

    Args:
        norms: tensor of shape ``(..., num_groups)``.
        weights: ``None`` or one weight per group, shape ``(num_groups,)`` or that of ``norms``.
        k: ``None``, a number, or one budget per row.

    Raises:
        InputError: if a shape does not fit, or an array of weights has a negative or non-finite
            entry.
    """
    shape = tuple(norms.shape)
    if not shape:
        raise InputError(
            f"Expected `norms` of shape (..., num_groups). Received: norms.shape={shape}. Pass a "
            f"vector with one norm per group."
        )
    if weights is not None:
        _check_weights(weights, shape)
    rows = () if k is None else tuple(np.shape(k) if is_static(k) else k.shape)
    if not _fits(rows, shape[:-1]):
        raise InputError(
            f"Expected `k` to be one number, or one per row of `norms`: shape {shape[:-1]}. "
            f"Received: k.shape={rows}, norms.shape={shape}. Call with_budget(k) with a k per row."
        )


def check_step(step_size, *, strength: float, limit: float = math.inf) -> None:
    """Raises unless a step that is a plain number is finite, at least 0 and within the limit.

    Args:
        step_size: a number, or a tensor, which is not looked at.
        strength: the penalty's strength, which multiplies it.
        limit: the largest strength · step_size.

    Raises:
        InputError: if the number is out of range.
    """
    if not is_static(step_size):
        return
    try:
        values = np.asarray(step_size, dtype="float64")
    except (TypeError, ValueError):
        values = np.asarray(np.nan)
    if not np.all(np.isfinite(values)) or not np.all(values >= 0):
        raise InputError(
            f"Expected `step_size` to be finite and at least 0. Received: step_size={step_size!r}. "
            f"Pass the learning rate, or a share of it."
        )
    # A schedule that ends at 1 in float32 may be one rounding above it.
    if np.any(strength * values > limit * (1 + 1e-6)):
        raise InputError(
            f"Expected strength * step_size in [0, {limit:g}]: 0 changes nothing, {limit:g} is the "
            f"hard projection. Received: step_size={step_size!r} with strength={strength:g}. "
            f"Pass a smaller step, or debias=False, which takes any."
        )


def check_above(name: str, value: float, bound: float) -> float:
    """Returns ``value`` as a float if it is finite and above ``bound``.

    Args:
        name: the argument's name, for the message.
        value: what the user passed.
        bound: which it must exceed.

    Raises:
        InputError: if it does not, or is not finite or not a number.
    """
    if not is_finite_number(value) or not value > bound:
        raise InputError(
            f"Expected `{name}` to be a finite number above {bound:g}. Received: {name}={value!r}. "
            f"Leave it out for the usual one."
        )
    return float(value)


def _check_weights(weights, shape) -> None:
    given = tuple(np.shape(weights) if is_static(weights) else weights.shape)
    if not given or given[-1] != shape[-1] or not _fits(given, shape):
        raise InputError(
            f"Expected `weights` with one weight per group, shape {shape[-1:]} or {shape}. "
            f"Received: weights.shape={given}. Pass weights in the order of the norms."
        )
    if not is_static(weights):
        return
    values = np.asarray(weights, dtype="float64")
    if not np.all(np.isfinite(values)) or not np.all(values >= 0):
        worst = values[~(np.isfinite(values) & (values >= 0))].flat[0]
        raise InputError(
            f"Expected `weights` to be finite and at least 0 (0 frees a group). Received: a weight "
            f"of {worst:g}. Pass costs such as ones, MACs or bytes."
        )


def _fits(given, shape) -> bool:
    """Whether ``given`` broadcasts to ``shape``; an unknown size fits anything."""
    if len(given) > len(shape):
        return False
    pairs = zip(reversed(given), reversed(shape), strict=False)
    return all(g in (1, None) or s is None or g == s for g, s in pairs)
