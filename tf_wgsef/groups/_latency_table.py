"""LatencyTable: what the layers of a model cost on a device, by the channels that they keep."""

import dataclasses
import json
import operator
import os
import pathlib
from collections.abc import Mapping

import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.graph import build_channel_graph
from tf_wgsef.groups._layer_words import describe_layer, multiplies
from tf_wgsef.rules import Call, LayerRule
from tf_wgsef.validation import check_non_negative, check_positive_int

_SCHEMA = "tf_wgsef.LatencyTable/1"


@dataclasses.dataclass(frozen=True)
class LayerLatency:
    """Measured latencies of one layer.

    Attributes:
        inputs: numbers of input channels that were measured, rising; the last is the dense layer's.
        outputs: the same of its output channels.
        microseconds: shape (len(inputs), len(outputs)).
        of: the layer in words, as ``describe_layer`` has them; "" if nobody knows (tables written by hand).
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    microseconds: np.ndarray
    of: str = ""

    def __post_init__(self):
        try:
            object.__setattr__(self, "inputs", tuple(operator.index(n) for n in self.inputs))
            object.__setattr__(self, "outputs", tuple(operator.index(n) for n in self.outputs))
            object.__setattr__(self, "microseconds", np.asarray(self.microseconds, dtype=np.float64))
            np.asarray((*self.inputs, *self.outputs), dtype=np.int64)
            object.__setattr__(self, "of", str(self.of))
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(
                f"Expected whole numbers of channels, and microseconds as rows of numbers. Received: {error}."
            ) from error
        for counts in (self.inputs, self.outputs):
            if not counts or counts[0] < 1 or (np.diff(counts) <= 0).any():
                raise InputError(
                    f"Expected rising numbers of channels of at least 1. Received: {counts}. Sort them."
                )
        expected = (len(self.inputs), len(self.outputs))
        values = self.microseconds
        if values.shape != expected or not np.isfinite(values).all() or (values < 0).any():
            raise InputError(
                f"Expected finite microseconds of at least 0, shape {expected}. Received: shape "
                f"{values.shape}, from {values.min(initial=0)} to {values.max(initial=0)}."
            )

    def microseconds_of(self, inputs: int, outputs: int) -> float:
        """Microseconds with so many channels, interpolated linearly between those that were measured.

        Below the smallest measured number the latency is that of the smallest: a call is never free; with
        no channel at all the layer is gone.
        """
        if not inputs or not outputs:
            return 0.0
        rows = [np.interp(outputs, self.outputs, row) for row in self.microseconds]
        return float(np.interp(inputs, self.inputs, rows))


@dataclasses.dataclass(frozen=True)
class LatencyTable:
    """Measured latencies of the layers of one model on one device.

    Attributes:
        device: where it was measured, for people.
        layers: {layer name: its latencies}; layers that are not listed cost nothing.
        overhead: microseconds of a call of the whole model that no layer accounts for.
        channel_step: output channels that the runtime computes at a time there, the natural ``round_to``;
            None if it is not known.
        others: names of the model's layers that multiply and have no row: they are part of the overhead.
            None if nobody knows (tables written by hand).

    Example:
        >>> table = LatencyTable(
        ...     "a board", {"conv": LayerLatency((3,), (8, 16, 32), [[10.0, 10.0, 20.0]])}, overhead=5.0)
        >>> table.layers["conv"].microseconds_of(3, 24)
        15.0
        >>> LatencyTable.from_json(table.to_json()).device
        'a board'
    """

    device: str
    layers: dict[str, LayerLatency]
    overhead: float = 0.0
    channel_step: int | None = None
    others: tuple[str, ...] | None = None

    def __post_init__(self):
        rows = self.layers.values() if isinstance(self.layers, Mapping) else (None,)
        if not all(isinstance(row, LayerLatency) for row in rows):
            raise InputError(
                f"Expected `layers` to be {{layer name: LayerLatency}}. Received: layers={self.layers!r}."
            )
        object.__setattr__(self, "overhead", check_non_negative("overhead", self.overhead))
        if self.channel_step is not None:
            check_positive_int("channel_step", self.channel_step)
        if self.others is not None:
            object.__setattr__(self, "others", tuple(map(str, self.others)))

    def predict(self, model) -> float:
        """Returns the microseconds that the table gives for a model, or for what ``strip`` left of it.

        Args:
            model: the Keras model of the table, or a smaller one with the same layer names.

        Raises:
            InputError: if it is of another model: it has none of the table's layers, a larger one, one of
                another kind or size, or one that the table does not know.

        Example:
            >>> import keras
            >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, name="dense")])
            >>> row = LayerLatency((4,), (4, 8), [[1.0, 3.0]])
            >>> LatencyTable("a board", {"dense": row}, overhead=0.5).predict(model)
            3.5
        """
        graph = build_channel_graph(model)
        total, known = self.overhead, False
        for call, rule in zip(graph.calls, graph.rules, strict=True):
            row = self.layers.get(call.name)
            if row is None or not call.inputs:
                self._check_other(call, rule)
                continue
            counts = len(graph.ids[call.inputs[0]]), len(graph.ids[call.outputs[0]])
            self._check_kind(call)
            if counts[0] > row.inputs[-1] or counts[1] > row.outputs[-1]:
                self.check(call, *counts)
            total, known = total + row.microseconds_of(*counts), True
        if not known:
            self.check_all_known((), graph.model.name)
        return total

    def check(self, call: Call, inputs: int, outputs: int) -> None:
        """Checks that a layer of a dense model is the one that was measured.

        Args:
            call: its application.
            inputs: its input channels.
            outputs: its output channels.

        Raises:
            InputError: if it is of another kind, or its dense numbers of channels are others.
        """
        self._check_kind(call)
        name, row = call.name, self.layers[call.name]
        if (row.inputs[-1], row.outputs[-1]) != (inputs, outputs):
            raise InputError(
                f"Expected a latency table of this model. Received: one in which {name!r} has up to "
                f"{row.inputs[-1]} input and {row.outputs[-1]} output channels; here it has {inputs} and "
                f"{outputs}. Measure this model."
            )

    def _check_kind(self, call: Call) -> None:
        known, here = self.layers[call.name].of, describe_layer(call)
        if known and known != here:
            raise InputError(
                f"Expected a latency table of this model. Received: one in which {call.name!r} is {known}; "
                f"here it is {here}. Measure this model."
            )

    def _check_other(self, call: Call, rule: LayerRule) -> None:
        if self.others is not None and call.name not in self.others and multiplies(call, rule):
            raise InputError(
                f"Expected a latency table of this model. Received: one without {call.name!r} "
                f"({describe_layer(call)}). Measure this model; name its layers, or load the saved one: "
                f"Keras numbers unnamed layers anew."
            )

    def check_all_known(self, names, model: str) -> None:
        """Checks that every layer of the table was found among ``names``, and that there is one.

        Raises:
            InputError: naming the layer that is missing.
        """
        missing = [name for name in self.layers if name not in names]
        if missing or not self.layers:
            raise InputError(
                f"Expected a latency table of model {model!r}. Received: one "
                f"{'with layer ' + repr(missing[0]) + ', which it lacks' if missing else 'without layers'}. "
                f"Measure this model."
            )

    def to_json(self) -> str:
        """Returns the table as a JSON text that ``from_json`` reads back."""
        layers = {
            name: {
                "inputs": row.inputs,
                "outputs": row.outputs,
                "microseconds": row.microseconds.tolist(),
                "of": row.of,
            }
            for name, row in self.layers.items()
        }
        return json.dumps(
            {
                "schema": _SCHEMA,
                "device": self.device,
                "overhead": self.overhead,
                "channel_step": self.channel_step,
                "others": self.others,
                "layers": layers,
            }
        )

    @classmethod
    def load(cls, path: str | os.PathLike) -> "LatencyTable":
        """Reads the file that ``tf-wgsef latency-table`` wrote.

        Args:
            path: the file.

        Raises:
            InputError: if it is not there, or no such table.
        """
        try:
            text = pathlib.Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"Expected a latency table, as tf-wgsef latency-table writes it. Received: {str(path)!r}, "
                f"which cannot be read: {getattr(error, 'strerror', None) or error}."
            ) from error
        return cls.from_json(text)

    @classmethod
    def from_json(cls, text: str) -> "LatencyTable":
        """Reads what ``to_json`` wrote.

        Raises:
            InputError: if ``text`` is no such table.
        """
        try:
            data = json.loads(text)
            if data["schema"] != _SCHEMA:
                raise ValueError(f"schema {data['schema']!r}")
            layers = {name: LayerLatency(**row) for name, row in data["layers"].items()}
            # Tables written by hand may lack these.
            step, others = data.get("channel_step"), data.get("others")
            return cls(str(data["device"]), layers, float(data["overhead"]), step, others)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            raise InputError(
                f"Expected a JSON text written by LatencyTable.to_json ({_SCHEMA}). Received: {error}."
            ) from error
