"""Checks of what a model is trained with: each failure is one line that says what to do."""

import numbers

import keras

from tf_wgsef.errors import InputError
from tf_wgsef.penalties import GroupPenalty
from tf_wgsef.validation import is_finite_number


def check_trainable_by_keras(model):
    """Returns ``model``; raises InputError if wrapping it would lose something of its own in ``fit``."""
    for method in ("train_step", "compute_loss"):
        if getattr(type(model), method) is not getattr(keras.Model, method):
            raise InputError(
                f"Expected a model that trains as keras.Model does. Received: model={model.name!r}, whose "
                f"{type(model).__name__}.{method} would not be called. Pass keras.Model(model.inputs, "
                f"model.outputs), and its loss to compile()."
            )
    return model


def check_penalty(penalty):
    """Returns ``penalty`` if it is a ``GroupPenalty``; else raises InputError."""
    if not isinstance(penalty, GroupPenalty):
        raise InputError(
            f"Expected `penalty` to be a GroupPenalty. Received: penalty={penalty!r}. Pass "
            f"tf_wgsef.GroupLasso(strength=0.01), say; tf_wgsef.sparsify takes names too."
        )
    return penalty


def check_count(name: str, value: int, least: int = 0) -> int:
    """Returns ``value`` as an int if it is a whole number of at least ``least``; else raises InputError."""
    whole = isinstance(value, numbers.Integral) and is_finite_number(value)
    if not whole or value < least:
        raise InputError(
            f"Expected `{name}` to be a whole number of at least {least}. Received: {name}={value!r}. "
            f"Epochs and batches are counted from 0."
        )
    return int(value)


def check_ramp(ramp: float) -> float:
    """Returns ``ramp`` as a float if it is in (0, 1); else raises InputError."""
    number = isinstance(ramp, numbers.Real) and not isinstance(ramp, bool)
    if not number or not 0 < ramp < 1:
        raise InputError(
            f"Expected `ramp` in (0, 1), the share of the epochs over which the penalty tightens. "
            f"Received: ramp={ramp!r}. Pass 0.5 to leave half of them to the survivors."
        )
    return float(ramp)
