"""A Keras 3 model as plain data: layers, calls, inputs, outputs, and their weights."""

import dataclasses
import re

import keras
import numpy as np

from tf_wgsef.convert._flat import output_names
from tf_wgsef.convert._signature import input_specs
from tf_wgsef.errors import ConversionError
from tf_wgsef.graph._read import read_calls

from ._clean_config import clean_config

REBUILT = "rebuilt in Keras 2"


@dataclasses.dataclass(frozen=True)
class Description:
    """A model, ready to be sent to another process.

    Attributes:
        plain: layers, calls, inputs and outputs; JSON.
        layers: the Keras layers, in the order of ``plain["layers"]``.
    """

    plain: dict
    layers: tuple

    def weights(self) -> dict[str, np.ndarray]:
        """The arrays of all layers: weight k of layer i is called ``"i.k"``."""
        return {
            f"{i}.{k}": keras.ops.convert_to_numpy(weight)
            for i, layer in enumerate(self.layers)
            for k, weight in enumerate(layer.weights)
        }


def describe_model(flat) -> Description:
    """Describes a model.

    Args:
        flat: a functional model with flat lists of inputs and outputs; nested models are read in place of
            their call.

    Raises:
        InputError: if an input has no fixed shape or is not numeric.
        ConversionError: naming every layer that cannot be rebuilt in another Keras.

    Example:
        >>> from tf_wgsef.convert._flat import flat_model
        >>> from tf_wgsef.convert.aware._describe import describe_model
        >>> [layer["class"] for layer in describe_model(flat_model(model)).plain["layers"]]
        ['Dense', 'Dense']
    """
    reader = _Reader()
    reading = read_calls(flat)
    tensors = {key: reader.new_tensor() for key in reading.inputs}
    reader.read(reading, tensors, "")
    if reader.problems:
        raise ConversionError(refusal(REBUILT, flat.name, reader.problems))
    inputs = [
        {
            "name": spec.name,
            "shape": spec.shape,
            "dtype": spec.dtype,
            "tensor": tensors[key],
            "key": reader.key(spec.name),
        }
        for spec, key in zip(input_specs(flat), reading.inputs, strict=True)
    ]
    outputs = [{"tensor": tensors[key]} for key in reading.outputs]
    plain = {
        "name": flat.name,
        "layers": reader.entries,
        "calls": reader.calls,
        "inputs": inputs,
        "outputs": outputs,
    }
    plain["output_names"] = output_names(flat)
    return Description(plain, tuple(reader.layers))


def refusal(what: str, name: str, problems) -> str:
    """Returns the message that names every layer which stands in the way.

    Args:
        what: what the layers cannot be, such as "quantized".
        name: the model's name.
        problems: (class, name, reason) of each.
    """
    named = "; ".join(f"{kind} {path!r}: {reason}" for kind, path, reason in problems)
    advice = ""
    if what in ("quantized", REBUILT):
        advice = ' Replace them, or use tf_wgsef.convert(model, quantization="int8"), which asks less.'
    return f"Expected layers that can be {what}. Received: model={name!r} with {named}.{advice}"


class _Reader:
    """Collects the calls of a model and of those inside it."""

    def __init__(self):
        self.entries, self.layers, self.calls, self.problems = [], [], [], []
        self._index, self._keys, self._tensors = {}, set(), 0

    def new_tensor(self) -> str:
        self._tensors += 1
        return f"t{self._tensors}"

    def key(self, name: str) -> str:
        """A name that Keras 2 takes and no other layer has."""
        clean = base = re.sub(r"[^A-Za-z0-9_]", "_", name).lstrip("_") or "layer"
        count = 0
        while clean in self._keys:
            count += 1
            clean = f"{base}_{count}"
        self._keys.add(clean)
        return clean

    def read(self, reading, tensors: dict, prefix: str) -> None:
        for call in reading.calls:
            if isinstance(call.layer, keras.layers.InputLayer):
                continue
            path = f"{prefix}{call.layer.name}"
            if isinstance(call.layer, keras.Model):
                self._read_nested(call, tensors, path)
                continue
            for key in call.outputs:
                tensors[key] = self.new_tensor()
            reason = _why_not(call)
            if reason:
                problem = (type(call.layer).__name__, path, reason)
                self.problems += [problem] if problem not in self.problems else []
                continue
            self._add(call, tensors, path)

    def _read_nested(self, call, tensors, path):
        inner = read_calls(call.layer)
        if call.extras:
            self.problems.append(
                (type(call.layer).__name__, path, f"it is called with {', '.join(call.extras)}")
            )
        scope = dict(zip(inner.inputs, (tensors[key] for key in call.inputs), strict=True))
        self.read(inner, scope, f"{path}/")
        for key, number in zip(call.outputs, call.numbers, strict=True):
            tensors[key] = scope[inner.outputs[number]]

    def _add(self, call, tensors, path):
        layer = call.layer
        if id(layer) not in self._index:
            self._index[id(layer)] = len(self.layers)
            key, config = self.key(layer.name), clean_config(layer.get_config())
            entry = {
                "path": path,
                "class": type(layer).__name__,
                "key": key,
                "config": {**config, "name": key},
            }
            self.entries.append({**entry, "weights": len(layer.weights), "times": 0})
            self.layers.append(layer)
        index = self._index[id(layer)]
        self.entries[index]["times"] += 1
        self.calls.append(
            {
                "layer": index,
                "inputs": [tensors[key] for key in call.inputs],
                "as_list": len(call.inputs) > 1 and len(set(call.given)) < len(call.given),
                "outputs": [tensors[key] for key in call.outputs],
                "numbers": call.numbers,
                "shape": call.output_shapes[0],
            }
        )


def _why_not(call) -> str | None:
    """Why a call cannot be described; None if it can."""
    layer = call.layer
    if not isinstance(layer, keras.Layer):
        return "a raw keras.ops operation"
    if type(layer).__module__.partition(".")[0] != "keras":
        return "not a layer of Keras"
    if call.extras:
        return f"it is called with {', '.join(call.extras)}"
    if any(not given.isdigit() for given in call.given):
        return f"it is called with {', '.join(given for given in call.given if not given.isdigit())} by name"
    if layer.compute_dtype != "float32" and "float" in layer.compute_dtype:
        return f"it computes in {layer.compute_dtype}"
    return None
