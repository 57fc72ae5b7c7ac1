"""A recipe of the user's own files: a Keras model and its data."""

import hashlib
import os
import pathlib

import keras

from tf_wgsef.errors import InputError
from tf_wgsef.graph import copy_model, from_config
from tf_wgsef.validation import read_regular_file
from tf_wgsef.workflows._files import load_arrays, load_keras_model
from tf_wgsef.workflows.compare._recipes import Recipe
from tf_wgsef.workflows.data import ImageData, from_arrays


def own_recipe(model: str | os.PathLike, data: str | os.PathLike, *, pretrained: bool = False) -> Recipe:
    """Returns a recipe of two files; epochs and rates are moderate, and settings may change them.

    Args:
        model: a ``.keras`` file: a classifier with one input and one output per class.
        data: an ``.npz`` file with x_train, y_train, x_test, y_test; whole numbers as classes.
        pretrained: whether training starts from the file's weights; else from new ones, per seed.

    Raises:
        InputError: if a file cannot be read, or the two do not fit each other.
    """
    network, images = load_keras_model(str(model)), _images(data)
    _check_fit(network, images, str(model))

    layers = [layer for layer in network.layers if isinstance(layer, keras.Layer)]
    in_float = all(layer.dtype_policy.name == "float32" for layer in layers)

    def build():
        fresh = copy_model(network, _in_current_policy if in_float else None)
        if pretrained:
            fresh.set_weights(network.get_weights())
        return fresh

    rate = 0.01 if pretrained else 0.05
    return Recipe(build, lambda: images, epochs=20, learning_rate=rate, weight_decay=0.0, augment=False)


def _in_current_policy(layer):
    """The layer again, in mixed precision where that is asked for; layers inside wrappers stay in float32."""
    dtype = {"dtype": keras.config.dtype_policy().name} if isinstance(layer, keras.Layer) else {}
    return from_config(layer, {**layer.get_config(), **dtype})


def own_name(model: str | os.PathLike, data: str | os.PathLike, *, pretrained: bool = False) -> str:
    """Returns what the recipe is called; a file with other contents makes another recipe."""
    digest = hashlib.sha256()
    for path in (model, data):
        if not isinstance(path, str | os.PathLike):
            raise InputError(f"Expected `model` and `data` to be paths of files. Received: {path!r}.")
        try:
            digest.update(read_regular_file(path))
        except OSError as error:
            raise InputError(
                f"Expected a file. Received: {str(path)!r} ({error.strerror or error})."
            ) from error
    return f"{pathlib.Path(model).name} {digest.hexdigest()[:8]}{' pretrained' if pretrained else ''}"


def _images(path) -> ImageData:
    arrays = {name: array for name, array in load_arrays(str(path)).items() if name[:2] in ("x_", "y_")}
    return from_arrays(arrays, pathlib.Path(path).name)


def _check_fit(network, images: ImageData, path: str) -> None:
    classes = int(max(images.y_train.max(), images.y_test.max())) + 1
    shape = tuple(images.x_train.shape[1:])
    if images.x_test.shape[1:] != shape:
        raise InputError(
            f"Expected x_test of shape (n, {', '.join(map(str, shape))}), as x_train. Received: "
            f"{images.name} with x_test of shape {images.x_test.shape}."
        )
    inputs, outputs = network.inputs, network.outputs
    fits = len(inputs) == len(outputs) == 1 and len(outputs[0].shape) == 2
    fits = fits and all(a in (None, b) for a, b in zip(inputs[0].shape[1:], shape, strict=False))
    if not fits or len(inputs[0].shape) != len(shape) + 1 or outputs[0].shape[1] < max(classes, 2):
        raise InputError(
            f"Expected a model for inputs of shape {shape} with one output for each of {classes} classes. "
            f"Received: {path!r}, from {[one.shape for one in inputs]} to {[one.shape for one in outputs]}."
        )
