"""The proof: the file on the LiteRT runtime against the Keras model, on the same inputs."""

import dataclasses
import math

import numpy as np

from tf_wgsef.errors import ConversionError, InputError
from tf_wgsef.validation import check_positive_int

from ._flat import call_flat, channel_graph, flat_model, output_names
from ._memory import is_large
from ._runtime import TFLiteRunner, several_outputs, share_right
from ._samples import collect_samples, random_samples
from ._signature import input_specs

SAMPLES = 16
_BATCH = 32


@dataclasses.dataclass(frozen=True)
class Parity:
    """How far a file is from the Keras model; of several outputs, figures of the worst one.

    Attributes:
        output: the name of that output, the one with the highest ``relative``.
        samples: how many samples were compared.
        max_abs_diff: the largest absolute difference, in units of the output.
        mean_abs_diff: the mean absolute difference, in units of the output.
        output_range: the largest minus the smallest value of the Keras model's output.
        relative: ``max_abs_diff`` as a share of ``output_range`` (of 1 % of the largest magnitude,
            if that is more: float32 cannot resolve an almost constant output finer than that).
        top1_agreement: the share of samples with the same highest score, over the outputs that look
            like class scores, ``(n, classes)``, the lowest; None if there are none.
    """

    output: str
    samples: int
    max_abs_diff: float
    mean_abs_diff: float
    output_range: float
    relative: float
    top1_agreement: float | None

    def __str__(self) -> str:
        top1 = "" if self.top1_agreement is None else f", top-1 agreement {self.top1_agreement:.1%}"
        return (
            f"output {self.output!r}: max difference {self.max_abs_diff:.3g}, "
            f"{self.relative:.3g} of the output range{top1} ({self.samples} samples)"
        )


@dataclasses.dataclass(frozen=True)
class Proof:
    """What was found of a fresh file.

    Attributes:
        parity: how far it is from the Keras model; None if it cannot be run here.
        accuracy: share of labelled samples that it gets right on LiteRT; None without labels.
        keras_accuracy: share that the Keras model gets right.
        problem: why the file should not be used; None if it may be.
    """

    parity: Parity | None
    keras_accuracy: float | None
    accuracy: float | None
    problem: str | None


def parity(model, tflite, inputs=None, *, samples: int = SAMPLES) -> Parity:
    """Compares a ``.tflite`` file, run on LiteRT here, with the Keras model that it came from.

    Inputs and outputs are matched by name, never by position.

    Args:
        model: the Keras model.
        tflite: the file, from ``convert``: its bytes, or its path.
        inputs: data as for ``calibration`` in ``convert``; by default random: standard normal for
            float inputs, zeros and ones for integer inputs.
        samples: at most this many samples are compared.

    Raises:
        InputError: if an argument is not what is expected, the file has other inputs or outputs
            than the model, or the Keras model itself gives NaN or infinite values on the inputs.
        ConversionError: if the file gives NaN or infinite values.

    Example:
        >>> parity(model, tflite, x_test).top1_agreement
        1.0
    """
    from tf_wgsef.graph import check_keras_model  # here, since reading a file needs no Keras

    model = check_keras_model(model)
    flat, specs = flat_model(model), input_specs(model)
    check_positive_int("samples", samples)
    if inputs is None:
        arrays = random_samples(specs, samples)
    else:
        arrays = collect_samples(inputs, specs, limit=samples, what="inputs")
    runner = TFLiteRunner(tflite)
    return _worst(_compare(flat, specs, runner, arrays))


def prove(flat, specs, tflite, arrays, labels=None, *, quantization: str, tolerance: float) -> Proof:
    """Compares a fresh file with its Keras model, and says what is wrong with it, if anything.

    Args:
        flat: the model, as ``flat_model`` returns it.
        specs: its inputs.
        tflite: the file's bytes.
        arrays: samples by input name.
        labels: their classes, if they are known.
        quantization: how the file was quantized.
        tolerance: the largest ``relative`` to accept.

    Raises:
        InputError: if the Keras model itself gives NaN or infinite values on the samples, or ``labels`` do
            not fit.
        ConversionError: if the file gives such values.
    """
    runner = TFLiteRunner(tflite)
    outputs = _compare(flat, specs, runner, arrays)
    worst = _worst(outputs)
    problem = None
    if worst.relative > tolerance:
        problem = (
            f"Expected the {quantization!r} file within {tolerance:g} of the model's output range. "
            f"Received: {worst}. If the model is very deep or its outputs hardly vary, pass real "
            f"inputs as calibration=..., or a larger tolerance=...."
        )
    for name, (expected, received) in outputs.items():
        problem = problem or _gross(name, expected, received, runner.output_step(name), quantization)
    right = [None, None]
    if labels is not None:
        if len(outputs) > 1:
            raise several_outputs()
        right = [share_right(scores, labels) for scores in next(iter(outputs.values()))]
    return Proof(worst, *right, problem)


def _compare(flat, specs, runner, arrays):
    """Returns ``{output name: (array from Keras, array from the file)}``, all finite."""
    names = output_names(flat)
    _check_names(specs, names, runner)
    results = _call(flat, [arrays[spec.name] for spec in specs])
    received = runner.predict(arrays)
    outputs = {}
    for name, result in zip(names, results, strict=True):
        expected = np.asarray(result).astype(np.float64)
        outputs[name] = (expected, np.asarray(received[name]).astype(np.float64))
        if not np.isfinite(expected).all():
            raise InputError(
                f"Expected finite outputs of the Keras model to compare with. Received: NaN or "
                f"infinity in output {name!r}. Pass inputs that it is "
                f"made for (calibration=x_train)."
            )
        if not np.isfinite(outputs[name][1]).all():
            raise ConversionError(
                f"Expected finite outputs of the .tflite file. Received: NaN or infinity in output "
                f"{name!r}, where the Keras model's are finite. Do not use this file; with "
                f'"float16", weights or activations beyond 65504 overflow: use "none".'
            )
    return outputs


def _call(flat, arrays):
    """Returns the outputs of the Keras model, computed in batches: all at once may not fit into memory."""
    size = _batch_size(flat)
    starts = range(0, len(arrays[0]), size)
    parts = [call_flat(flat, [array[i : i + size] for array in arrays]) for i in starts]
    return [np.concatenate([np.asarray(one) for one in output]) for output in zip(*parts, strict=True)]


def _batch_size(flat) -> int:
    """Returns for how many samples Keras, which holds all activations, takes no more than a large model."""
    if not is_large(flat):
        return _BATCH
    graph = channel_graph(flat)
    if graph is None:
        return 1
    shapes = [shape for call in graph.calls for shape in call.output_shapes]
    activations = sum(math.prod(size or 1 for size in shape[1:]) for shape in shapes)
    weights = sum(math.prod(variable.shape) for variable in flat.variables)
    return min(max(weights // max(activations, 1), 1), _BATCH)


def _check_names(specs, names, runner):
    model_inputs = {spec.name: spec.shape for spec in specs}
    file_inputs = {spec.name: spec.shape for spec in runner.specs}
    if model_inputs != file_inputs or set(names) != set(runner.outputs):
        raise InputError(
            f"Expected a file of this model, with inputs {model_inputs} and outputs "
            f"{sorted(names)}. Received: inputs {file_inputs} and outputs "
            f"{sorted(runner.outputs)}. Make it with tf_wgsef.convert(model)."
        )


def _worst(outputs) -> Parity:
    each = [_measure(name, *pair) for name, pair in outputs.items()]
    worst = max(each, key=lambda parity: parity.relative)
    agreements = [p.top1_agreement for p in each if p.top1_agreement is not None]
    return dataclasses.replace(worst, top1_agreement=min(agreements, default=None))


def _measure(name, expected, received) -> Parity:
    difference = np.abs(expected - received)
    top1 = None
    if expected.ndim == 2 and expected.shape[1] > 1:
        top1 = float(np.mean(expected.argmax(axis=1) == received.argmax(axis=1)))
    scale = max(float(np.ptp(expected)), 0.01 * float(np.abs(expected).max()))
    largest = float(difference.max())
    return Parity(
        output=name,
        samples=len(expected),
        max_abs_diff=largest,
        mean_abs_diff=float(difference.mean()),
        output_range=float(np.ptp(expected)),
        # An output of zeros only has no scale.
        relative=largest / scale if scale else largest,
        top1_agreement=top1,
    )


def _gross(name, expected, received, step, quantization):
    """Says what no quantization explains: outputs that stand still, or are off by their size; or None.

    An integer output of step ``step`` cannot follow changes below it, and on an untrained model the
    outputs may well vary by less: four steps are allowed for.
    """
    still = np.ptp(received, axis=0).max() == 0 and np.ptp(expected, axis=0).max() > 4 * step
    size = max(np.ptp(expected), np.abs(expected).max())
    far = np.abs(expected - received).max() > size + 4 * step
    if (still and len(expected) > 1) or far:
        fault = "does not change with the inputs" if still else "is off by more than its own size"
        return (
            f"Expected the {quantization!r} file that follows the Keras model. Received: output "
            f"{name!r} {fault}. Pass real, normalized training data as calibration=..., or try "
            f'quantization="float16".'
        )
    return None
