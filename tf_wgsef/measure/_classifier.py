"""A file that answers: the class with the highest score, for inputs that it is given."""

import numpy as np

from tf_wgsef.errors import InputError, MeasurementError
from tf_wgsef.tflite_arrays import (
    arrays_by_name,
    check_scores,
    dequantize,
    quantize,
    several_outputs,
    spec_of,
)

from ._model_file import ModelFile
from ._runtime import Runtime
from ._text import one_line


class Classifier:
    """A file in the runtime here, fed with arrays in the units of the Keras model.

    Attributes:
        classes: the number of classes that it has scores for.

    Args:
        runtime: the runtime to load it in.
        file: the file.
        threads: threads that the runtime may use.

    Raises:
        InputError: if the runtime refuses the file, or it gives no class scores.

    Example:
        ``Classifier(find_runtime(), read_model_file("model.tflite"), threads=1).answers(x_test)``
    """

    def __init__(self, runtime: Runtime, file: ModelFile, *, threads: int):
        self._file = file
        try:
            self._interpreter = runtime.interpreter_class(model_content=file.content, num_threads=threads)
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise InputError(
                f"Expected a .tflite file that LiteRT can run. Received: {file.name}, of {len(file.content)} "
                f"bytes, which it refuses ({one_line(error)}). Convert the model again."
            ) from error
        self._inputs, outputs = self._details()
        if len(outputs) != 1:
            raise several_outputs()
        (self._output,) = outputs.values()
        shape = tuple(int(size) for size in self._output["shape"])
        check_scores(shape)
        self.classes, self._batch = shape[1], shape[0]
        self._specs = [spec_of(name, details) for name, details in self._inputs.items()]
        if {int(one["shape"][0]) if len(one["shape"]) else 0 for one in self._inputs.values()} != {shape[0]}:
            raise several_outputs("inputs and an output that do not all start with the batch")

    def answers(self, x) -> np.ndarray:
        """Returns the class with the highest score of each sample, ``(n,)``.

        Args:
            x: an array of shape ``(n, ...)``; for several inputs a dict of arrays by input name.

        Raises:
            InputError: if it does not fit the file's inputs.
            MeasurementError: if the runtime fails.
        """
        arrays = arrays_by_name(x, self._specs)
        count = len(next(iter(arrays.values())))
        found = []
        for start in range(0, count, self._batch):
            # The last batch is filled up with its last sample; the surplus is cut off below.
            rows = np.minimum(np.arange(start, start + self._batch), count - 1)
            found.append(self._run({name: array[rows] for name, array in arrays.items()}).argmax(axis=-1))
        return np.concatenate(found)[:count]

    def _run(self, batch):
        try:
            for name, details in self._inputs.items():
                self._interpreter.set_tensor(details["index"], quantize(batch[name], details))
            self._interpreter.invoke()
            return dequantize(self._interpreter.get_tensor(self._output["index"]), self._output)
        except (RuntimeError, ValueError) as error:
            raise MeasurementError(
                f"Expected a file that the runtime can run. Received: {self._file.name}, which it could not "
                f"run: {one_line(error)}. Check its operators (custom and Flex ones are missing here)."
            ) from error

    def _details(self):
        """Returns the details of inputs and outputs by name, as the signature has them."""
        if self._interpreter.get_signature_list():
            signature = self._interpreter.get_signature_runner()
            return signature.get_input_details(), signature.get_output_details()
        by_name = {details["name"]: details for details in self._interpreter.get_input_details()}
        return by_name, {details["name"]: details for details in self._interpreter.get_output_details()}
