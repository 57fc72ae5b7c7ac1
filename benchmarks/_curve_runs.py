"""One run of benchmarks/accuracy_curve.py: data, network, method; the accuracy after the strip."""

import dataclasses
import io
import os
import pathlib
import time

import keras
import numpy as np
from keras import layers
from PIL import Image

import tf_wgsef
from tf_wgsef.training import preset_level
from tf_wgsef.workflows import lenet5

METHODS = ("debiased", "plain", "magnitude", "dense")


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run depends on; the same run is not made twice.

    Attributes:
        recipe: a name in ``RECIPES``.
        method: one of ``METHODS``.
        sparsity: share of each layer's groups that goes; 0 for ``dense``.
        seed: of the weights and of the order of the data.
        epochs: in all.
        samples: the first so many of the training images are used.
        validation: 0 to measure on the test images; else on so many training images behind ``samples``.
        strength: λ of ``plain``; None for the others, which have none.
        ramp: share of the epochs before the choice of survivors.
        learning_rate: at the start of each cosine.
        batch: batch size.
        clip: largest norm of the whole gradient; None: not clipped.
        cosines: 1: the rate falls over all epochs; 2: it starts anew after the choice.
    """

    recipe: str
    method: str
    sparsity: float
    seed: int
    epochs: int
    samples: int
    validation: int = 0
    strength: float | None = None
    ramp: float = 0.5
    learning_rate: float = 0.05
    batch: int = 128
    clip: float | None = None
    cosines: int = 2

    @property
    def first(self) -> int:
        """Epochs before the choice."""
        return round(self.ramp * self.epochs)


def resnet8() -> keras.Model:
    """The ResNet-8 of MLPerf Tiny (ic01: 78 666 parameters), without its weight decay.

    Batch norm's moving averages follow within tens of steps, since training here is short.
    """

    def convolve(x, filters, size, strides, name):
        return layers.Conv2D(filters, size, strides=strides, padding="same", name=name)(x)

    def normalize(x, name):
        return layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)

    inputs = keras.Input((32, 32, 3))
    x = layers.ReLU()(normalize(convolve(inputs, 16, 3, 1, "stem"), "stem"))
    for stage, (filters, strides) in enumerate([(16, 1), (32, 2), (64, 2)], 1):
        first, second = f"stage{stage}_conv1", f"stage{stage}_conv2"
        y = layers.ReLU()(normalize(convolve(x, filters, 3, strides, first), first))
        y = normalize(convolve(y, filters, 3, 1, second), second)
        if strides > 1:
            x = convolve(x, filters, 1, strides, f"stage{stage}_shortcut")
        x = layers.ReLU()(layers.Add()([x, y]))
    outputs = layers.Dense(10, name="logits")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, outputs, name="resnet8")


def mnist():
    """(x_train, y_train, x_test, y_test), images of uint8."""
    folder = os.environ.get("TF_WGSEF_DATA")
    if not folder:
        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
        return x_train[..., None], y_train, x_test[..., None], y_test
    with np.load(pathlib.Path(folder) / "mnist.npz", allow_pickle=False) as data:
        return data["x_train"][..., None], data["y_train"], data["x_test"][..., None], data["y_test"]


def cifar10():
    """The same of CIFAR-10; from ``TF_WGSEF_DATA`` the images have been through JPEG."""
    folder = os.environ.get("TF_WGSEF_DATA")
    if not folder:
        (x_train, y_train), (x_test, y_test) = keras.datasets.cifar10.load_data()
        return x_train, y_train[:, 0], x_test, y_test[:, 0]
    found = []
    with np.load(pathlib.Path(folder) / "cifar10_jpeg.npz", allow_pickle=False) as data:
        for part in ("train", "test"):
            coded, offsets = data[f"{part}_jpeg"], data[f"{part}_offsets"]
            ends = zip(offsets[:-1], offsets[1:], strict=True)
            images = [np.asarray(Image.open(io.BytesIO(coded[a:b].tobytes()))) for a, b in ends]
            found += [np.stack(images), data[f"y_{part}"].reshape(-1)]
    return tuple(found)


_TRAINED: dict[Run, list] = {}
RECIPES = {"lenet5": (lenet5, mnist), "resnet8": (resnet8, cifar10)}


def split(data, run: Run):
    """(x, y) to train on and (x, y) to measure on; x float32 in [0, 1]."""
    x_train, y_train, x_test, y_test = data
    end = run.samples + run.validation
    if end > len(x_train):
        raise SystemExit(f"{end} training images are asked for, and there are {len(x_train)}")
    chosen = slice(run.samples, end)
    measured = (x_train[chosen], y_train[chosen]) if run.validation else (x_test, y_test)
    return tuple(
        (x.astype("float32") / 255, y.astype("int32"))
        for x, y in ((x_train[: run.samples], y_train[: run.samples]), measured)
    )


class StopAfter(keras.callbacks.Callback):
    """Ends training after so many epochs; a ProximalModel chooses its survivors there."""

    def __init__(self, epochs: int):
        super().__init__()
        self.epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = epoch + 1 >= self.epochs


def fit(model, run: Run, data, start: int, end: int) -> float:
    """Trains from epoch ``start`` to ``end`` of ``run.epochs``; returns the last loss.

    SGD with Nesterov momentum, begun anew after the choice for every method. XLA is slower here.
    """
    x, y = data
    steps = -(-len(x) // run.batch)
    whole = run.cosines == 1
    rate = keras.optimizers.schedules.CosineDecay(
        run.learning_rate, steps * (run.epochs if whole else end - start)
    )
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, global_clipnorm=run.clip),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    model.optimizer.iterations.assign(steps * start if whole else 0)
    options = {"batch_size": run.batch, "initial_epoch": start, "epochs": run.epochs, "verbose": 0}
    return model.fit(x, y, callbacks=[StopAfter(end)], **options).history["loss"][-1]


def until_choice(run: Run, data):
    """The network at the end of the first part of training, the groups that were not chosen zero."""
    model = RECIPES[run.recipe][0]()
    if run.method in ("magnitude", "dense"):
        # The same for every level: trained once.
        key = dataclasses.replace(run, method="dense", sparsity=0.0)
        if key not in _TRAINED:
            fit(model, run, data, 0, run.first)
            _TRAINED[key] = model.get_weights()
        model.set_weights(_TRAINED[key])
        if run.method == "magnitude":
            groups = tf_wgsef.build_groups(model)
            level = preset_level(groups, sparsity=run.sparsity)
            groups.scale(model, level.select(groups, keras.ops.convert_to_numpy(groups.norms(model))))
        return model
    penalty = tf_wgsef.WGSEF(1, strength=run.strength or 1.0, debias=run.method == "debiased")
    sparse = tf_wgsef.sparsify(model, sparsity=run.sparsity, penalty=penalty, ramp=run.ramp)
    fit(sparse, run, data, 0, run.first)
    return sparse.model


def execute(run: Run, data) -> dict:
    """Trains to the choice, strips, trains the rest, measures.

    The survivors train on as the stripped network: the same as with the others held at zero, and cheaper.
    """
    start = time.perf_counter()
    keras.utils.set_random_seed(run.seed)
    train, (x_test, y_test) = split(data, run)
    model = until_choice(run, train)
    groups = tf_wgsef.build_groups(model)
    kept = float(np.mean(keras.ops.convert_to_numpy(groups.norms(model)) > 0))
    if run.method != "dense":
        model = tf_wgsef.strip(model).model
    # The same order of the data for every method, whatever was drawn before.
    keras.utils.set_random_seed(run.seed + 1_000_000)
    loss = fit(model, run, train, run.first, run.epochs)
    guesses = np.argmax(model.predict(x_test, batch_size=500, verbose=0), axis=-1)
    return {
        **dataclasses.asdict(run),
        "accuracy": float(np.mean(guesses == y_test)),
        "kept": kept,
        "parameters": model.count_params(),
        "loss": loss,
        "seconds": time.perf_counter() - start,
    }
