"""A ``.tflite`` file on the LiteRT runtime, fed with arrays in the units of the Keras model."""

import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.tflite_arrays import (
    arrays_by_name,
    dequantize,
    quantize,
    several_outputs,
    share_right,
    spec_of,
)
from tf_wgsef.validation import check_positive_int, read_tflite

from ._quiet import quiet


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
        self.specs = [spec_of(name, details) for name, details in self.inputs.items()]
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
            self._interpreter.set_tensor(details["index"], quantize(batch[name], details))
        self._interpreter.invoke()
        return {
            name: dequantize(self._interpreter.get_tensor(details["index"]), details)
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
    outputs = runner.predict(arrays_by_name(x, runner.specs))
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


def _one_line(error):
    return " ".join(str(error).split())[:200]
