"""Weight clustering and 2:4 sparsity: a Keras 3 model comes back."""

import dataclasses
from typing import Any

import keras
import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.graph import compile_like, copy_model

from ._job import Job


@dataclasses.dataclass(frozen=True)
class TrainedWeights:
    """A model with trained weights of a certain form, and how it came about.

    Attributes:
        model: a copy of the given model, with the new weights.
        layers: names of the layers whose kernels have the form; the others trained along.
        history: one dict per epoch: the mean "loss", and the "accuracy" in classification.
        bridge_difference: the largest difference between the given model and its copy in Keras 2 before
            training, as a share of the output range.
    """

    model: Any
    layers: tuple[str, ...]
    history: tuple[dict, ...]
    bridge_difference: float


def cluster_weights(
    model,
    x,
    y=None,
    *,
    clusters: int = 16,
    epochs: int = 3,
    loss: str | None = None,
    learning_rate: float = 1e-4,
    batch_size: int = 32,
    seed: int = 0,
    time_limit: float = 300.0,
    progress=None,
) -> TrainedWeights:
    """Trains a copy of a model whose kernels take few different values, so that its file compresses well.

    ``tensorflow-model-optimization`` does the work in a process of its own, as for ``train_quantized``.
    Kernels of convolutions and dense layers are clustered; depthwise kernels, biases and batch norms are not.
    The file does not get smaller by itself: ``zip`` or the flash's own compression has to use it.

    Args:
        model: a trained Sequential or functional Keras 3 model, or a ``ProximalModel``. It is only read.
        x: as for ``train_quantized``, like all further arguments.
        y: targets.
        clusters: different values in each kernel, at least 2.
        epochs: how often the data are read.
        loss: "crossentropy", "mean_squared_error", "mean_absolute_error" or None.
        learning_rate: of Adam in the first epoch; it falls along half a cosine.
        batch_size: of the batches that are cut from arrays.
        seed: of the order of the samples.
        time_limit: seconds that the library may go without a sign of life.
        progress: called with an ``AwareProgress`` now and then.

    Raises:
        InputError: if an argument is not what is expected, or the extra ``qat`` is not installed.
        ConversionError: naming each layer that cannot be rebuilt in Keras 2, or if the library fails or
            hangs.

    Example:
        ``wgsef.cluster_weights(result.model, x_train, y_train, clusters=16).model``
    """
    if isinstance(clusters, bool) or not isinstance(clusters, int) or clusters < 2:
        raise InputError(
            f"Expected `clusters` to be a whole number of at least 2. Received: clusters={clusters!r}."
        )
    options = {"epochs": epochs, "loss": loss, "learning_rate": learning_rate, "batch_size": batch_size}
    options |= {"seed": seed, "time_limit": time_limit, "progress": progress}
    return _train(Job("cluster", model, x, y, options, clusters=clusters))


def sparse_2_to_4(
    model,
    x,
    y=None,
    *,
    epochs: int = 3,
    loss: str | None = None,
    learning_rate: float = 1e-4,
    batch_size: int = 32,
    seed: int = 0,
    time_limit: float = 300.0,
    progress=None,
) -> TrainedWeights:
    """Trains a copy of a model in whose kernels two of four neighbouring weights are zero.

    ``tensorflow-model-optimization`` does the work in a process of its own, as for ``train_quantized``.
    Neighbours are along the input channels, the form that tensor cores of GPUs and some accelerators compute
    faster; LiteRT on CPUs does not. Kernels of Conv2D and Dense whose input channels are a multiple of four
    get the form: strip with ``round_to=4`` to have more of them. The two smallest of four weights go before
    the first step.

    Args:
        model: a trained Sequential or functional Keras 3 model, or a ``ProximalModel``. It is only read.
        x: as for ``train_quantized``, like all further arguments.
        y: targets.
        epochs: how often the data are read.
        loss: "crossentropy", "mean_squared_error", "mean_absolute_error" or None.
        learning_rate: of Adam in the first epoch; it falls along half a cosine.
        batch_size: of the batches that are cut from arrays.
        seed: of the order of the samples.
        time_limit: seconds that the library may go without a sign of life.
        progress: called with an ``AwareProgress`` now and then.

    Raises:
        InputError: if an argument is not what is expected, or the extra ``qat`` is not installed.
        ConversionError: naming each layer that cannot be rebuilt in Keras 2, or if the library fails or
            hangs.

    Example:
        ``wgsef.sparse_2_to_4(result.model, x_train, y_train).model``
    """
    options = {"epochs": epochs, "loss": loss, "learning_rate": learning_rate, "batch_size": batch_size}
    options |= {"seed": seed, "time_limit": time_limit, "progress": progress}
    return _train(Job("sparse", model, x, y, options))


def _train(job: Job) -> TrainedWeights:
    # A model in mixed precision is described by its copy in float32.
    described = {id(weight) for layer in job.description.layers for weight in layer.weights}
    source = job.model if described <= {id(weight) for weight in job.model.weights} else job.flat
    copy = copy_model(source)  # before the training: what cannot be made again is no reason to lose it
    with (
        job.run() as (folder, found, history),
        np.load(folder / "trained.npz", allow_pickle=False) as arrays,
    ):
        trained = {
            id(weight): arrays[f"{i}.{k}"]
            for i, layer in enumerate(job.description.layers)
            for k, weight in enumerate(layer.weights)
        }
    copy.set_weights([trained.get(id(w), keras.ops.convert_to_numpy(w)) for w in source.weights])
    copy = compile_like(copy, job.model, "The trained model")
    return TrainedWeights(copy, tuple(found["layers"]), history, found["difference"])
