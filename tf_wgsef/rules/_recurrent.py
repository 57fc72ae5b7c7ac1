"""Recurrent layers: SimpleRNN, GRU, LSTM, RNN around one of their cells, and ConvLSTM."""

import types

import keras
import numpy as np

from tf_wgsef.rules._activations import apply_to_constants, mixing_activation
from tf_wgsef.rules._call import Call, ParameterAxis
from tf_wgsef.rules._convolution import as_float64
from tf_wgsef.rules._registry import register_rule
from tf_wgsef.rules._rule import LIVE, LayerRule, count, positions
from tf_wgsef.rules._ties import Ties

_CELLS = (keras.layers.SimpleRNNCell, keras.layers.GRUCell, keras.layers.LSTMCell)
_CANDIDATES = {1: 0, 3: 2, 4: 2}
"""Number of gates: the place of the one whose activation feeds the state (GRU: z r h, LSTM: i f c o)."""


@register_rule(keras.layers.SimpleRNN, keras.layers.GRU, keras.layers.LSTM, keras.layers.RNN)
class RecurrentRule(LayerRule):
    """A layer of units that read the input and, one step later, each other.

    Kernel (inputs, gates · units), recurrent kernel (units, gates · units), bias (gates · units,), or
    (2, gates · units) for a GRU with ``reset_after``; gate by gate. A unit is silent when it starts at 0 and
    nothing drives its candidate. All outputs (the sequence, the final states) have the units as channels.
    """

    understands = frozenset({"initial_state", "mask", "sequences"})
    count_key = "units"

    def refusal(self, call: Call) -> str | None:
        layer = call.layer
        if type(layer.cell) not in _CELLS and type(layer) is keras.layers.RNN:
            return f"nothing is known of its {type(layer.cell).__name__}"
        if layer.stateful:
            return "it is stateful: its states outlive the call"
        if getattr(layer, "data_format", "channels_last") != "channels_last":
            return "data_format 'channels_first' is not covered"
        for activation in ("activation", "recurrent_activation"):
            function = getattr(layer.cell, activation, None)
            mixing = mixing_activation(types.SimpleNamespace(activation=function))
            if mixing:
                return f"{mixing} mixes its units"
        units = call.output_shapes[0][-1]
        if any(call.input_shapes[state][-1] != units for state in _states(call)):
            return "its initial state is broadcast along the units"
        return None

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        units = ties.fresh(call.output_shapes[0][-1])
        for state in _states(call):
            ties.unite(units, inputs[state])
        for mask in _masks(call):
            ties.pin(inputs[mask], f"a mask of {call.describe()}")
        return [units for _ in call.outputs]

    def parameters(
        self, call: Call, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> list[ParameterAxis]:
        cell, units = call.layer.cell, outputs[0]
        last = len(cell.kernel.shape) - 1
        gates = np.tile(units, cell.kernel.shape[-1] // len(units))
        axes = [
            ParameterAxis(cell.kernel, last, gates, "produce"),
            ParameterAxis(cell.kernel, last - 1, inputs[_sequence(call)], "consume"),
            ParameterAxis(cell.recurrent_kernel, last, gates, "produce"),
            ParameterAxis(cell.recurrent_kernel, last - 1, units, "consume"),
        ]
        if cell.use_bias:
            axes.append(ParameterAxis(cell.bias, len(cell.bias.shape) - 1, gates, "produce"))
        return axes

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        # A constant other than 0 is none: the state starts at 0, and masked steps show 0.
        silent = np.where(self._silent(call, values), 0.0, LIVE)
        return [silent for _ in call.outputs]

    def internal(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        # Not through units that are silent whatever comes in: they cut what they read.
        unknown = [np.full(shape[-1] or 1, LIVE) for shape in call.input_shapes]
        speaks = ~self._silent(call, unknown)
        cell = call.layer.cell
        reads = (_by_gate(cell, cell.recurrent_kernel) != 0).any((0, 2))
        needed = np.logical_or.reduce(used)
        while True:
            more = needed | reads[:, needed & speaks].any(1)
            if np.array_equal(more, needed):
                return [needed for _ in used]
            needed = more

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        needed = np.logical_or.reduce(used)
        reads = (_by_gate(call.layer.cell, call.layer.cell.kernel) != 0).any((0, 2))
        result = [np.ones(shape[-1] or 1, bool) for shape in call.input_shapes]
        result[_sequence(call)] = reads[:, needed].any(1)
        for state in _states(call):
            result[state] = needed
        return result

    def foldable(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        result = [value == 0 for value in values]
        if call.layer.cell.use_bias and self.sums_alike_everywhere(call):
            result[_sequence(call)] = np.isfinite(values[_sequence(call)])
        for mask in _masks(call):
            result[mask] = np.zeros(len(values[mask]), bool)
        return result

    def absorb(self, call: Call, values: list[np.ndarray]) -> np.ndarray | None:
        cell = call.layer.cell
        if not cell.use_bias:
            return None
        total = np.zeros(cell.bias.shape)
        kernel = as_float64(cell.kernel)
        kernel = kernel.reshape((-1, *kernel.shape[-2:])).sum(0)
        total.reshape(-1, kernel.shape[-1])[0] = values[_sequence(call)] @ kernel
        return total

    def bias(self, call: Call):
        return call.layer.cell.bias

    def resize(self, call: Call, config: dict, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> dict:
        if type(call.layer) is not keras.layers.RNN:
            return {**config, self.count_key: count(outputs[0])}
        cell = dict(config["cell"])
        cell.pop("build_config", None)  # it holds the old input's shape
        cell["config"] = {**cell["config"], self.count_key: count(outputs[0])}
        return {**config, "cell": cell}

    def work(self, call: Call) -> list[tuple]:
        cell = call.layer.cell
        steps = call.input_shapes[_sequence(call)][1] or 1
        spatial = len(cell.kernel.shape) - 2
        times = steps * positions((None, *call.output_shapes[0][-1 - spatial :]))
        return [(cell.kernel, times), (cell.recurrent_kernel, times)]

    def sums_alike_everywhere(self, call: Call) -> bool:
        """Whether a constant input channel adds the same to every position of the gates."""
        return True

    def _silent(self, call: Call, values: list[np.ndarray]) -> np.ndarray:
        """Which units are 0 at every step, bool of shape (units,): the greatest fixed point.

        SimpleRNN h = a(c); GRU h = z·h + (1 - z)·a(c); LSTM k = f·k + i·a(c), h = o·a(k).
        """
        cell = call.layer.cell
        recurrent = _by_gate(cell, cell.recurrent_kernel)
        gates = recurrent.shape[2]
        silent = self._candidate(call, values) == 0
        if gates == 4:
            silent &= apply_to_constants(cell.activation, np.zeros(1), cell) == 0
        for state in _states(call):
            silent &= values[state] == 0
        heard = (recurrent[:, :, _CANDIDATES[gates]] != 0).any(0)
        while True:
            still = silent & ~heard[~silent].any(0)
            if np.array_equal(still, silent):
                return silent
            silent = still

    def _candidate(self, call: Call, values: list[np.ndarray]) -> np.ndarray:
        """Each unit's candidate a(c) without its recurrent part: a constant, NaN where live."""
        cell, given = call.layer.cell, values[_sequence(call)]
        kernel = _by_gate(cell, cell.kernel)
        place = _CANDIDATES[kernel.shape[2]]
        known = given == 0
        if self.sums_alike_everywhere(call):
            known |= np.isfinite(given)
        total = np.einsum("i,piu->u", np.where(known, given, 0.0), kernel[:, :, place])
        live = (kernel[:, ~known, place] != 0).any((0, 1))
        if cell.use_bias:
            bias = as_float64(cell.bias).reshape(-1, *kernel.shape[2:])[:, place]
            total = total + bias[0]
            live |= (bias[1:] != 0).any(0)  # a GRU's recurrent bias, which the reset gate scales
        return apply_to_constants(cell.activation, np.where(live, LIVE, total), cell)


@register_rule(keras.layers.ConvLSTM1D, keras.layers.ConvLSTM2D, keras.layers.ConvLSTM3D)
class ConvRecurrentRule(RecurrentRule):
    """ConvLSTM: an LSTM with convolutions for products, kernels (*window, inputs, 4 · filters)."""

    count_key = "filters"

    def sums_alike_everywhere(self, call: Call) -> bool:
        """Padding brings zeros in at the border, unless the kernel sees one position only."""
        return call.layer.padding == "valid" or set(call.layer.kernel_size) == {1}


def _sequence(call: Call) -> int:
    """The input that is the sequence."""
    return call.input_called("0", "sequences", "inputs") or 0


def _states(call: Call) -> list[int]:
    """The inputs that are initial states."""
    return [i for i, given in enumerate(call.given) if given in ("1", "initial_state")]


def _masks(call: Call) -> list[int]:
    """The inputs that are masks."""
    return [i for i, given in enumerate(call.given) if given in ("2", "mask")]


def _by_gate(cell, kernel) -> np.ndarray:
    """A kernel of ``cell`` as float64 of shape (taps, inputs, gates, units)."""
    units = cell.recurrent_kernel.shape[-2]
    return as_float64(kernel).reshape((-1, kernel.shape[-2], kernel.shape[-1] // units, units))
