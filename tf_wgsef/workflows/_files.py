"""Files that users name on the command line: whatever comes from them is data."""

import json
import zipfile

from tf_wgsef.array_files import existing_file, load_arrays
from tf_wgsef.array_files import load_labelled as load_labelled
from tf_wgsef.errors import InputError
from tf_wgsef.terminal_text import first_line


def load_keras_model(path: str):
    """Loads a ``.keras`` file in safe mode, without its compilation.

    Args:
        path: the file.

    Raises:
        InputError: if it does not exist, is no Keras file, or needs code that is not here.
    """
    file = existing_file(path)
    if not zipfile.is_zipfile(file):
        raise InputError(
            f"Expected a Keras 3 model file, as model.save('model.keras') writes it. Received: {path!r}, "
            f"which is not one. Load it in Python and save it as .keras."
        )
    import keras

    import tf_wgsef.baselines  # noqa: F401  registers what trained models may carry
    import tf_wgsef.training  # noqa: F401

    try:
        return keras.models.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # whatever a damaged file makes of zipfile, h5py, Keras and TensorFlow
        raise InputError(
            f"Expected a Keras model that loads by itself. Received: {path!r}. Keras says: "
            f"{first_line(error)}"
        ) from error


def load_json(path: str):
    """Loads a JSON file.

    Args:
        path: the file.

    Raises:
        InputError: if it does not exist or is no JSON.
    """
    file = existing_file(path)
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
