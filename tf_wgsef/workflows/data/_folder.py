"""The folder of data sets that the user names, for machines without a network."""

import os
import pathlib

import numpy as np

from tf_wgsef.errors import InputError

VARIABLE = "TF_WGSEF_DATA"


def load_from_folder(name: str) -> dict[str, np.ndarray] | None:
    """Returns the arrays of ``name`` in the folder that ``TF_WGSEF_DATA`` names; None if it names none.

    Args:
        name: file name, ending in ``.npz``.

    Raises:
        InputError: if the folder lacks the file.
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
    with np.load(path, allow_pickle=False) as data:
        return dict(data)
