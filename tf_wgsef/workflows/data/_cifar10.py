"""CIFAR-10."""

import io

import keras
import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.workflows.data._folder import download, load_from_folder
from tf_wgsef.workflows.data._image_data import ImageData, from_arrays

_FILE = "cifar10_jpeg.npz"


def load_cifar10() -> ImageData:
    """Loads CIFAR-10 through ``keras.datasets``, or from the folder that ``TF_WGSEF_DATA`` names.

    There it is cifar10_jpeg.npz, whose images have been through JPEG, which reports must say.
    """
    arrays = load_from_folder(_FILE)
    if arrays is None:
        (x_train, y_train), (x_test, y_test) = download(keras.datasets.cifar10.load_data, _FILE)
        arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
        return from_arrays(arrays, "CIFAR-10")
    parts = {}
    try:
        for part in ("train", "test"):
            parts[f"x_{part}"] = _decoded(arrays[f"{part}_jpeg"], arrays[f"{part}_offsets"])
            parts[f"y_{part}"] = arrays[f"y_{part}"]
    except (KeyError, ValueError, TypeError, IndexError, OSError) as error:  # Pillow's are OSErrors
        raise InputError(
            f"Expected {_FILE} with train_jpeg, train_offsets, y_train, test_jpeg, test_offsets and y_test. "
            f"Received: one with {', '.join(arrays) or 'none'} ({type(error).__name__}: {error})."
        ) from error
    return from_arrays(parts, "CIFAR-10 (JPEG)")


def _decoded(coded: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    from PIL import Image

    ends = zip(offsets[:-1], offsets[1:], strict=True)
    return np.stack([np.asarray(Image.open(io.BytesIO(coded[a:b].tobytes()))) for a, b in ends])
