"""A description of a Keras 3 model -> the same model in Keras 2, proven on samples."""

import dataclasses

import numpy as np

from tf_wgsef.keras2._refusal import Refusal, first_line

# Of the output range. Both compute the same float32 sums, with batch norms in another form: MobileNetV2
# differs by 5e-5, EfficientNetV2B0 by 1e-4. A wrong layer shows as a difference of order 1.
_TOLERANCE = 1e-3


@dataclasses.dataclass
class Bridge:
    """A model in Keras 2.

    Attributes:
        model: the ``tf_keras.Model``.
        layers: its layers, in the order of the description.
        description: what it was built from.
    """

    model: object
    layers: list
    description: dict


def build(description: dict, weights: list[list[np.ndarray]]) -> Bridge:
    """Builds the model.

    Args:
        description: layers, calls, inputs and outputs, as ``tf_wgsef.convert.aware`` writes it.
        weights: the arrays of each layer, in Keras's order.

    Raises:
        Refusal: naming every layer that Keras 2 has not, or has with other arguments or weights.
    """
    import tf_keras

    layers, problems = [], []
    for entry in description["layers"]:
        layers.append(_make_layer(entry, problems))
    _refuse(problems)
    tensors = {}
    for entry in description["inputs"]:
        tensor = tf_keras.Input(tuple(entry["shape"]), name=entry["key"], dtype=entry["dtype"])
        tensors[entry["tensor"]] = tensor
    for call in description["calls"]:
        _apply(call, layers, tensors, description, problems)
        _refuse(problems)
    inputs = [tensors[entry["tensor"]] for entry in description["inputs"]]
    outputs = [tensors[entry["tensor"]] for entry in description["outputs"]]
    model = tf_keras.Model(inputs, outputs)
    for entry, layer, arrays in zip(description["layers"], layers, weights, strict=True):
        _set_weights(entry, layer, arrays, problems)
    _refuse(problems)
    return Bridge(model, layers, description)


def check(bridge: Bridge, samples: list, expected: list) -> float:
    """Returns the largest difference to the Keras 3 model's outputs, as a share of their range.

    Args:
        bridge: the rebuilt model.
        samples: one array per input.
        expected: the Keras 3 model's outputs for them.

    Raises:
        Refusal: if they differ by more than rounding does.
    """
    received = bridge.model(samples, training=False)
    received = received if isinstance(received, list | tuple) else [received]
    worst = 0.0
    for one, other in zip(expected, received, strict=True):
        scale = max(np.ptp(one), 0.01 * np.abs(one).max()) or 1.0
        worst = max(worst, float(np.abs(one - np.asarray(other)).max() / scale))
    if not worst <= _TOLERANCE:
        name = bridge.description["name"]
        reason = f"the copy in Keras 2 differs by {worst:.2g} of the output range"
        raise Refusal("rebuilt in Keras 2", [("model", name, reason)])
    return worst


def _make_layer(entry, problems):
    import tf_keras

    kind = getattr(tf_keras.layers, entry["class"], None)
    if kind is None:
        problems.append((entry["class"], entry["path"], "Keras 2 has no such layer"))
        return None
    try:
        return kind.from_config(entry["config"])
    except Exception as error:  # noqa: BLE001 - each layer raises what it likes on arguments it does not know
        problems.append((entry["class"], entry["path"], first_line(error)))
        return None


def _apply(call, layers, tensors, description, problems):
    entry = description["layers"][call["layer"]]
    given = [tensors[key] for key in call["inputs"]]
    try:
        results = layers[call["layer"]](given) if call["as_list"] else layers[call["layer"]](*given)
    except Exception as error:  # noqa: BLE001 - as above
        problems.append((entry["class"], entry["path"], first_line(error)))
        return
    results = results if isinstance(results, list | tuple) else [results]
    for key, number in zip(call["outputs"], call["numbers"], strict=True):
        tensors[key] = results[number]


def _set_weights(entry, layer, arrays, problems):
    shapes = [tuple(weight.shape) for weight in layer.weights]
    if shapes != [array.shape for array in arrays]:
        reason = f"its weights have the shapes {shapes} in Keras 2"
        problems.append((entry["class"], entry["path"], reason))
        return
    layer.set_weights(arrays)


def _refuse(problems):
    if problems:
        raise Refusal("rebuilt in Keras 2", problems)
