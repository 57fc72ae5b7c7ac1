"""One application of a layer to tensors: what every rule is asked about."""

import dataclasses
from typing import Any

import numpy as np

TensorKey = tuple[str, int, int]
"""A tensor of a model: (operation's name, index of the call, index of the output)."""

Shape = tuple[int | None, ...]


@dataclasses.dataclass(frozen=True)
class Call:
    """One application of a layer (or of a raw ``keras.ops`` operation) to tensors.

    Attributes:
        layer: the ``keras.Layer`` or ``keras.Operation``.
        inputs: keys of its input tensors, in the order of its arguments.
        outputs: keys of its output tensors.
        input_shapes: one shape per input, the batch axis first (None where unknown).
        output_shapes: one shape per output.
        arguments: of a raw operation: its positional arguments, None where a tensor stands.
        extras: names of further arguments that change what the layer computes, such as a mask.
    """

    layer: Any
    inputs: tuple[TensorKey, ...]
    outputs: tuple[TensorKey, ...]
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]
    arguments: tuple = ()
    extras: str = ""

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.layer.name

    def describe(self) -> str:
        """The layer's class and name, as reports show it: ``Lambda 'norm'``."""
        return f"{type(self.layer).__name__} '{self.name}'"


@dataclasses.dataclass(frozen=True)
class ParameterAxis:
    """Which channels the entries of a variable along one axis belong to.

    One list of these drives both the groups (what is zeroed together) and the strip (what is cut).

    Attributes:
        variable: the ``keras.Variable``.
        axis: the axis of the variable that runs over channels.
        ids: channel ids along that axis, shape (variable.shape[axis],).
        role: what the variable does to these channels: ``"produce"`` (a kernel's output axis, a bias),
            ``"carry"`` (batch norm's scale, a depthwise kernel), ``"consume"`` (a kernel's input axis),
            ``"state"`` (moving statistics: cut along, never trained).
    """

    variable: Any
    axis: int
    ids: np.ndarray
    role: str
