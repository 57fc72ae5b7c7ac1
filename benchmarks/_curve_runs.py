"""One run of benchmarks/accuracy_curve.py: data, network, method; the accuracy after the strip."""

import dataclasses
import time

import keras
import numpy as np

import tf_wgsef
from tf_wgsef.training import preset_level
from tf_wgsef.workflows.data import load_cifar10, load_mnist
from tf_wgsef.workflows.networks import lenet5, resnet8

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


def _arrays(data):
    """(x_train, y_train, x_test, y_test), images in [0, 1]."""
    return data.x_train, data.y_train, data.x_test, data.y_test


_TRAINED: dict[Run, list] = {}
RECIPES = {
    "lenet5": (lenet5, lambda: _arrays(load_mnist())),
    "resnet8": (resnet8, lambda: _arrays(load_cifar10())),
}


def split(data, run: Run):
    """(x, y) to train on and (x, y) to measure on."""
    x_train, y_train, x_test, y_test = data
    end = run.samples + run.validation
    if end > len(x_train):
        raise SystemExit(f"{end} training images are asked for, and there are {len(x_train)}")
    chosen = slice(run.samples, end)
    measured = (x_train[chosen], y_train[chosen]) if run.validation else (x_test, y_test)
    return (x_train[: run.samples], y_train[: run.samples]), measured


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
