"""Checks that turn what a caller or a JSON file gives for a field into a plain Python value."""

import functools
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tf_wgsef.errors import InputError

_LARGEST_COUNT = 2**63 - 1


def check_fields(instance: Any, **checks: Callable[[str, Any], Any]) -> None:
    """Replaces fields of a frozen dataclass by their checked values.

    Args:
        instance: the dataclass instance, in its ``__post_init__``.
        **checks: field name → function of (where, value) that returns the value to keep.

    Raises:
        InputError: if one of the values is not what its check expects.
    """
    for name, check in checks.items():
        where = f"{type(instance).__name__}.{name}"
        object.__setattr__(instance, name, check(where, getattr(instance, name)))


def optional(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """Returns ``check`` for values that may also be missing (None)."""

    @functools.wraps(check)
    def checked(where: str, value: Any) -> Any:
        return None if value is None else check(where, value)

    return checked


def text(where: str, value: Any) -> str:
    """Returns ``value`` if it is a string."""
    if not isinstance(value, str):
        raise _wrong(where, "a string", value)
    return value


def flag(where: str, value: Any) -> bool:
    """Returns ``value`` as a bool if it is one."""
    if not isinstance(value, bool | np.bool_):
        raise _wrong(where, "true or false", value)
    return bool(value)


def count(where: str, value: Any) -> int:
    """Returns ``value`` as an int if it is a whole number of at least 0."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not whole or not 0 <= value <= _LARGEST_COUNT:
        raise _wrong(where, "a whole number of at least 0", value)
    return int(value)


def number(where: str, value: Any) -> float:
    """Returns ``value`` as a float if it is a finite number of at least 0."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not 0 <= value < math.inf:
        raise _wrong(where, "a finite number of at least 0", value)
    return float(value)


def share(where: str, value: Any) -> float:
    """Returns ``value`` as a float if it is in [0, 1]."""
    checked = number(where, value)
    if checked > 1:
        raise _wrong(where, "a share in [0, 1]", value)
    return checked


def curve(where: str, values: Any) -> list[float]:
    """Returns one value per epoch as floats; what is missing or not finite becomes NaN."""
    if not isinstance(values, Sequence | np.ndarray) or isinstance(values, str):
        raise _wrong(where, "a list of numbers, one per epoch", values)
    return [_point(where, value) for value in values]


def _point(where: str, value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise _wrong(where, "a list of numbers, one per epoch", value)
    return float(value) if math.isfinite(value) else math.nan


def table(check: Callable[[str, Any], Any]) -> Callable[[str, Any], dict[str, Any]]:
    """Returns a check for a dict whose values pass ``check`` and whose keys are strings."""

    def checked(where: str, values: Any) -> dict[str, Any]:
        if not isinstance(values, Mapping):
            raise _wrong(where, "an object with named values", values)
        return {text(where, key): check(f"{where}.{key}", value) for key, value in values.items()}

    return checked


def tuple_of(check: Callable[[str, Any], Any]) -> Callable[[str, Any], tuple[Any, ...]]:
    """Returns a check for a list or tuple whose items pass ``check``."""

    def checked(where: str, values: Any) -> tuple[Any, ...]:
        if not isinstance(values, list | tuple):
            raise _wrong(where, "a list", values)
        return tuple(check(f"{where}[{index}]", value) for index, value in enumerate(values))

    return checked


def instance_of(kind: type) -> Callable[[str, Any], Any]:
    """Returns a check for an instance of ``kind``, or for a dict of its fields as JSON holds it."""

    def checked(where: str, value: Any) -> Any:
        return value if isinstance(value, kind) else build(kind, where, value)

    return checked


def build(kind: type, where: str, fields: Any) -> Any:
    """Returns ``kind(**fields)``, its missing and unknown fields told apart in one line.

    Args:
        kind: a dataclass.
        where: what the fields stand for, for the message.
        fields: a dict as JSON holds it.

    Raises:
        InputError: if a field is missing, unknown or of the wrong kind.
    """
    if not isinstance(fields, Mapping):
        raise _wrong(where, f"the fields of a {kind.__name__}", fields)
    known = kind.__dataclass_fields__
    unknown = sorted(str(name) for name in fields if name not in known)
    if unknown:
        raise InputError(
            f"Expected fields of a {kind.__name__} in {where}. Received: {unknown[0]!r:.80}, which "
            f"it does not have. Use one of: {', '.join(known)}."
        )
    try:
        return kind(**fields)
    except TypeError as error:
        raise InputError(
            f"Expected every field of a {kind.__name__} in {where}. Received: {error}."
        ) from error


def json_value(where: str, value: Any) -> Any:
    """Returns ``value`` as plain JSON types: NumPy scalars unwrapped, what is not finite as None.

    Values of other types (dates, paths) become their text.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return json_value(where, value.tolist())
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): json_value(where, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_value(where, item) for item in value]
    return str(value)


def _wrong(where: str, expected: str, value: Any) -> InputError:
    received = repr(value)
    if len(received) > 80:
        received = received[:77] + "..."
    return InputError(f"Expected {where} to be {expected}. Received: {received}.")
