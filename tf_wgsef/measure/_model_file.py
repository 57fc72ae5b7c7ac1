"""A ``.tflite`` file as data: its bytes, checked before native code sees them, and their hash."""

import dataclasses
import hashlib
import os
import pathlib

from tf_wgsef.validation import read_tflite


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
    content = read_tflite(tflite)
    if name is None:
        name = pathlib.Path(tflite).name if isinstance(tflite, str | os.PathLike) else "tflite"
    return ModelFile(name, content)
