"""MNIST."""

import keras

from tf_wgsef.workflows.data._folder import download, load_from_folder
from tf_wgsef.workflows.data._image_data import ImageData, from_arrays

_FILE = "mnist.npz"


def load_mnist() -> ImageData:
    """Loads MNIST through ``keras.datasets``, or mnist.npz from the folder that ``TF_WGSEF_DATA`` names."""
    arrays = load_from_folder(_FILE)
    if arrays is None:
        (x_train, y_train), (x_test, y_test) = download(keras.datasets.mnist.load_data, _FILE)
        arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    images = {name: array[..., None] if name[0] == "x" else array for name, array in arrays.items()}
    return from_arrays(images, "MNIST")
