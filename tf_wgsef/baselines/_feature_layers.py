"""Which layers' outputs are the path that feature flow smooths."""

import collections

import keras

from tf_wgsef.baselines._flow import path_runs
from tf_wgsef.errors import InputError
from tf_wgsef.graph import check_keras_model, read_calls

_ACTIVATIONS = ("ReLU", "LeakyReLU", "PReLU", "ELU", "Activation")


def feature_layers(model) -> tuple[list[str], bool]:
    """Returns what ``with_feature_flow`` takes where nobody says better: (``layers``, ``align``).

    The outputs of activations, in order of execution, where at least two neighbours have equal shapes; else
    the same aligned, else those of convolutions and hidden dense layers. Ours: which features the paper takes
    is not known to us.

    Args:
        model: a built Sequential or functional ``keras.Model``, or a wrapper with one in ``.model``.

    Raises:
        InputError: if no two features can be compared.

    Example:
        >>> import keras
        >>> from tf_wgsef.baselines import feature_layers
        >>> dense = [keras.layers.Dense(4, activation="relu", name=f"d{i}") for i in range(3)]
        >>> feature_layers(keras.Sequential([keras.Input((3,)), *dense, keras.layers.Dense(1)]))
        (['d0', 'd1', 'd2'], False)
    """
    model = check_keras_model(model)
    calls = [call.layer for call in read_calls(model).calls]
    times = collections.Counter(map(id, calls))
    known = {id(layer) for layer in model.layers}
    hidden = [layer for layer in calls if id(layer) in known and times[id(layer)] == 1][:-1]
    kinds = [
        [layer for layer in hidden if _is_activation(layer)],
        [layer for layer in hidden if isinstance(layer, keras.layers.Dense) or _is_convolution(layer)],
    ]
    for layers in kinds:
        shapes = [layer.output.shape for layer in layers]
        for align in (False, True):
            if max(map(len, path_runs(shapes, align)), default=0) > 1:
                return [layer.name for layer in layers], align
    raise InputError(
        f"Expected a model with at least two hidden layers whose features can be compared, for feature flow. "
        f"Received: model={model.name!r}."
    )


def _is_activation(layer) -> bool:
    function = getattr(layer, "activation", None)
    if function in (keras.activations.linear, keras.activations.softmax):
        return False
    return function is not None or type(layer).__name__ in _ACTIVATIONS


def _is_convolution(layer) -> bool:
    return isinstance(layer, keras.Layer) and "Conv" in type(layer).__name__
