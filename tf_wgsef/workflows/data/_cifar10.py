"""CIFAR-10."""

import io

import keras
import numpy as np

from tf_wgsef.workflows.data._folder import load_from_folder
from tf_wgsef.workflows.data._image_data import ImageData, from_arrays


def load_cifar10() -> ImageData:
    """Loads CIFAR-10 through ``keras.datasets``, or from the folder that ``TF_WGSEF_DATA`` names.

    There it is cifar10_jpeg.npz, whose images have been through JPEG, which reports must say.
    """
    arrays = load_from_folder("cifar10_jpeg.npz")
    if arrays is None:
        (x_train, y_train), (x_test, y_test) = keras.datasets.cifar10.load_data()
        arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
        return from_arrays(arrays, "CIFAR-10")
    parts = {}
    for part in ("train", "test"):
        parts[f"x_{part}"] = _decoded(arrays[f"{part}_jpeg"], arrays[f"{part}_offsets"])
        parts[f"y_{part}"] = arrays[f"y_{part}"]
    return from_arrays(parts, "CIFAR-10 (JPEG)")


def _decoded(coded: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    from PIL import Image

    ends = zip(offsets[:-1], offsets[1:], strict=True)
    return np.stack([np.asarray(Image.open(io.BytesIO(coded[a:b].tobytes()))) for a, b in ends])
