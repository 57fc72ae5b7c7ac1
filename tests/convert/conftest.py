"""Toy models, a trained one, and their conversions, each made once for the folder."""

import functools

import numpy as np
import pytest

import tf_wgsef
from tests.convert import models
from tf_wgsef.convert import _memory

MODES = ("none", "float16", "dynamic", "int8", "int16x8")


@pytest.fixture
def all_are_large(monkeypatch):
    """Every model is converted as a large one is: in two steps where that goes."""
    monkeypatch.setattr(_memory, "LARGE", 0)


@pytest.fixture
def in_two_steps_and_whole(all_are_large, monkeypatch):
    """``in_two_steps_and_whole(model, **options)`` -> the file as of a large model, and TensorFlow's."""

    def convert(model, **options):
        steps = tf_wgsef.convert(model, **options)
        monkeypatch.undo()
        return steps, tf_wgsef.convert(model, **options)

    return convert


@pytest.fixture(scope="session")
def converted():
    """``converted(name, quantization)`` -> (model, calibration data, file), each made once."""

    @functools.cache
    def model_and_data(name):
        model = models.BUILDERS[name]()
        return model, models.data_for(model)

    @functools.cache
    def make(name, quantization):
        model, data = model_and_data(name)
        tflite = tf_wgsef.convert(model, quantization=quantization, calibration=data)
        return model, data, tflite

    return make


@pytest.fixture(scope="session")
def digits():
    """A small network trained on scikit-learn's digits: (model, train data, test data)."""
    import keras
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8, 1) / 16).astype(np.float32)
    keras.utils.set_random_seed(0)
    # In so few steps batch normalization needs a short memory, or evaluation is at chance level.
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            keras.layers.Conv2D(16, 3, padding="same", use_bias=False),
            keras.layers.BatchNormalization(momentum=0.8),
            keras.layers.ReLU(),
            keras.layers.DepthwiseConv2D(3),
            keras.layers.BatchNormalization(momentum=0.8),
            keras.layers.ReLU(),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(images[:1200], labels[:1200], batch_size=64, epochs=6, verbose=0)
    return model, (images[:1200], labels[:1200]), (images[1200:], labels[1200:])
