"""A ``.tflite`` file on the LiteRT runtime, fed with arrays in the units of the Keras model."""

import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.validation import check_positive_int, read_tflite

from ._quiet import quiet
from ._signature import InputSpec, fit_array


class TFLiteRunner:
    """One loaded file, called by name.

    Integer inputs and outputs are quantized and dequantized with the scale and zero point that the
    file states, so that arrays go in and come out as the Keras model knows them.

    Args:
        tflite: the file: its bytes, or its path.
        threads: threads of the runtime.

    Raises:
        InputError: if it is no ``.tflite`` file, or the runtime cannot load it.
    """

    def __init__(self, tflite, *, threads: int = 1):
        from ai_edge_litert.interpreter import Interpreter

        data = read_tflite(tflite)
        threads = check_positive_int("threads", threads)
        try:
            with quiet():
                self._interpreter = Interpreter(model_content=data, num_threads=threads)
                self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise InputError(
                f"Expected a .tflite file that LiteRT can run. Received: {len(data)} bytes that it "
                f"refuses ({_one_line(error)}). Convert the model again."
            ) from error
        self.inputs, self.outputs = self._details()
        self.specs = [_spec(name, details) for name, details in self.inputs.items()]
        self.batch_size = self._batch_size()

    def predict(self, samples: dict) -> dict[str, np.ndarray]:
        """Returns the outputs for any number of samples, batch after batch.

        Args:
            samples: arrays of shape ``(n, ...)`` by input name, of the types of ``specs``.

        Returns:
            arrays of shape ``(n, ...)`` by output name, float32 where the file is quantized.
        """
        count = len(next(iter(samples.values())))
        parts = {name: [] for name in self.outputs}
        for start in range(0, count, self.batch_size):
            # The last batch is filled up with its last sample; the surplus is cut off below.
            rows = np.minimum(np.arange(start, start + self.batch_size), count - 1)
            for name, output in self._invoke({n: a[rows] for n, a in samples.items()}).items():
                parts[name].append(output)
        return {name: np.concatenate(part)[:count] for name, part in parts.items()}

    def output_step(self, name: str) -> float:
        """Returns the smallest step that the output ``name`` can make; 0 for a float output."""
        return float(self.outputs[name]["quantization"][0])

    def _details(self):
        """Returns the details of inputs and outputs by name, as the signature has them."""
        interpreter = self._interpreter
        if interpreter.get_signature_list():
            signature = interpreter.get_signature_runner()
            return signature.get_input_details(), signature.get_output_details()
        by_name = {details["name"]: details for details in interpreter.get_input_details()}
        return by_name, {d["name"]: d for d in interpreter.get_output_details()}

    def _batch_size(self):
        sizes = {len(d["shape"]) and int(d["shape"][0]) for d in self.inputs.values()}
        outputs = {len(d["shape"]) and int(d["shape"][0]) for d in self.outputs.values()}
        if len(sizes | outputs) != 1 or 0 in sizes:
            raise InputError(
                f"Expected a file whose inputs and outputs all start with the batch. Received: "
                f"batches={sorted(sizes)} in and {sorted(outputs)} out."
            )
        return sizes.pop()

    def _invoke(self, batch):
        for name, details in self.inputs.items():
            self._interpreter.set_tensor(details["index"], _quantize(batch[name], details))
        self._interpreter.invoke()
        return {
            name: _dequantize(self._interpreter.get_tensor(details["index"]), details)
            for name, details in self.outputs.items()
        }


def predict(tflite, x, *, threads: int = 1) -> np.ndarray | dict[str, np.ndarray]:
    """Runs a ``.tflite`` file on LiteRT, on this machine, over any number of samples.

    Inputs and outputs are in the units of the Keras model: where the file is quantized, they are
    quantized and dequantized here. Latency is not what this is for; see ``tf_wgsef.measure``.

    Args:
        tflite: the file: its bytes, or its path.
        x: an array of shape ``(n, ...)``; for several inputs a dict of arrays by input name.
        threads: threads of the runtime.

    Returns:
        an array of shape ``(n, ...)``; for several outputs a dict of arrays by output name.

    Raises:
        InputError: if the file is no ``.tflite`` file, or ``x`` does not fit its inputs.

    Example:
        >>> scores = predict(path, x_test)
        >>> scores.shape
        (32, 2)
    """
    runner = TFLiteRunner(tflite, threads=threads)
    outputs = runner.predict(_by_name(x, runner.specs))
    return outputs if len(outputs) > 1 else next(iter(outputs.values()))


def accuracy(tflite, x, y, *, threads: int = 1) -> float:
    """Returns the share of samples whose highest score in the file is at the right class.

    Args:
        tflite: the file: its bytes, or its path. Its one output is of shape ``(n, classes)``.
        x: inputs, as for ``predict``.
        y: classes of shape ``(n,)`` or ``(n, 1)``, or one-hot of shape ``(n, classes)``.
        threads: threads of the runtime.

    Raises:
        InputError: if the file, ``x`` or ``y`` do not fit each other.

    Example:
        >>> 0 <= accuracy(tflite, x_test, y_test) <= 1
        True
    """
    scores = predict(tflite, x, threads=threads)
    if isinstance(scores, dict):
        raise several_outputs()
    return share_right(scores, y)


def share_right(scores: np.ndarray, y) -> float:
    """Returns the share of rows whose highest score is at the right class.

    Args:
        scores: shape ``(n, classes)``.
        y: classes of shape ``(n,)`` or ``(n, 1)``, or one-hot of shape ``(n, classes)``.

    Raises:
        InputError: if the shapes do not fit, or ``y`` holds what is none of the classes.
    """
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise several_outputs(f"shape={scores.shape}")
    y = np.asarray(y)
    labels = y.argmax(axis=-1) if y.shape == scores.shape else y.reshape(-1)
    if labels.shape != scores.shape[:1]:
        raise InputError(
            f"Expected `y` with one class for each of the {len(scores)} samples. Received: shape={y.shape}."
        )
    _check_classes(labels, scores.shape[1])
    return float(np.mean(scores.argmax(axis=-1) == labels))


def _check_classes(labels, classes):
    """Refuses labels that the highest score can never be at: the share would be 0 without a word."""
    known = np.zeros(labels.shape, bool)
    if labels.dtype.kind in "biuf":
        # NaN is equal to nothing, so it is not known either.
        known = (labels >= 0) & (labels < classes) & (labels == np.floor(labels))
    if not known.all():
        wrong = labels[np.argmin(known)]
        raise InputError(
            f"Expected `y` of whole numbers from 0 to {classes - 1}, as the file has {classes} scores. "
            f"Received: {str(wrong)[:80]} at {np.argmin(known)}. Number the classes from 0."
        )


def several_outputs(received: str = "several outputs") -> InputError:
    """Returns the error of an accuracy that is asked of outputs that are no class scores.

    Args:
        received: what there is instead.
    """
    return InputError(
        f"Expected a file with one output of class scores, (n, classes). Received: {received}. "
        f"Compute the figure from tf_wgsef.convert.predict(tflite, x)."
    )


def _by_name(x, specs):
    """Returns ``x`` as checked arrays by input name."""
    names = [spec.name for spec in specs]
    if not isinstance(x, dict):
        if len(specs) > 1:
            # The order of inputs in a file is not the order in the Keras model: never by position.
            raise InputError(
                f"Expected `x` as a dict of arrays with the inputs {sorted(names)}. "
                f"Received: {type(x).__name__}."
            )
        x = {names[0]: x}
    if set(x) != set(names):
        raise InputError(
            f"Expected `x` with the inputs {sorted(names)}. Received: keys={sorted(map(str, x))}."
        )
    arrays = {spec.name: fit_array("x", x[spec.name], spec) for spec in specs}
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        raise InputError(f"Expected `x` with as many samples for each input, at least 1. Received: {counts}.")
    return arrays


def _spec(name, details):
    dtype = "float32" if details["quantization"][0] else np.dtype(details["dtype"]).name
    return InputSpec(name, tuple(int(size) for size in details["shape"][1:]), dtype)


def _quantize(array, details):
    scale, zero_point = details["quantization"]
    if not scale:
        return np.ascontiguousarray(array, dtype=details["dtype"])
    limits = np.iinfo(details["dtype"])
    steps = np.rint(array / np.float32(scale)) + zero_point
    return np.clip(steps, limits.min, limits.max).astype(details["dtype"])


def _dequantize(array, details):
    scale, zero_point = details["quantization"]
    if not scale:
        return array
    return (array.astype(np.float32) - zero_point) * np.float32(scale)


def _one_line(error):
    return " ".join(str(error).split())[:200]
