"""The contract of a layer rule: what one family of layers does to the channels of its tensors.

A channel is an index along a tensor's last axis. Three questions are asked of a rule, each answered per
channel: which channels are one and the same (``tie``), what is known of a channel's value going forward
(``forward``), and whether anyone needs it going backward (``backward``). The same class says which entries
of which variables belong to which channel (``parameters``), how the layer's configuration changes with
the counts (``resize``), and what the layer costs (``macs``).
"""

import numpy as np

from tf_wgsef.rules._call import Call, ParameterAxis
from tf_wgsef.rules._ties import Ties

LIVE = np.nan
"""Stands, in an array of channel values, for a channel that depends on the model's input."""


class LayerRule:
    """What one family of layers does to channels. Rules hold no state.

    The base class is the rule of a layer that treats each channel by itself and keeps their order
    (activations, dropout, pooling): subclasses override what differs.
    """

    def refusal(self, call: Call) -> str | None:
        """Says why this rule does not cover ``call``, or None if it does.

        A refused call is a barrier: everything it touches stays, and reports show the reason.
        """
        return None

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

    def foldable(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        """Returns, per input, whether a constant channel may be cut here without a change of output.

        Layers that pass channels on have nothing to fold: the layer that consumes them does it.
        """
        return [np.ones(len(value), bool) for value in values]

    def absorb(self, call: Call, values: list[np.ndarray]) -> np.ndarray | None:
        """Returns what constant inputs add to the output before its activation, shape (outputs,).

        Args:
            call: the application of the layer.
            values: per input, the constant of each channel that is cut, 0 elsewhere.

        Returns:
            The sum to add to the bias, or None for a layer that has no sum over channels.
        """
        return None

    def resize(self, call: Call, config: dict, inputs: list[int], outputs: list[int]) -> dict:
        """Returns the layer's configuration for the given numbers of input and output channels."""
        return config

    def macs(self, call: Call) -> int:
        """Multiply-accumulates of one application to one sample."""
        return 0


def positions(shape) -> int:
    """Number of spatial positions of a tensor of ``shape`` (batch and channel axes left out).

    Unknown sizes count as 1.
    """
    return int(np.prod([size or 1 for size in shape[1:-1]], dtype=np.int64))
