"""From a model and data to a finished job in the other process."""

import contextlib
import importlib.util
import json
import pathlib
import tempfile

import keras
import numpy as np

from tf_wgsef.convert._flat import call_flat, check_finite_weights, flat_model
from tf_wgsef.convert._signature import input_specs
from tf_wgsef.errors import ConversionError, InputError
from tf_wgsef.graph import check_keras_model
from tf_wgsef.validation import check_count, check_non_negative, check_positive_int

from ._describe import describe_model
from ._process import Keras2Process, missing_package
from ._training_data import TrainingData

# Samples that both Keras compute, to prove the bridge and the file.
SAMPLES = 16


class Job:
    """One training in the other process, up to the results in its folder.

    Args:
        kind: "quantize", "cluster" or "sparse".
        model: the caller's model; it is only read.
        x: as ``train_quantized`` takes it; so are ``y`` and ``options``.
        y: targets.
        options: the other arguments of the public functions.
        extra: fields of the job besides those.

    Attributes:
        model: the caller's model, checked.
        flat: the same with flat lists of inputs and outputs, computing in float32.
        description: what was sent.
        samples: some inputs by name.
    """

    def __init__(self, kind: str, model, x, y, options: dict, **extra):
        check_installed()
        self._options, self._kind, self._extra = options, kind, extra
        for name in ("epochs", "batch_size"):
            check_positive_int(name, options[name])
        check_count("seed", options["seed"])
        for name in ("learning_rate", "time_limit"):
            check_non_negative(name, options[name])
        self.model = check_keras_model(model)
        self.flat = flat_model(self.model)
        check_finite_weights(self.model)
        self.description = describe_model(self.flat)
        plain, specs = self.description.plain, input_specs(self.flat)
        shapes = [tuple(output.shape[1:]) for output in self.flat.outputs]
        activations = [_last_activation(plain, entry["tensor"]) for entry in plain["outputs"]]
        self._data = TrainingData(
            x,
            y,
            specs,
            list(zip(plain["output_names"], shapes, activations, strict=True)),
            **{name: options[name] for name in ("loss", "batch_size", "epochs", "seed")},
        )
        self._arrays = [array[:SAMPLES] for array in self._data.first[0]]
        self.samples = {spec.name: array for spec, array in zip(specs, self._arrays, strict=True)}

    @contextlib.contextmanager
    def run(self):
        """Trains; gives (folder with the results, figures that were reported, history)."""
        with tempfile.TemporaryDirectory(prefix="tf_wgsef_") as name:
            folder = pathlib.Path(name)
            self._write(folder)
            limits = {key: self._options[key] for key in ("epochs", "time_limit", "progress")}
            with Keras2Process(folder, self.flat.name, batches=self._data.batches, **limits) as process:
                process.wait_until("ready")
                for number in range(self._options["epochs"]):
                    self._send_epoch(process, number)
                process.wait_until("done")
            yield folder, process.found, tuple(process.history)

    def _send_epoch(self, process, number):
        batches, sent = self._data.epoch(), 0
        while True:
            with process.waiting_for_us():
                batch = next(batches, None)
            if batch is None and not sent:
                raise InputError(
                    f"Expected data that can be read {self._options['epochs']} times. Received: no batch in "
                    f"epoch {number + 1}. Pass a function that returns a new iterator."
                )
            process.send(batch)
            sent += 1
            if batch is None:
                return

    def _write(self, folder):
        """Writes the job; raises a ConversionError if there is no room."""
        try:
            self._write_files(folder)
        except OSError as error:
            raise ConversionError(
                f"Expected room for a copy of the model in the folder for temporary files. Received: "
                f"{error.strerror or error}. Free some, or set TMPDIR to another folder."
            ) from error

    def _write_files(self, folder):
        plain = self.description.plain
        job = {
            "job": self._kind,
            "description": plain,
            "inputs": plain["inputs"],
            "output_names": plain["output_names"],
            "losses": self._data.losses,
            **{key: self._options[key] for key in ("epochs", "learning_rate", "seed")},
            **self._extra,
        }
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        np.savez(folder / "weights.npz", **self.description.weights())
        expected = [keras.ops.convert_to_numpy(one) for one in call_flat(self.flat, self._arrays)]
        numbered = {f"x{i}": one for i, one in enumerate(self._arrays)}
        np.savez(folder / "samples.npz", **numbered, **{f"y{i}": one for i, one in enumerate(expected)})


def check_installed() -> None:
    """Raises unless the extra is there; nothing is imported to find out."""
    missing = [
        name for name in ("tensorflow_model_optimization", "tf_keras") if not importlib.util.find_spec(name)
    ]
    if missing:
        raise InputError(missing_package(missing[0]))


def _last_activation(plain: dict, tensor: str) -> str:
    """The activation that an output passed last; "linear" if it is none that has a name."""
    for call in plain["calls"]:
        if tensor in call["outputs"]:
            entry = plain["layers"][call["layer"]]
            name = "softmax" if entry["class"] == "Softmax" else entry["config"].get("activation")
            return name if isinstance(name, str) else "linear"
    return "linear"
