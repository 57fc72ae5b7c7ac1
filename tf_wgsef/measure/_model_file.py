"""A ``.tflite`` file as data: its bytes, checked before native code sees them, and their hash."""

import dataclasses
import hashlib
import os
import pathlib

from tf_wgsef.errors import InputError

# FlatBuffers put the file identifier behind the offset of the root table; TFL3 is LiteRT's.
_IDENTIFIER = b"TFL3"
_IDENTIFIER_AT = slice(4, 8)


@dataclasses.dataclass(frozen=True)
class ModelFile:
    """The bytes of a ``.tflite`` file under the name that reports show.

    Attributes:
        name: what reports call it.
        content: the whole file.
    """

    name: str
    content: bytes = dataclasses.field(repr=False)

    @property
    def sha256(self) -> str:
        """The SHA-256 of the content, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


def read_model_file(tflite: bytes | str | os.PathLike, *, name: str | None = None) -> ModelFile:
    """Returns the checked content of ``tflite``.

    Args:
        tflite: the bytes of a ``.tflite`` file, or the path of one.
        name: what reports call it; the file's name by default, or "tflite".

    Raises:
        InputError: if there is no such file, or it is empty or no ``.tflite`` file.

    Example:
        ``read_model_file("model.tflite").sha256``
    """
    if isinstance(tflite, (bytes, bytearray, memoryview)):
        content, origin = bytes(tflite), f"{len(tflite)} bytes"
        name = name or "tflite"
    elif isinstance(tflite, (str, os.PathLike)):
        path = pathlib.Path(tflite)
        content, origin = _read(path), f"tflite={str(path)!r}"
        name = name or path.name
    else:
        raise InputError(
            f"Expected `tflite` to be the bytes of a .tflite file or its path. Received: a value "
            f"of type {type(tflite).__name__}. Make the bytes with tf_wgsef.convert(model)."
        )
    _check_content(content, origin)
    return ModelFile(name, content)


def _read(path):
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"Expected the path of a .tflite file. Received: tflite={str(path)!r}, which cannot be "
            f"read ({reason}). Check the path."
        ) from error


def _check_content(content, origin):
    if not content:
        raise InputError(
            f"Expected a .tflite file. Received: {origin}, which is empty. Convert the model again."
        )
    if content[_IDENTIFIER_AT] != _IDENTIFIER:
        raise InputError(
            f"Expected a .tflite file, whose bytes 4 to 8 are {_IDENTIFIER!r}. Received: {origin}, "
            f"with {content[_IDENTIFIER_AT]!r} there. Make one with tf_wgsef.convert(model)."
        )
