"""Spoken keywords as coefficients, from the user's folder."""

import os
import pathlib

from tf_wgsef.errors import InputError
from tf_wgsef.workflows._files import load_arrays
from tf_wgsef.workflows.data._folder import VARIABLE
from tf_wgsef.workflows.data._image_data import ImageData, from_arrays

_FILE = "keywords.npz"
_SHAPE = (49, 10)
_CLASSES = 12


def load_keywords() -> ImageData:
    """Loads keywords.npz from the folder that ``TF_WGSEF_DATA`` names; nothing is downloaded.

    It holds x_train, y_train, x_test and y_test: 49 frames of 10 coefficients (MFCC, as MLPerf Tiny's kws01
    takes them) of shape (n, 49, 10) or (n, 49, 10, 1), and classes from 0 to 11. Making them of sound is
    the user's: the benchmark's own script does it for Speech Commands.

    Raises:
        InputError: if the file is not there, or is not as said.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        raise InputError(
            f"Expected {VARIABLE} to name a folder with {_FILE}: x_train, y_train, x_test, y_test, of "
            f"{_SHAPE[0]} frames of {_SHAPE[1]} coefficients. Received: none. Keywords are not downloaded."
        )
    path = pathlib.Path(folder) / _FILE
    arrays = load_arrays(str(path))
    for name, array in arrays.items():
        if name.startswith("x_") and array.shape[1:] == _SHAPE:
            arrays[name] = array[..., None]
    data = from_arrays(arrays, "keywords")
    for part, x, y in (("train", data.x_train, data.y_train), ("test", data.x_test, data.y_test)):
        if x.shape[1:] != (*_SHAPE, 1) or y.max() >= _CLASSES:
            raise InputError(
                f"Expected x_{part} of shape (n, 49, 10) and classes from 0 to {_CLASSES - 1}. Received: "
                f"{str(path)!r} with x_{part} of shape {x.shape} and classes up to {y.max()}."
            )
    return data
