"""Checks of what users pass in, shared by all stages: each failure is one line that says what to do."""

import errno
import math
import numbers
import os
import pathlib

from tf_wgsef.errors import InputError


def check_share(name: str, value: float) -> float:
    """Returns ``value`` as a float if it is a share in [0, 1).

    Args:
        name: the argument's name, for the message.
        value: what the user passed.

    Raises:
        InputError: if ``value`` is not a number in [0, 1).
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= value < 1:
        raise InputError(
            f"Expected `{name}` in [0, 1), the share to remove. Received: {name}={value!r}. "
            f"Pass 0.75 to remove three quarters."
        )
    return float(value)


def check_positive_int(name: str, value: int) -> int:
    """Returns ``value`` as an int if it is a whole number of at least 1.

    Args:
        name: the argument's name, for the message.
        value: what the user passed.

    Raises:
        InputError: if ``value`` is not a whole number of at least 1.
    """
    return _check_whole(name, value, 1)


def check_count(name: str, value: int) -> int:
    """Returns ``value`` as an int if it is a whole number of at least 0.

    Args:
        name: the argument's name, for the message.
        value: what the user passed.

    Raises:
        InputError: if ``value`` is not a whole number of at least 0.
    """
    return _check_whole(name, value, 0)


def _check_whole(name: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise InputError(
            f"Expected `{name}` to be a whole number of at least {least}. Received: {name}={value!r}."
        )
    return int(value)


def check_non_negative(name: str, value: float) -> float:
    """Returns ``value`` as a float if it is finite and at least 0.

    Args:
        name: the argument's name, for the message.
        value: what the user passed.

    Raises:
        InputError: if ``value`` is negative, not finite or not a number.
    """
    if not is_finite_number(value) or value < 0:
        raise InputError(
            f"Expected `{name}` to be a finite number of at least 0. Received: {name}={value!r}."
        )
    return float(value)


def is_finite_number(value) -> bool:
    """Returns whether ``value`` is a real number, no bool, that a float can hold.

    Args:
        value: anything.

    Example:
        >>> is_finite_number(3), is_finite_number(10**400), is_finite_number(float("nan"))
        (True, False, False)
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def read_tflite(tflite: bytes | str | os.PathLike) -> bytes:
    """Returns the bytes of a ``.tflite`` file, if they bear the mark that native code relies on.

    Args:
        tflite: the file: its bytes (bytes, bytearray, memoryview), or its path (str, os.PathLike).

    Raises:
        InputError: if there is no such file, or it is empty or no ``.tflite`` file.
    """
    if isinstance(tflite, bytes | bytearray | memoryview):
        # A subclass of bytes, which `convert` returns, would be copied.
        content = tflite if isinstance(tflite, bytes) else bytes(tflite)
        origin = f"{len(tflite)} bytes"
    elif isinstance(tflite, str | os.PathLike):
        content, origin = _read(pathlib.Path(tflite)), f"tflite={str(tflite)!r}"
    else:
        raise InputError(
            f"Expected `tflite` to be the bytes of a .tflite file or its path. Received: a value "
            f"of type {type(tflite).__name__}. Make the bytes with tf_wgsef.convert(model)."
        )
    if not content:
        raise InputError(
            f"Expected a .tflite file. Received: {origin}, which is empty. Convert the model again."
        )
    # A FlatBuffer starts with the offset of its root, then the four letters of its schema.
    if content[4:8] != b"TFL3":
        raise InputError(
            f"Expected a .tflite file, whose bytes 4 to 8 are b'TFL3'. Received: {origin}, "
            f"with {content[4:8]!r} there. Make one with tf_wgsef.convert(model)."
        )
    return content


def read_regular_file(path: str | os.PathLike) -> bytes:
    """Returns the bytes of a file that has an end.

    Args:
        path: the file.

    Raises:
        OSError: if it cannot be read, or is a device or a pipe; ``strerror`` says why.
    """
    file = pathlib.Path(path)
    try:
        if file.exists() and not (file.is_file() or file.is_dir()):
            raise OSError(errno.EINVAL, "it is a device or a pipe")  # reading one may never end
        return file.read_bytes()
    except ValueError as error:  # a null character in the path
        raise OSError(errno.EINVAL, str(error)) from error


def _read(path: pathlib.Path) -> bytes:
    try:
        return read_regular_file(path)
    except OSError as error:
        raise InputError(
            f"Expected the path of a .tflite file. Received: tflite={str(path)!r}, which cannot be "
            f"read ({error.strerror or error}). Check the path."
        ) from error
