"""What a file says of itself: labels, normalisation, level, and the hash of the model that it came from.

It is stored twice: as JSON under a name of our own, which ``read_metadata`` reads, and, where there are
labels or a normalisation, as TFLite metadata for other tools. A runtime looks at neither.
"""

import hashlib
import json
from collections.abc import Mapping

import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.validation import is_finite_number

from ._schema import Graph, read_buffer, read_graph
from ._shared_constants import share_constants
from ._standard_metadata import LABELS_FILE, STANDARD_NAME, standard_metadata
from ._write_model import write_model

NAME = "tf_wgsef"
_LIMIT = 1 << 24
_LARGEST_FLOAT = float(np.finfo(np.float32).max)


def weights_hash(model) -> str:
    """Returns the SHA-256 of a model's variables, in the order of ``model.variables``.

    Of each, the type, the shape and the values count. The file's own hash changes with each saving, since
    it holds a date.

    Args:
        model: a Keras model, built.

    Example:
        >>> len(weights_hash(model))
        64
    """
    digest = hashlib.sha256()
    for variable in model.variables:
        value = np.ascontiguousarray(variable.numpy())
        digest.update(f"{value.dtype}{value.shape}".encode())
        digest.update(value.reshape(-1).view(np.uint8))
    return digest.hexdigest()


def check_metadata(metadata: Mapping | None) -> dict:
    """Returns what a user wants to be in the file, as JSON types.

    Args:
        metadata: any JSON values by name; "labels" is a list of class names, "normalization" a dict of
            "mean" and "std", each a number or one per channel.

    Raises:
        InputError: if it is something else.

    Example:
        >>> check_metadata({"labels": ("cat", "dog"), "normalization": {"mean": 0, "std": 255}})
        {'labels': ['cat', 'dog'], 'normalization': {'mean': [0.0], 'std': [255.0]}}
    """
    if not isinstance(metadata, Mapping | None):
        raise InputError(
            f"Expected `metadata` to be a dict such as {{'labels': ['cat', 'dog']}}. Received: "
            f"{type(metadata).__name__}."
        )
    found = dict(metadata or {})
    if "labels" in found:
        found["labels"] = _check_labels(found["labels"])
    if "normalization" in found:
        found["normalization"] = _check_normalization(found["normalization"])
    try:
        json.dumps(found, allow_nan=False)
        others = _keys_that_are_no_text(found)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"Expected `metadata` that JSON can hold. Received: {error}.") from error
    if others:
        raise InputError(
            f"Expected `metadata` with names as keys. Received: the key {others[0]!r:.100}. Write a string."
        )
    return found


def write_metadata(tflite: bytes, metadata: dict) -> bytes:
    """Returns the file with ``metadata`` in it; what it computes stays the same.

    Constants that are equal are stored once. All buffers are aligned to 16 bytes on the way, as the schema of
    the format asks: TensorFlow's converter leaves them at multiples of 4, and some microcontrollers cannot
    read 8 bytes there.

    Args:
        tflite: the file.
        metadata: from ``check_metadata``.
    """
    from ai_edge_litert import schema_py_generated as schema

    entries = {NAME: json.dumps(metadata, sort_keys=True).encode()}
    if "labels" in metadata or "normalization" in metadata:
        entries[STANDARD_NAME] = standard_metadata(read_graph(tflite), metadata)
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite, 0))
    share_constants(model)
    model.metadata = [one for one in model.metadata or [] if _name(one) not in entries]
    for name, content in entries.items():
        buffer, entry = schema.BufferT(), schema.MetadataT()
        buffer.data = np.frombuffer(content, np.uint8)
        entry.name, entry.buffer = name, len(model.buffers)
        model.buffers.append(buffer)
        model.metadata.append(entry)
    return write_model(model, labels=metadata.get("labels"))


def read_metadata(tflite, graph: Graph | None = None) -> dict | None:
    """Returns what ``convert`` wrote about the model, or None if there is nothing.

    Args:
        tflite: the file: its bytes, or its path.
        graph: as ``read_graph`` returns it, if that is known.

    Raises:
        InputError: if what is there cannot be read.

    Example:
        >>> sorted(read_metadata(tflite))
        ['quantization', 'source_sha256']
    """
    graph = graph or read_graph(tflite)
    number = graph.metadata.get(NAME)
    if number is None:
        return None
    try:
        if not 0 <= number < len(graph.buffers) or graph.buffers[number] > _LIMIT:
            raise ValueError("its buffer is missing or too large")
        found = json.loads(read_buffer(tflite, number), parse_constant=_no_constant)
        if not isinstance(found, dict):
            raise ValueError("it is no object")
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"Expected metadata that tf_wgsef wrote. Received: a file whose metadata cannot be read "
            f"({type(error).__name__}: {str(error)[:100]}). Convert the model again."
        ) from error
    return found


def _listed(value) -> list:
    """One number, or several, as a list."""
    return list(value) if isinstance(value, list | tuple) else np.atleast_1d(value).tolist()


def _keys_that_are_no_text(value) -> list:
    """The keys of dicts, at any depth, that are no strings: JSON would make them some, or not sort them."""
    if isinstance(value, Mapping):
        own = [key for key in value if not isinstance(key, str)]
        return own + _keys_that_are_no_text(list(value.values()))
    if not isinstance(value, list | tuple):
        return []
    return [key for one in value for key in _keys_that_are_no_text(one)]


def _no_constant(name: str):
    raise ValueError(f"{name} is no JSON")


def _name(entry) -> str:
    return entry.name.decode(errors="replace") if isinstance(entry.name, bytes) else str(entry.name)


def _check_labels(labels) -> list[str]:
    names = list(labels) if isinstance(labels, list | tuple) else []
    if not names or not all(isinstance(one, str) and one.isprintable() for one in names):
        raise InputError(
            f"Expected `labels` as a list of class names, one line each. Received: {labels!r:.200}. "
            f"They go into {LABELS_FILE}."
        )
    return names


def _check_normalization(value) -> dict[str, list[float]]:
    keys = set(value) if isinstance(value, Mapping) else None
    if keys == {"mean", "std"}:
        lists = {key: _listed(value[key]) for key in ("mean", "std")}
        numbers = [one for values in lists.values() for one in values]
        fit = all(is_finite_number(one) and abs(one) <= _LARGEST_FLOAT for one in numbers)
        if all(lists.values()) and fit and all(one > 0 for one in lists["std"]):
            return {key: [float(one) for one in values] for key, values in lists.items()}
    raise InputError(
        "Expected `normalization` as {'mean': …, 'std': …}, numbers or one per channel, std above 0: inputs "
        f"are (raw - mean) / std. Received: {value!r:.200}."
    )
