"""Quantization-aware training: the model with fake quantization, and the ranges that it starts from."""

from tf_wgsef.keras2._bridge import Bridge
from tf_wgsef.keras2._refusal import Refusal, first_line
from tf_wgsef.keras2._rewrite import is_lone

# The library follows the ranges of activations with this memory, from -6 to 6 at the start: after 500 steps
# 60 % of that start would be left. (MovingAverageQuantizer passes it to quant_ops.MovingAvgQuantize.)
_MEMORY = 0.999
_ROUNDS, _STABLE = 12, 0.02
# How the library names the ranges that are averages, and those of kernels.
_AVERAGES = ("activation_min", "activation_max", "output_min", "output_max")
_KERNELS = ("kernel_min", "kernel_max")


def check_quantizable(bridge: Bridge) -> None:
    """Raises unless the library quantizes every layer.

    Raises:
        Refusal: naming each layer that it does not.
    """
    import tensorflow_model_optimization as tfmot

    registry = tfmot.quantization.keras.default_8bit.Default8BitQuantizeScheme().get_quantize_registry()
    entries, problems, probed = bridge.description["layers"], [], {}
    for call in bridge.description["calls"]:
        entry, layer = entries[call["layer"]], bridge.layers[call["layer"]]
        if entry["times"] > 1:
            reason = "it is applied more than once"
        elif entry["class"] == "BatchNormalization":
            reason = (
                "no convolution or dense layer of its own stands before it"
                if is_lone(call, bridge.description)
                else None
            )
        elif not registry.supports(layer):
            reason = "tensorflow-model-optimization has no 8-bit form of this layer"
        else:
            reason = _refused_activation(getattr(layer, "activation", None), probed)
        if reason and (entry["class"], entry["path"], reason) not in problems:
            problems.append((entry["class"], entry["path"], reason))
    if problems:
        raise Refusal("quantized", problems)


def quantize(bridge: Bridge):
    """Returns the model with fake quantization.

    Raises:
        Refusal: if the library refuses it all the same.
    """
    import tensorflow_model_optimization as tfmot

    try:
        return tfmot.quantization.keras.quantize_model(bridge.model)
    except Exception as error:  # noqa: BLE001 - whatever its transforms meet
        raise Refusal("quantized", [("model", bridge.description["name"], first_line(error))]) from error


def measure_ranges(model, batches) -> None:
    """Sets the ranges of all activations to what they are on some batches; weights and statistics stay.

    The library's own average is taken, and its start, whose share in it is known, is subtracted. A range that
    was too small had cut off what the layers behind it see, so this is repeated until the ranges stand still.
    (The ranges of inputs are no averages, but the extremes of all that was seen.)

    Args:
        model: the model with fake quantization.
        batches: lists of input arrays.
    """
    before = model.get_weights()
    places = [i for i, weight in enumerate(model.weights) if _leaf(weight).endswith(("_min", "_max"))]
    averages = [i for i in places if _leaf(model.weights[i]).endswith(_AVERAGES)]
    rest = _MEMORY ** len(batches)
    for _ in range(_ROUNDS):
        start = {i: model.weights[i].numpy() for i in places}
        for inputs in batches:
            model(inputs if len(inputs) > 1 else inputs[0], training=True)
        found = {i: model.weights[i].numpy() for i in places}
        found |= {i: (found[i] - rest * start[i]) / (1 - rest) for i in averages}
        model.set_weights([found.get(i, value) for i, value in enumerate(before)])
        if all(abs(start[i] - found[i]) <= _STABLE * abs(found[i]) + 1e-6 for i in averages):
            return


def refresh_kernel_ranges(model, inputs) -> None:
    """Sets the ranges of all kernels to what they are now; the last training step has moved them since.

    Args:
        model: the model with fake quantization.
        inputs: one batch.
    """
    before = model.get_weights()
    model(inputs if len(inputs) > 1 else inputs[0], training=True)
    pairs = zip(model.weights, before, strict=True)
    model.set_weights([w.numpy() if _leaf(w).endswith(_KERNELS) else old for w, old in pairs])


def _leaf(weight) -> str:
    return weight.name.partition(":")[0].rpartition("/")[2]


def _refused_activation(activation, probed: dict) -> str | None:
    """Why the library does not quantize an activation function; it only says so when it is applied."""
    import tensorflow_model_optimization as tfmot
    import tf_keras

    if activation is None:
        return None
    if activation not in probed:
        probed[activation] = None
        model = tf_keras.Sequential([tf_keras.Input((4,)), tf_keras.layers.Activation(activation)])
        try:
            tfmot.quantization.keras.quantize_model(model)
        except Exception:  # noqa: BLE001 - as above
            name = getattr(activation, "__name__", type(activation).__name__)
            probed[activation] = f"its activation {name!r} has no 8-bit form in tensorflow-model-optimization"
    return probed[activation]
