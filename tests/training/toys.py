"""Toy models and data for the tests of training, and the level as loops over the weights read it."""

import keras
import numpy as np
from keras import layers

import tf_wgsef
from tests import models


def mlp(units=(8, 6), activation="tanh", **options):
    """Dense layers; tanh has a gradient at 0, so that a dead unit would come back to life."""
    hidden = [
        layers.Dense(size, activation=activation, name=f"h{number}", **options)
        for number, size in enumerate(units, 1)
    ]
    return keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(2, name="out")], name="mlp")


def sparse_mlp(optimizer="adam", *, compiled=None, **level):
    """``mlp`` in a ProximalModel, half of the units to go unless ``level`` says otherwise, compiled."""
    if not {"k", "sparsity"} & set(level):
        level["sparsity"] = 0.5
    sparse = tf_wgsef.sparsify(mlp(), **level)
    sparse.compile(optimizer, "mse", **(compiled or {}))
    return sparse


def data(model=None, samples=32, seed=0):
    """Random inputs and targets of the shapes of ``model``, ``mlp`` if None."""
    generator = np.random.default_rng(seed)
    if model is None:
        return (generator.normal(size=(samples, n)).astype("float32") for n in (4, 2))
    x = models.random_inputs(model, samples, seed)
    outputs = model.outputs[0] if isinstance(model, keras.Sequential) else model.output
    y = keras.tree.map_structure(
        lambda t: generator.normal(size=(samples, *t.shape[1:])).astype("float32"), outputs
    )
    return x, y


def live_channels(model, layer: str) -> np.ndarray:
    """Which output channels of ``layer`` have any non-zero weight, by a loop over its kernel and bias."""
    layer = model.get_layer(layer)
    kernel = keras.ops.convert_to_numpy(layer.kernel)
    bias = keras.ops.convert_to_numpy(layer.bias) if layer.use_bias else np.zeros(kernel.shape[-1])
    return np.array([bool(kernel[..., j].any() or bias[j] != 0) for j in range(kernel.shape[-1])])


def live_counts(model, labels) -> dict[str, int]:
    """Live channels of each layer; tied ones (``a+b``) count where either is alive."""
    return {
        label: int(np.any([live_channels(model, name) for name in label.split("+")], axis=0).sum())
        for label in labels
    }


class At(keras.callbacks.Callback):
    """Calls ``action(model)`` once, after the given number of batches in all."""

    def __init__(self, batches, action):
        super().__init__()
        self.left, self.action = batches, action

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            self.action(self.model)


class EachEpoch(keras.callbacks.Callback):
    """Collects ``read(model)`` at the end of each epoch."""

    def __init__(self, read):
        super().__init__()
        self.read, self.found = read, []

    def on_epoch_end(self, epoch, logs=None):
        self.found.append(self.read(self.model))


def interrupt(model):
    raise KeyboardInterrupt
