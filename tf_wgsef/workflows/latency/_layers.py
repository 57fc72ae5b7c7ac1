"""The layers whose time is measured one by one, and each alone as a model with other numbers of channels."""

import dataclasses
import json

import keras
import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.graph import ChannelGraph
from tf_wgsef.rules import BarrierRule, Call, LayerRule

_WITHOUT_PRODUCTS = (
    *(keras.layers.Add, keras.layers.Multiply, keras.layers.Subtract, keras.layers.Average),
    *(keras.layers.MaxPooling1D, keras.layers.MaxPooling2D, keras.layers.MaxPooling3D),
    *(keras.layers.AveragePooling1D, keras.layers.AveragePooling2D, keras.layers.AveragePooling3D),
    *(keras.layers.GlobalMaxPooling1D, keras.layers.GlobalMaxPooling2D, keras.layers.GlobalMaxPooling3D),
    *(keras.layers.GlobalAveragePooling1D, keras.layers.GlobalAveragePooling2D),
    keras.layers.GlobalAveragePooling3D,
)
"""Layers that multiply no weights and still take time of their own in the runtime."""


@dataclasses.dataclass(frozen=True)
class MeasuredLayer:
    """A layer whose time depends on its channels.

    Attributes:
        call: its application.
        rule: its rule.
        inputs: its number of input channels.
        outputs: its number of output channels.
        tied: whether both are the same channels (depthwise, pooling, Add).
        fixed: whether its input channels are the model's, which always stay.
    """

    call: Call
    rule: LayerRule
    inputs: int
    outputs: int
    tied: bool
    fixed: bool

    def model(self, inputs: int, outputs: int) -> keras.Model:
        """Returns the layer alone, with so many channels and new weights.

        Args:
            inputs: input channels.
            outputs: output channels.
        """
        layer = self.call.layer
        given = [np.arange(shape[-1]) < inputs for shape in self.call.input_shapes]
        config = self.rule.resize(self.call, layer.get_config(), given, [np.arange(self.outputs) < outputs])
        tensors = [keras.Input((*shape[1:-1], inputs)) for shape in self.call.input_shapes]
        alone = type(layer).from_config(config)
        return keras.Model(tensors, alone(tensors if len(tensors) > 1 else tensors[0]))

    def key(self, inputs: int, outputs: int) -> str:
        """A text that is the same for layers that take the same time: all but the name."""
        config = {
            name: value
            for name, value in self.call.layer.get_config().items()
            if name not in ("name", "trainable") and "initializer" not in name and "regularizer" not in name
        }
        shapes = [list(shape[1:-1]) for shape in self.call.input_shapes]
        dense = [self.inputs, self.outputs]  # in the configuration too; a tied layer has no other
        kind = type(self.call.layer).__name__
        return json.dumps([kind, config, shapes, dense, inputs, outputs], sort_keys=True, default=str)


def measured_layers(graph: ChannelGraph) -> dict[str, MeasuredLayer]:
    """Returns {name: layer} of the layers that are measured one by one; others belong to the overhead.

    Left out are layers that the converter merges into others (activations, batch normalization), those
    without work of their own, and what cannot stand alone (raw operations, parts of compound layers, several
    outputs, the same layer on tensors of different sizes).

    Args:
        graph: the model's.

    Raises:
        InputError: if the model has an input whose size is open.
    """
    found, several = {}, set()
    for call, rule in zip(graph.calls, graph.rules, strict=True):
        if not _can_stand_alone(call, rule):
            continue
        sizes = [size for shape in call.input_shapes for size in shape[1:]]
        if None in sizes:
            raise InputError(
                f"Expected a model whose inputs have fixed sizes, since a latency depends on them. "
                f"Received: {call.describe()} on {call.input_shapes[0]}. Give keras.Input the sizes that "
                f"the device sees."
            )
        inputs, outputs = graph.ids[call.inputs[0]], graph.ids[call.outputs[0]]
        tied = len(inputs) == len(outputs) and bool((inputs == outputs).all())
        if not tied and np.isin(inputs, outputs).any():
            continue
        fixed = all(int(one) in graph.pins for one in inputs)
        layer = MeasuredLayer(call, rule, len(inputs), len(outputs), tied, fixed)
        known = found.setdefault(call.name, layer)
        if known.call.input_shapes != call.input_shapes:
            several.add(call.name)
    return {name: layer for name, layer in found.items() if name not in several}


def _can_stand_alone(call: Call, rule: LayerRule) -> bool:
    layer = call.layer
    if not call.inputs or not isinstance(layer, keras.layers.Layer) or isinstance(rule, BarrierRule):
        return False
    works = rule.work(call) and not isinstance(layer, keras.layers.BatchNormalization)
    alike = len({shape[-1] for shape in call.input_shapes}) == 1
    return bool(
        (works or isinstance(layer, _WITHOUT_PRODUCTS))
        and alike
        and not call.extras
        and call.times == 1
        and len(call.outputs) == 1
        and len(call.output_shapes[0]) >= 2
        and getattr(layer, "groups", 1) == 1
    )
