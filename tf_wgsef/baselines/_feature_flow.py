"""FeatureFlow: a loss on the path of the features through the layers."""

import keras
import numpy as np

from tf_wgsef.baselines._flow import path_curvature, path_length, path_runs
from tf_wgsef.errors import InputError
from tf_wgsef.graph import check_keras_model, read_calls
from tf_wgsef.rules import Call, LayerRule, register_rule
from tf_wgsef.validation import check_non_negative


@keras.saving.register_keras_serializable("tf_wgsef")
class FeatureFlow(keras.layers.Layer):
    """Adds to the loss how far features move from layer to layer, and how sharply they turn.

    Feature flow regularization (Wu et al. 2021, arXiv:2106.02914) penalises the length and the total absolute
    curvature of the path of the features x^1, x^2, … through the hidden layers; small filters are cut then.
    Unverified: the form. Here

        length · Σ_l mean |x^{l+1} − x^l|  +  curvature · Σ_l mean |x^{l+1} − 2x^l + x^{l−1}|,

    means over batch and elements, sums inside runs of neighbours of equal shape; what the paper does between
    stages of different sizes is not known. With ``align``, features are averaged down to the smaller size and
    filled up with channels of zeros instead.

    ``with_feature_flow`` puts the layer at the end of a model. ``tf_wgsef.strip`` takes it out again, and it
    keeps no channel from being grouped or cut.

    Args:
        length: κ1, weight of the length.
        curvature: κ2, weight of the curvature.
        align: whether to compare features of different sizes too.
        **kwargs: of ``keras.layers.Layer``.

    Raises:
        InputError: for a weight that is negative.

    Example:
        >>> import keras
        >>> from tf_wgsef.baselines import FeatureFlow
        >>> flow = FeatureFlow(length=0.1, curvature=0.0)
        >>> output = flow([keras.ops.ones((2, 1)), keras.ops.zeros((2, 4)), keras.ops.ones((2, 4))])
        >>> round(float(flow.losses[0]), 6)
        0.1
    """

    def __init__(self, *, length: float, curvature: float, align: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.length = check_non_negative("length", length)
        self.curvature = check_non_negative("curvature", curvature)
        self.align = bool(align)

    def call(self, inputs):
        """Returns the first of ``inputs`` as it is; the others are features, in order."""
        outputs, *features = inputs
        if self.length:
            self.add_loss(self.length * path_length(features, self.align))
        if self.curvature:
            self.add_loss(self.curvature * path_curvature(features, self.align))
        return outputs

    def compute_output_shape(self, input_shape):
        """That of the first input."""
        return input_shape[0]

    def get_config(self):
        """Returns the arguments."""
        return {
            **super().get_config(),
            "length": self.length,
            "curvature": self.curvature,
            "align": self.align,
        }


@register_rule(FeatureFlow)
class FeatureFlowRule(LayerRule):
    """It returns its first input, and computes nothing that an output needs from the others."""

    def backward(self, call: Call, used):
        return [used[0], *(np.zeros(shape[-1], bool) for shape in call.input_shapes[1:])]

    def needs(self, call: Call, values, keeps) -> list[bool]:
        return [True] + [False] * (len(call.inputs) - 1)

    def identity(self, call: Call, needed: list[bool]) -> bool:
        return True


def with_feature_flow(model, layers, *, length: float, curvature: float, align: bool = False):
    """Returns a model with the same layers, whose loss has the feature flow added.

    The layers are shared: training it trains ``model``. Compile and fit it as usual; ``tf_wgsef.sparsify``
    takes it too. The (first) output passes through the added layer, ``feature_flow``, and bears its name
    where outputs have no keys of their own.

    Args:
        model: a built Sequential or functional ``keras.Model``.
        layers: names of layers of the model, at its top level, each applied once; their outputs are the
            features, in this order.
        length: κ1, weight of the length.
        curvature: κ2, weight of the curvature.
        align: whether to compare features of different sizes too, whose sizes must be known then.

    Raises:
        InputError: for layers that the model does not have or does not apply once, or that leave nothing to
            compare.

    Example:
        >>> import keras
        >>> from tf_wgsef.baselines import with_feature_flow
        >>> dense = [keras.layers.Dense(4, activation="relu", name=f"d{i}") for i in range(3)]
        >>> model = keras.Sequential([keras.Input((3,)), *dense, keras.layers.Dense(1)])
        >>> smooth = with_feature_flow(model, ["d0", "d1", "d2"], length=1e-3, curvature=1e-3)
        >>> smooth.compile("adam", "mse")
    """
    model = check_keras_model(model)
    features = [_feature(model, name) for name in _names(layers)]
    shapes = [tuple(feature.shape) for feature in features]
    if max(map(len, path_runs(shapes, align)), default=0) < 2:
        raise InputError(
            f"Expected at least two neighbours among `layers` with features of equal shape. Received: "
            f"{', '.join(map(str, shapes)) or 'no layers'}. Name other layers, or pass align=True."
        )
    if align and any(None in shape[1:] for shape in shapes):
        raise InputError(
            f"Expected features of known size with align=True. Received: {', '.join(map(str, shapes))}. "
            f"Give keras.Input the full shape."
        )
    flow = FeatureFlow(length=length, curvature=curvature, align=align, name="feature_flow")
    sequential = isinstance(model, keras.Sequential)
    outputs = model.outputs[0] if sequential else model.output
    first, *others = keras.tree.flatten(outputs)
    outputs = keras.tree.pack_sequence_as(outputs, [flow([first, *features]), *others])
    return _connected(model.inputs[0] if sequential else model.input, outputs, model)


def _connected(inputs, outputs, model):
    """Keras gives a layer's first output, which may be one of another model that shares the layer."""
    try:
        new = keras.Model(inputs, outputs, name=model.name)
    except ValueError:  # not connected to the inputs
        new = None
    if new is None or len(read_calls(new).calls) != len(read_calls(model).calls) + 1:
        raise InputError(
            f"Expected `layers` that this model applied first. Received: some of model={model.name!r} that "
            f"another model shares. Pass keras.models.clone_model(model), with its weights."
        )
    return new


def _names(layers) -> list[str]:
    if isinstance(layers, str) or not all(isinstance(name, str) for name in layers):
        raise InputError(f"Expected `layers` to be a list of layer names. Received: layers={layers!r}.")
    return list(layers)


def _feature(model, name: str):
    found = {layer.name: layer for layer in model.layers}
    if name not in found:
        raise InputError(
            f"Expected `layers` to name layers of the model. Received: {name!r}. It has: {', '.join(found)}."
        )
    times = sum(call.layer is found[name] for call in read_calls(model).calls)
    output = None if isinstance(found[name], keras.Model) else found[name].output
    if times != 1 or not isinstance(output, keras.KerasTensor):
        raise InputError(
            f"Expected `layers` that are applied once, return one tensor and are no models. Received: "
            f"{name!r}, a {type(found[name]).__name__} that is applied {times} times."
        )
    return output
