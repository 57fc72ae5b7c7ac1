"""One application of a layer to tensors: what every rule is asked about."""

import dataclasses
from typing import Any

import numpy as np

from tf_wgsef.errors import InputError

TensorKey = tuple[str, int, int]
"""A tensor of a model: (operation's name, index of the call, index of the output)."""

Shape = tuple[int | None, ...]

ROLES = ("produce", "carry", "consume", "state", "shift", "inner")


@dataclasses.dataclass(frozen=True)
class Call:
    """One application of a layer (or of a raw ``keras.ops`` operation) to tensors.

    Attributes:
        layer: the ``keras.Layer`` or ``keras.Operation``, or a stand-in for a part of a layer.
        inputs: keys of its input tensors, in the order of its arguments.
        outputs: keys of its output tensors.
        input_shapes: one shape per input, the batch axis first (None where unknown).
        output_shapes: one shape per output.
        given: per input, how it was passed: its position (``"0"``) or its name (``"attention_mask"``), and
            in a dict its key (``"0.image"``).
        arguments: of a raw operation: its positional arguments, None where a tensor stands.
        extras: names of further arguments that change what the layer computes, such as a mask.
        path: the layer's name behind those of the models it lies in (``"encoder/conv1"``).
        numbers: per output, which one it is of all that the layer returns.
        dtypes: per output, its dtype; empty where that is not known.
        masked: whether an input may carry the mask of an ``Embedding`` or ``Masking`` layer before.
        times: how often the layer runs in one application (the steps of ``TimeDistributed``).
    """

    layer: Any
    inputs: tuple[TensorKey, ...]
    outputs: tuple[TensorKey, ...]
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]
    given: tuple[str, ...] = ()
    arguments: tuple = ()
    extras: tuple[str, ...] = ()
    path: str = ""
    numbers: tuple[int, ...] = (0,)
    dtypes: tuple[str, ...] = ()
    masked: bool = False
    times: int = 1

    @property
    def name(self) -> str:
        """The layer's name, behind those of the models it lies in."""
        return self.path or self.layer.name

    def inside(self, part: str, output: int = 0) -> TensorKey:
        """A key for a tensor inside a compound layer: one that no other application uses."""
        name, index, _ = self.outputs[0]  # which application; the path says which layer
        return (f"{name}:{index}:{self.name}/{part}", index, output)

    def input_called(self, *names: str) -> int | None:
        """The index of the first input that was passed as one of ``names`` (positions are ``"0"``…)."""
        return next((index for index, given in enumerate(self.given) if given in names), None)

    def describe(self) -> str:
        """The layer's class and name, as reports show it: ``Lambda 'norm'``."""
        return f"{type(self.layer).__name__} '{self.name}'"


@dataclasses.dataclass(frozen=True)
class ParameterAxis:
    """Which channels the entries of a variable along one axis belong to.

    One list of these drives both the groups (what is zeroed together) and the strip (what is cut).

    Attributes:
        variable: the ``keras.Variable``.
        axis: the axis of the variable that runs over channels; or several neighbouring axes, such as the
            (heads, dimensions) of an attention's kernel.
        ids: channel ids along that axis, shape (variable.shape[axis],); of several axes, their shape.
        role: what the variable does to these channels: ``"produce"`` (a kernel's output axis, a bias),
            ``"carry"`` (batch norm's scale, a depthwise kernel), ``"consume"`` (a kernel's input axis),
            ``"state"`` (moving statistics: cut along, never trained), ``"shift"`` (a moving mean that makes
            a silent channel a constant: cut along, never trained, zero with the group), ``"inner"``
            (channels inside a layer, which no filter makes).
    """

    variable: Any
    axis: int | tuple[int, ...]
    ids: np.ndarray
    role: str

    def __post_init__(self):
        if self.role not in ROLES:
            raise InputError(
                f"Expected the role of a ParameterAxis to be one of {list(ROLES)}. Received: {self.role!r}, "
                f"for {self.variable.path!r}."
            )

    @property
    def axes(self) -> tuple[int, ...]:
        """``axis`` as a tuple."""
        return self.axis if isinstance(self.axis, tuple) else (self.axis,)
