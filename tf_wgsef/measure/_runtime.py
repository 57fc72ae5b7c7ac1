"""The runtime here, ``ai_edge_litert`` or ``tflite_runtime``, and a file loaded in it."""

import dataclasses
import importlib
import importlib.metadata

import numpy as np

from tf_wgsef.errors import InputError, MeasurementError

from ._model_file import ModelFile

# Import name and distribution name, best first.
_RUNTIMES = (("ai_edge_litert", "ai-edge-litert"), ("tflite_runtime", "tflite-runtime"))


@dataclasses.dataclass(frozen=True)
class Runtime:
    """A LiteRT runtime for Python.

    Attributes:
        name: the name of its distribution, such as "ai-edge-litert".
        version: its version, or "unknown".
        interpreter_class: its ``Interpreter``.
    """

    name: str
    version: str
    interpreter_class: type = dataclasses.field(repr=False)


def find_runtime() -> Runtime:
    """Returns the first runtime that is installed.

    Raises:
        MeasurementError: if there is none.

    Example:
        ``find_runtime().version``
    """
    for module_name, distribution in _RUNTIMES:
        try:
            module = importlib.import_module(f"{module_name}.interpreter")
        except ImportError:
            continue
        return Runtime(distribution, _version(distribution), module.Interpreter)
    raise MeasurementError(
        "Expected a LiteRT runtime for Python on this machine. Received: neither ai_edge_litert "
        "nor tflite_runtime can be imported. Run `python -m pip install ai-edge-litert`."
    )


_TOO_OLD = ("Didn't find op", "builtin_code out of range", "Registration failed")
"""What older runtimes say of files for newer ones."""


class LoadedFile:
    """A file in the runtime with its tensors allocated and its inputs set: ready to run.

    Args:
        runtime: the runtime to load it in.
        file: the file.
        threads: threads that the runtime may use.
        seed: seed of the random inputs.

    Raises:
        InputError: if the runtime finds the file damaged.
        MeasurementError: if the runtime cannot run it, or is too old for it.

    Example:
        ``LoadedFile(find_runtime(), read_model_file("model.tflite"), threads=1, seed=0).invoke()``
    """

    def __init__(self, runtime: Runtime, file: ModelFile, *, threads: int, seed: int):
        self._file = file
        try:
            self._interpreter = runtime.interpreter_class(model_content=file.content, num_threads=threads)
        except ValueError as error:
            if any(sign in str(error) for sign in _TOO_OLD):
                raise MeasurementError(
                    f"Expected a runtime that knows the file's operators. Received: {file.name}, which it "
                    f"could not load: {_one_line(error)}. Install a newer one where it runs: python -m pip "
                    f"install --upgrade ai-edge-litert."
                ) from error
            raise InputError(
                f"Expected an intact .tflite file. Received: {file.name}, of {len(file.content)} "
                f"bytes, which the runtime refuses: {_one_line(error)}. Convert or copy it again."
            ) from error
        except RuntimeError as error:
            raise self._failure("load", error) from error
        try:
            self._allocate()
        except (RuntimeError, ValueError) as error:
            raise self._failure("allocate tensors for", error) from error
        self._set_inputs(np.random.default_rng(seed))

    def invoke(self) -> None:
        """Runs the file once.

        Raises:
            MeasurementError: if the runtime fails.
        """
        try:
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise self._failure("run", error) from error

    def describe_delegate(self) -> str:
        """Returns which operators left the runtime's own kernels, as far as its Python API tells.

        The API names no delegate. With none asked for, the Python wheels apply their default one,
        XNNPACK, and nothing else.
        """
        try:
            operators = self._interpreter._get_ops_details()
        except (AttributeError, RuntimeError, ValueError):
            return "unknown"
        partitions = [op for op in operators if op["op_name"] == "DELEGATE"]
        if not partitions:
            return "none"
        delegated = len(_delegated(operators, partitions))
        return (
            f"XNNPACK (default): {delegated} of {len(operators) - len(partitions)} operators "
            f"in {len(partitions)} partition{'s' if len(partitions) > 1 else ''}"
        )

    def _allocate(self):
        for detail in self._interpreter.get_input_details():
            shape = [int(size) for size in detail["shape"]]
            signature = detail.get("shape_signature", detail["shape"])
            wanted = [1 if s < 0 else size for size, s in zip(shape, signature, strict=True)]
            if wanted != shape:
                self._interpreter.resize_tensor_input(detail["index"], wanted)
        self._interpreter.allocate_tensors()

    def _set_inputs(self, rng):
        for detail in self._interpreter.get_input_details():
            dtype = np.dtype(detail["dtype"])
            if dtype.kind not in "fiub":
                raise MeasurementError(
                    f"Expected inputs of floats, integers or booleans. Received: {self._file.name} "
                    f"with an input of {dtype}. Measure the model behind that input."
                )
            quantized = detail["quantization"][0] != 0
            value = _random_input(rng, detail["shape"], dtype, quantized)
            self._interpreter.set_tensor(detail["index"], value)

    def _failure(self, verb, error):
        return MeasurementError(
            f"Expected a file that the runtime can run. Received: {self._file.name}, which it "
            f"could not {verb}: {_one_line(error)}. Check its operators (custom and Flex ones are "
            f"missing here) and its input shapes."
        )


def _random_input(rng, shape, dtype, quantized):
    """Floats are N(0, 1); quantized and 8-bit integers take their full range; others are 0 or 1.

    An unquantized int32 or int64 is mostly an index (a token of an embedding): 0 and 1 exist.
    """
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    if dtype.kind == "b" or not (quantized or dtype.itemsize == 1):
        return rng.integers(0, 2, shape).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def _delegated(operators, partitions):
    """Indices of the operators that the partitions replace; the API still lists them beside these.

    Each partition replaces what lies between its inputs and outputs: walk back from the outputs.
    """
    delegates = {op["index"] for op in partitions}
    maker = {int(tensor): op for op in operators if op["index"] not in delegates for tensor in op["outputs"]}
    found = set()
    for partition in partitions:
        stop = {int(tensor) for tensor in partition["inputs"]}
        pending = [int(tensor) for tensor in partition["outputs"]]
        while pending:
            tensor = pending.pop()
            op = maker.get(tensor)
            if tensor in stop or op is None or op["index"] in found:
                continue
            found.add(op["index"])
            pending.extend(int(source) for source in op["inputs"])
    return found


def _version(distribution):
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _one_line(error):
    return " ".join(str(error).split()).rstrip(".")
