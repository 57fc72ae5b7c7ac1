"""Training runs in processes of their own, which may be killed: what ``test_resuming`` starts.

One process imports Keras and forks a child for each run, so that each has a runtime of its own.
"""

import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import zipfile

import keras
import numpy as np
from keras import layers

import tf_wgsef.training

EPOCHS, STEPS, RAMP_END = 6, 5, 3
HALF = {"sparsity": 0.5}
ROOT = pathlib.Path(__file__).parents[2]

optimizers = keras.optimizers
CASES = {
    "momentum": lambda: optimizers.SGD(optimizers.schedules.CosineDecay(0.1, 30), momentum=0.9),
    "adam": lambda: optimizers.Adam(0.01),
    "ema": lambda: optimizers.AdamW(0.01, use_ema=True, ema_overwrite_frequency=7),
    "accumulation": lambda: optimizers.RMSprop(0.01, gradient_accumulation_steps=3),
    "loss_scale": lambda: optimizers.LossScaleOptimizer(optimizers.Adam(0.01), dynamic_growth_steps=7),
    **{
        name: lambda name=name: getattr(optimizers, name)(learning_rate=0.01)
        for name in ("Adafactor", "Ftrl", "Lamb", "Lion", "Muon", "Nadam", "ScheduleFreeAdamW")
        if hasattr(optimizers, name)
    },
}
if hasattr(optimizers, "MultiOptimizer"):  # since Keras 3.15; in a loaded model paths lack the model's name
    CASES["several"] = lambda: optimizers.MultiOptimizer(
        optimizers.OptimizerMap(optimizers.SGD(0.05, momentum=0.9), {"(.*/)?h1/.*": optimizers.Nadam(0.01)})
    )


class Shuffled(keras.utils.PyDataset):
    """Batches in an order that the number of the epoch alone decides."""

    def __init__(self):
        super().__init__()
        self.epoch = 0
        generator = np.random.default_rng(0)
        self.x, self.y = (generator.normal(size=(8 * STEPS, n)).astype("float32") for n in (4, 2))

    def __len__(self):
        return STEPS

    def __getitem__(self, index):
        order = np.random.default_rng([7, self.epoch]).permutation(len(self.x))[8 * index : 8 * index + 8]
        return self.x[order], self.y[order]


def of_unknown_length(data):
    """The same batches as a ``tf.data.Dataset`` that does not say how many they are."""
    import tensorflow as tf

    shapes = tf.TensorSpec((None, 4)), tf.TensorSpec((None, 2))
    return tf.data.Dataset.from_generator(lambda: (data[i] for i in range(STEPS)), output_signature=shapes)


class Kill(keras.callbacks.Callback):
    """Kills the process after a batch of an epoch, as the system does: nothing is finished or cleaned up."""

    def __init__(self, epoch, batch):
        super().__init__()
        self.at, self.epoch = (epoch, batch), None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) >= self.at:  # several batches at once skip numbers
            os.kill(os.getpid(), signal.SIGKILL)


class Tear(keras.callbacks.Callback):
    """Lets the process die while it writes the files of an epoch, after so many bytes of one of them."""

    def __init__(self, epoch, size):
        super().__init__()
        self.at, self.size = epoch, size

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.at:
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, resource.RLIM_INFINITY))


def sparse_model(optimizer, compiled, level):
    """With batch statistics and dropout, so that there is state beside the weights."""
    hidden = [
        layers.Dense(8, activation="tanh", name="h1"),
        layers.BatchNormalization(),
        layers.Dropout(0.2),
        layers.Dense(6, activation="tanh", name="h2"),
        layers.Dropout(0.2),
    ]
    model = keras.Sequential([keras.Input((4,)), *hidden, layers.Dense(2, name="out")])
    sparse = tf_wgsef.training.sparsify(model, **level)
    sparse.compile(optimizer, "mse", **compiled)
    return sparse


def newest(folder):
    """The newest checkpoint that is whole and the epochs that it has seen; None and 0 where none is."""
    for path in sorted(folder.glob("*.keras"), reverse=True):
        if zipfile.is_zipfile(path):  # its index is written last
            return keras.models.load_model(path), int(path.stem)
    return None, 0


def train(name, folder, case, *, saved="backup", data="shuffled", double=False, **others):
    """One run, as a user's script would be; what there is at its end goes to ``<name>.npz``."""
    keras.utils.set_random_seed(0)
    sparse, start = newest(folder) if saved == "checkpoint" else (None, 0)
    sparse = sparse or sparse_model(CASES[case](), others.get("compiled", {}), others.get("level", HALF))
    batches = Shuffled()
    sets_order = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, _: setattr(batches, "epoch", epoch)
    )
    writes = {
        "backup": lambda: keras.callbacks.BackupAndRestore(folder / "backup", double_checkpoint=double),
        "checkpoint": lambda: keras.callbacks.ModelCheckpoint(folder / "{epoch}.keras"),
    }
    tears = [Tear(*others["tear"])] if "tear" in others else []
    kills = [Kill(*others["kill"])] if "kill" in others else []
    history = sparse.fit(
        batches if data == "shuffled" else of_unknown_length(batches),
        epochs=EPOCHS,
        initial_epoch=start,
        shuffle=False,
        verbose=0,
        callbacks=[sets_order, *tears, writes[saved](), *kills],
    )
    ends = [*sparse.variables, *sparse.optimizer.variables]
    np.savez(
        folder / f"{name}.npz",
        *map(keras.ops.convert_to_numpy, ends),
        **{f"history_{key}": values for key, values in history.history.items()},
        epochs=history.epoch,
        live=list(sparse.live_groups().values()),
    )


def fork_each(runs) -> list[int]:
    """Makes each run in a child of its own, and returns their exit codes, negative for a signal."""
    codes = []
    for run in runs:
        child = os.fork()
        if not child:
            train(**{**run, "folder": pathlib.Path(run["folder"])})
            os._exit(0)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    return codes


def start(runs, backend="tensorflow") -> list[int]:
    """Makes the runs in a new process, one after another; their exit codes."""
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": str(ROOT),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    code = "import json, sys; from tests.training import resuming; "
    code += "print(json.dumps(resuming.fork_each(json.load(sys.stdin))))"
    done = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(runs), env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    print(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])
