"""Arrays in files that users name: data, read without Keras and TensorFlow."""

import pathlib

import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.terminal_text import first_line


def load_arrays(path: str) -> dict[str, np.ndarray]:
    """Loads the arrays of an ``.npz`` file by name, or of an ``.npy`` file as ``x``; never unpickles.

    Args:
        path: the file.

    Raises:
        InputError: if it does not exist or holds no plain arrays.
    """
    file = existing_file(path)
    try:
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"x": loaded}
        with loaded:
            arrays = {name: loaded[name] for name in loaded.files}
            if all(isinstance(array, np.ndarray) for array in arrays.values()):
                return arrays
            raise ValueError("a member of the archive is no array")
    except Exception as error:  # damaged files raise whatever zipfile, zlib, tokenize and NumPy do
        raise _no_arrays(path, error) from error


def load_labelled(path: str):
    """Loads inputs ``x`` and labels ``y`` from an ``.npz`` file.

    Args:
        path: the file.

    Returns:
        (x, y).

    Raises:
        InputError: if the file lacks one of them.
    """
    arrays = load_arrays(path)
    _check_lengths(path, {name: array.shape for name, array in arrays.items()})
    _check_classes(path, arrays["y"])
    return arrays["x"], arrays["y"]


def check_labelled(path: str) -> None:
    """Checks a file for ``load_labelled`` without holding its inputs, which may be large, in memory.

    Args:
        path: the file.

    Raises:
        InputError: if the file lacks an array, or its labels are none. Inputs that are damaged are found
            by ``load_labelled`` only.
    """
    file, found, y = existing_file(path), {}, None
    try:
        loaded = np.load(file, allow_pickle=False)
        if not isinstance(loaded, np.ndarray):
            with loaded:
                found = {name: _shape(loaded.zip, name) for name in ("x", "y") if name in loaded.files}
                y = loaded["y"] if "y" in found else None
    except Exception as error:  # as in load_arrays
        raise _no_arrays(path, error) from error
    _check_lengths(path, found)
    _check_classes(path, y)


def _shape(archive, name):
    with archive.open(f"{name}.npy") as stream:
        # Version 3 differs from 2 in the encoding of the names of fields only.
        first = np.lib.format.read_magic(stream) == (1, 0)
        read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        return read(stream)[0]


def _no_arrays(path, error):
    return InputError(
        f"Expected arrays written by numpy.savez or numpy.save. Received: {path!r}. "
        f"NumPy says: {first_line(error)}"
    )


def _check_lengths(path, found):
    lengths = [found[name][:1] for name in ("x", "y") if name in found]
    if len(lengths) < 2 or lengths[0] != lengths[1] or not lengths[0]:
        raise InputError(
            f"Expected arrays x and y of the same length. Received: {path!r} with {found}. "
            f"Write it with numpy.savez(path, x=images, y=labels)."
        )


def _check_classes(path, y):
    if y.dtype.kind not in "iufb" or not np.isfinite(y).all() or (y != np.round(y)).any():
        raise InputError(
            f"Expected whole numbers as classes in y (or one-hot rows). Received: {path!r} with y of "
            f"{y.dtype}{'' if y.dtype.kind not in 'iufb' else ' that are not whole'}."
        )
    if (y < 0).any():
        raise InputError(f"Expected classes from 0 in y. Received: {path!r} with {y.min()}.")


def existing_file(path: str) -> pathlib.Path:
    """Returns the path of a file that is there.

    Args:
        path: the file.

    Raises:
        InputError: if there is none.
    """
    file = pathlib.Path(path)
    if not file.is_file():
        what = "a folder" if file.is_dir() else "nothing there"
        raise InputError(f"Expected a file. Received: {path!r} ({what}).")
    return file
