"""MNIST."""

import keras

from tf_wgsef.workflows.data._folder import load_from_folder
from tf_wgsef.workflows.data._image_data import ImageData, from_arrays


def load_mnist() -> ImageData:
    """Loads MNIST through ``keras.datasets``, or mnist.npz from the folder that ``TF_WGSEF_DATA`` names."""
    arrays = load_from_folder("mnist.npz")
    if arrays is None:
        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
        arrays = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    images = {name: array[..., None] if name[0] == "x" else array for name, array in arrays.items()}
    return from_arrays(images, "MNIST")
