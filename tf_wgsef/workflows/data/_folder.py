"""The folder of data sets that the user names, for machines without a network."""

import os
import pathlib
from collections.abc import Callable

import numpy as np

from tf_wgsef.array_files import load_arrays
from tf_wgsef.errors import InputError
from tf_wgsef.terminal_text import first_line

VARIABLE = "TF_WGSEF_DATA"


def load_from_folder(name: str) -> dict[str, np.ndarray] | None:
    """Returns the arrays of ``name`` in the folder that ``TF_WGSEF_DATA`` names; None if it names none.

    Args:
        name: file name, ending in ``.npz``.

    Raises:
        InputError: if the folder lacks the file, or it holds no arrays.
    """
    folder = os.environ.get(VARIABLE)
    if not folder:
        return None
    path = pathlib.Path(folder) / name
    if not path.is_file():
        raise InputError(
            f"Expected {name} in the folder that {VARIABLE} names. Received: {VARIABLE}={folder!r}. "
            f"Unset it to download the data through keras.datasets."
        )
    return load_arrays(str(path))


def download(load: Callable, name: str):
    """Returns what a loader of ``keras.datasets`` does.

    Args:
        load: the loader.
        name: file name, as in ``load_from_folder``.

    Raises:
        InputError: if it cannot be had.
    """
    try:
        return load()
    except Exception as error:  # urllib, zipfile and Keras raise whatever they like
        raise InputError(
            f"Expected the data from keras.datasets. Received: {first_line(error)}. Check the network, or "
            f"set {VARIABLE} to a folder with {name}."
        ) from error
