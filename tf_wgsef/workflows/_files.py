"""Files that users name on the command line: whatever comes from them is data."""

import json
import pathlib
import zipfile

import numpy as np

from tf_wgsef.errors import InputError


def load_keras_model(path: str):
    """Loads a ``.keras`` file in safe mode, without its compilation.

    Args:
        path: the file.

    Raises:
        InputError: if it does not exist, is no Keras file, or needs code that is not here.
    """
    file = _existing(path)
    if not zipfile.is_zipfile(file):
        raise InputError(
            f"Expected a Keras 3 model file, as model.save('model.keras') writes it. Received: {path!r}, "
            f"which is not one. Load it in Python and save it as .keras."
        )
    import keras

    import tf_wgsef.training  # noqa: F401  registers what trained models may carry

    try:
        return keras.models.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # whatever a damaged file makes of zipfile, h5py, Keras and TensorFlow
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"Expected a Keras model that loads by itself. Received: {path!r}. Keras says: {reason[:300]}"
        ) from error


def load_arrays(path: str) -> dict[str, np.ndarray]:
    """Loads the arrays of an ``.npz`` file by name, or of an ``.npy`` file as ``x``; never unpickles.

    Args:
        path: the file.

    Raises:
        InputError: if it does not exist or holds no plain arrays.
    """
    file = _existing(path)
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
        raise InputError(
            f"Expected arrays written by numpy.savez or numpy.save. Received: {path!r}. "
            f"NumPy says: {(str(error).splitlines() or [type(error).__name__])[0][:300]}"
        ) from error


def load_json(path: str):
    """Loads a JSON file.

    Args:
        path: the file.

    Raises:
        InputError: if it does not exist or is no JSON.
    """
    file = _existing(path)
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"Expected a JSON file. Received: {path!r} ({error}).") from error


def load_inputs(path: str):
    """Loads model inputs: the array ``x`` (or the only one) of a file, or all of them by input name.

    Args:
        path: an ``.npz`` or ``.npy`` file.

    Raises:
        InputError: if the file is not as expected.
    """
    arrays = {name: array for name, array in load_arrays(path).items() if name != "y"}
    if "x" in arrays:
        return arrays["x"]
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays


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
    lengths = [arrays[name].shape[:1] for name in ("x", "y") if name in arrays]
    if len(lengths) < 2 or lengths[0] != lengths[1] or not lengths[0]:
        found = {name: array.shape for name, array in arrays.items()}
        raise InputError(
            f"Expected arrays x and y of the same length. Received: {path!r} with {found}. "
            f"Write it with numpy.savez(path, x=images, y=labels)."
        )
    y = arrays["y"]
    if y.dtype.kind not in "iufb" or not np.isfinite(y).all() or (y != np.round(y)).any():
        raise InputError(
            f"Expected whole numbers as classes in y (or one-hot rows). Received: {path!r} with y of "
            f"{y.dtype}{'' if y.dtype.kind not in 'iufb' else ' that are not whole'}."
        )
    if (y < 0).any():
        raise InputError(f"Expected classes from 0 in y. Received: {path!r} with {y.min()}.")
    return arrays["x"], y


def _existing(path: str) -> pathlib.Path:
    file = pathlib.Path(path)
    if not file.is_file():
        what = "a folder" if file.is_dir() else "nothing there"
        raise InputError(f"Expected a file. Received: {path!r} ({what}).")
    return file
