"""Quantization-aware training of a Keras 3 model."""

import dataclasses

import numpy as np

from tf_wgsef.convert._flat import check_backend
from tf_wgsef.convert._parity import Parity, parity
from tf_wgsef.convert._quiet import quiet
from tf_wgsef.convert._runtime import TFLiteRunner
from tf_wgsef.errors import ConversionError, InputError

from ._job import Job


@dataclasses.dataclass(frozen=True)
class QuantizedTraining:
    """A trained int8 file, and how it came about.

    Attributes:
        tflite: the bytes of the file.
        history: one dict per epoch: the mean "loss" while training, and the "accuracy" in classification;
            both with quantization emulated.
        parity: the file against the Keras model as it was before, on some training inputs: what training has
            changed and what int8 costs, together.
        file_difference: the largest difference between the file on LiteRT and the trained model with
            quantization emulated, as a share of the output range: what the conversion costs.
        bridge_difference: the largest difference between the Keras model and its copy in Keras 2 before
            training, as a share of the output range.
    """

    tflite: bytes = dataclasses.field(repr=False)
    history: tuple[dict, ...]
    parity: Parity
    file_difference: float
    bridge_difference: float

    def __str__(self) -> str:
        last = ", ".join(f"{name} {value:.4g}" for name, value in self.history[-1].items())
        return (
            f"int8 file of {len(self.tflite):,} bytes after {len(self.history)} epochs ({last}); to the "
            f"float model: {self.parity}; file to emulation {self.file_difference:.2g} of the output range"
        )


def train_quantized(
    model,
    x,
    y=None,
    *,
    epochs: int = 3,
    loss: str | None = None,
    learning_rate: float = 1e-4,
    batch_size: int = 32,
    io: str = "int8",
    seed: int = 0,
    time_limit: float = 300.0,
    progress=None,
) -> QuantizedTraining:
    """Trains a copy of a model with int8 emulated, and converts it: quantization-aware training.

    ``tensorflow-model-optimization`` does the work in Keras 2, in a process of its own: the model is rebuilt
    there, is compared with the original, trains with quantization emulated (Jacob et al. 2018,
    arXiv:1712.05877) and becomes a ``.tflite`` file. Nothing changes here: neither the model, nor Keras, nor
    which modules are loaded. Needs ``pip install "tf-wgsef[qat]"``.

    The ranges of activations start from what is measured on the first batches. Batch norms that no
    convolution stands before become constants first, separable convolutions become two; other layers that the
    library does not know are named before training starts. Regularizers of layers are not taken along.

    Args:
        model: a trained (and stripped) Sequential or functional Keras 3 model, or a ``ProximalModel``. It is
            only read.
        x: training inputs as for ``model.fit``: an array, a dict by input name or a list; or, with
            ``y=None``, a ``tf.data.Dataset``, a ``keras.utils.PyDataset``, another iterable, or a function
            that returns an iterator, of batches ``(x, y)`` or ``(x, y, sample_weight)``. They are streamed,
            epoch by epoch.
        y: targets: classes, one-hot rows or numbers; for several outputs a dict by name or a list.
        epochs: how often the data are read.
        loss: "crossentropy", "mean_squared_error" or "mean_absolute_error"; if None, cross-entropy for
            classes and one-hot rows (of logits or of probabilities, as the model's last activation says),
            otherwise the squared error.
        learning_rate: of Adam in the first epoch; it falls along half a cosine.
        batch_size: of the batches that are cut from arrays.
        io: type of the file's inputs and outputs, "int8" or "float32".
        seed: of the order of the samples.
        time_limit: seconds that the library may go without a sign of life; on a few models it hangs.
        progress: called with an ``AwareProgress`` now and then.

    Raises:
        InputError: if an argument is not what is expected, or the extra ``qat`` is not installed.
        ConversionError: naming each layer that cannot be rebuilt in Keras 2 or quantized; or if the library
            fails, hangs, or makes a file that does not compute what was trained.

    Example:
        ``wgsef.train_quantized(result.model, x_train, y_train, epochs=5).tflite``
    """
    check_backend()
    if io not in ("int8", "float32"):
        raise InputError(f"Expected `io` to be 'int8' or 'float32'. Received: io={io!r}.")
    options = {
        "epochs": epochs,
        "loss": loss,
        "learning_rate": learning_rate,
        "batch_size": batch_size,
        "seed": seed,
        "time_limit": time_limit,
        "progress": progress,
    }
    job = Job("quantize", model, x, y, options, io=io)
    with job.run() as (folder, found, history):
        tflite = (folder / "model.tflite").read_bytes()
        with np.load(folder / "outputs.npz", allow_pickle=False) as outputs:
            emulated = [outputs[f"y{i}"] for i in range(len(outputs.files))]
    difference = _check_file(tflite, job, emulated)
    return QuantizedTraining(
        tflite, history, parity(job.model, tflite, job.samples), difference, found["difference"]
    )


def _check_file(tflite: bytes, job: Job, emulated) -> float:
    """Returns the largest difference of the file to what was emulated; raises if it is another computation.

    Emulation rounds where the file does, but folds nothing and sums in float: single outputs may be a few
    steps off.
    """
    _check_integer(tflite)
    runner = TFLiteRunner(tflite)
    names = job.description.plain["output_names"]
    received, worst = runner.predict(job.samples), 0.0
    for name, expected in zip(names, emulated, strict=True):
        size = float(np.ptp(expected)) or float(np.abs(expected).max()) or 1.0
        difference = float(np.abs(received[name] - expected).max())
        worst = max(worst, difference / size)
        # An output that hardly varies may be a few of its steps off.
        if not difference <= max(0.5 * size, 8 * runner.output_step(name)):
            raise ConversionError(
                f"Expected a file that computes what was trained. Received: output {name!r} with a "
                f"difference of {difference / size:.2g} of its range on {len(expected)} training inputs. Do "
                f"not use this file; "
                f'train longer, or use tf_wgsef.convert(model, quantization="int8").'
            )
    return worst


def _check_integer(tflite: bytes) -> None:
    """Raises if the file computes in float anywhere between its inputs and outputs."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    # Without a delegate, whose own tensors would be listed as well. Nothing is run.
    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    with quiet():
        interpreter = Interpreter(model_content=tflite, experimental_op_resolver_type=resolver)
    ends = [*interpreter.get_input_details(), *interpreter.get_output_details()]
    own = {details["index"] for details in ends}
    left = [
        d["name"]
        for d in interpreter.get_tensor_details()
        if d["dtype"] == np.float32 and d["index"] not in own
    ]
    if left:
        raise ConversionError(
            f"Expected a file of integers. Received: {len(left)} tensors in float32, the first of them "
            f'{left[0][:100]!r}. Replace that layer, or use tf_wgsef.convert(model, quantization="int8").'
        )
