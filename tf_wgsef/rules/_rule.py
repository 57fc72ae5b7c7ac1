"""The contract of a layer rule: what one family of layers does to the channels of its tensors.

A channel is an index along a tensor's last axis. Three questions are asked of a rule, each answered per
channel: which channels are one and the same (``tie``), what is known of a channel's value going forward
(``forward``), and whether anyone needs it going backward (``backward``). The same class says which entries
of which variables belong to which channel (``parameters``), how the layer's configuration changes with
the counts (``resize``), and what the layer multiplies (``work``).
"""

from typing import Any

import numpy as np

from tf_wgsef.rules._call import Call, ParameterAxis
from tf_wgsef.rules._ties import Ties

LIVE = np.nan
"""Stands, in an array of channel values, for a channel that depends on the model's input."""


class LayerRule:
    """What one family of layers does to channels. Rules hold no state.

    The base class is the rule of a layer that treats each channel by itself and keeps their order
    (activations, dropout, pooling): subclasses override what differs.

    Attributes:
        understands: names of the extra arguments of a call (``Call.extras``) that the rule accounts for;
            a call with any other is a barrier.
    """

    understands: frozenset[str] = frozenset()

    def refusal(self, call: Call) -> str | None:
        """Says why this rule does not cover ``call``, or None if it does.

        A refused call is a barrier: everything it touches stays, and reports show the reason.
        """
        return None

    def without_channels(self, call: Call) -> tuple[int, ...]:
        """Returns the numbers of the inputs whose last axis runs over something else, such as masks."""
        return tuple(index for index, given in enumerate(call.given) if "mask" in given)

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        """Returns the channel ids of each output, given those of each input.

        Args:
            call: the application of the layer.
            inputs: per input, ids of shape (channels,).
            ties: where new ids come from, and where ids are tied or pinned.
        """
        return [inputs[0]]

    def parameters(
        self, call: Call, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> list[ParameterAxis]:
        """Returns every axis of every variable that runs over channels."""
        return []

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        """Returns, per output, each channel's constant value, or ``LIVE`` (NaN) where it is not constant.

        A channel is constant when it has the same value at every position for every input of the model.

        Args:
            call: the application of the layer.
            values: per input, shape (channels,), float64.
        """
        return [values[0]]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        """Returns, per input, which channels the used outputs depend on, bool of shape (channels,)."""
        return [used[0] for _ in call.inputs]

    def internal(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        """Returns, per output, which channels are used, those that the layer itself reads again included.

        A recurrent layer's unit is needed where another one that is used reads it a step later.
        """
        return used

    def foldable(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        """Returns, per input, whether a constant channel may be cut here without a change of output.

        Layers that pass channels on have nothing to fold: the layer that consumes them does it.
        """
        return [np.ones(len(value), bool) for value in values]

    def absorb(self, call: Call, values: list[np.ndarray]) -> np.ndarray | None:
        """Returns what constant inputs add to the layer's ``bias``, of the bias's shape.

        Args:
            call: the application of the layer.
            values: per input, the constant of each channel that is cut, 0 elsewhere.

        Returns:
            The sum to add, before the activation, or None for a layer that has no sum over channels. A
            layer without a bias gets one, if its configuration has ``use_bias``.
        """
        return None

    def bias(self, call: Call):
        """Returns the variable that ``absorb`` adds to, or None where there is none yet."""
        return getattr(call.layer, "bias", None)

    def needs(self, call: Call, values: list[np.ndarray], keeps: list[np.ndarray]) -> list[bool]:
        """Returns, per input, whether the call still needs it; an input that is not needed is dropped.

        At least one is. With one left, and ``identity`` true for one input, the call itself disappears.

        Args:
            call: the application of the layer.
            values: per input, each channel's constant, NaN where live.
            keeps: per input, which channels stay, bool of shape (channels,).
        """
        return [True] * len(call.inputs)

    def restore(
        self, call: Call, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Returns the channels that stay, with some more where the layer cannot do with so few.

        A layer may need equal numbers per group or head; then some silent channels stay.

        Args:
            call: the application of the layer.
            inputs: per input, which channels stay, bool of shape (channels,).
            outputs: the same per output.
        """
        return inputs, outputs

    def identity(self, call: Call, needed: list[bool]) -> bool:
        """Says whether the call returns its only needed input, unchanged, so that it can disappear."""
        return False

    def repeats(self, call: Call, before: Call) -> bool:
        """Says whether the call returns whatever ``before`` did, unchanged, as a ReLU behind a ReLU does.

        Args:
            call: the application of the layer.
            before: the one that made its only needed input.
        """
        return False

    def resize(self, call: Call, config: dict, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> dict:
        """Returns the layer's configuration for the channels that stay.

        Args:
            call: the application of the layer.
            config: the configuration as it is.
            inputs: per input, which channels stay, bool of shape (channels,).
            outputs: the same per output.
        """
        return config

    def factor(self, call: Call, variable, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> float:
        """Returns what a variable must be multiplied by once channels are gone.

        Layers that divide by a number of channels (attention by √key_dim) need it.

        Args:
            call: the application of the layer.
            variable: one of its variables.
            inputs: per input, which channels stay, bool of shape (channels,).
            outputs: the same per output.
        """
        return 1.0

    def select(
        self, call: Call, variable, inputs: list[np.ndarray], outputs: list[np.ndarray]
    ) -> np.ndarray | None:
        """Returns what stays of a variable whose channels do not run along axes; None for any other.

        Args:
            call: the application of the layer.
            variable: one of its variables.
            inputs: per input, which channels stay, bool of shape (channels,).
            outputs: the same per output.
        """
        return None

    def window(self, call: Call) -> object | None:
        """Returns the variable with a spatial window in its first axes, (*window, …), or None."""
        return None

    def work(self, call: Call) -> list[tuple[Any, int]]:
        """Returns what the layer multiplies in one application to one sample.

        Returns:
            Pairs: a variable, or the key of a tensor; and in how many multiply-accumulates each entry of the
            variable, or each channel of the tensor, takes part.
        """
        return []

    def macs(self, call: Call) -> int:
        """Multiply-accumulates of one application to one sample: the sum over ``work``."""
        sizes = dict(
            zip((*call.inputs, *call.outputs), (*call.input_shapes, *call.output_shapes), strict=True)
        )

        def size(of) -> int:
            return (sizes[of][-1] or 1) if isinstance(of, tuple) else int(np.prod(of.shape, dtype=np.int64))

        return sum(times * size(of) for of, times in self.work(call))


class CompoundRule(LayerRule):
    """The rule of a layer that is made of others: it says which, and they are asked in its place."""

    def parts(self, call: Call) -> list[Call]:
        """Returns the calls inside ``call``, in order of execution.

        They start from ``call.inputs``, pass tensors on by ``call.inside(part)`` and end in
        ``call.outputs``. Their layers may be wrapped layers, Keras layers made for the purpose, or objects of
        a class that has a registered rule; their paths start with ``call.name``.
        """
        raise NotImplementedError

    def children(self, layer) -> dict:
        """Returns {key in the configuration: wrapped layer}."""
        return {}

    def resize_parts(self, layer, config: dict, keeps: dict[str, np.ndarray]) -> dict:
        """Returns the layer's configuration once channels are gone.

        Args:
            layer: the layer.
            config: its configuration; those of its children are already new.
            keeps: {last part of a part's path: which of its output channels stay}.
        """
        return config


def count(keeps: np.ndarray) -> int:
    """How many channels stay."""
    return int(keeps.sum())


def positions(shape) -> int:
    """Number of spatial positions of a tensor of ``shape`` (batch and channel axes left out).

    Unknown sizes count as 1.
    """
    return int(np.prod([size or 1 for size in shape[1:-1]], dtype=np.int64))
