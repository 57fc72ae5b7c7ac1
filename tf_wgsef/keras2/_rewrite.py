"""The same model in layers that the library quantizes.

``tensorflow-model-optimization`` knows a batch norm only behind a convolution or a dense layer, no Rescaling,
and it loops for ever over some separable convolutions (Xception). TensorFlow's converter fails on an average
pooling whose result is concatenated, because both ends of that kernel must have one range. All have an exact
form that works.
"""

import numpy as np

_BEFORE = ("Conv2D", "DepthwiseConv2D", "Dense")


def rewrite(description: dict, weights: list) -> tuple[dict, list]:
    """Returns the description and the weights of the same model in layers that are quantized.

    A separable convolution becomes a depthwise and a 1×1 convolution. A batch norm over images that no
    convolution stands before becomes a depthwise 1×1 convolution: its statistics are constants from then on.
    So does a Rescaling of images, and a mean over windows that is concatenated a larger one.

    Args:
        description: of the model.
        weights: the arrays of each layer.
    """
    layers, arrays, calls = list(description["layers"]), list(weights), []
    for call in description["calls"]:
        entry = layers[call["layer"]]
        if entry["class"] == "SeparableConv2D" and entry["times"] == 1:
            calls += _split(call, layers, arrays)
        elif is_lone(call, description) and len(call["shape"]) == 4 and entry["times"] == 1:
            _replace_batch_norm(call["layer"], layers, arrays)
            calls.append(call)
        elif entry["class"] == "Rescaling" and len(call["shape"]) == 4 and entry["times"] == 1:
            factors = (np.broadcast_to(entry["config"][k], call["shape"][-1:]) for k in ("scale", "offset"))
            _replace_affine(call["layer"], layers, arrays, *factors)
            calls.append(call)
        elif entry["class"] == "AveragePooling2D" and entry["times"] == 1 and _is_joined(call, description):
            _replace_pooling(call, layers, arrays)
            calls.append(call)
        else:
            calls.append(call)
    return {**description, "layers": layers, "calls": calls}, arrays


def is_lone(call: dict, description: dict) -> bool:
    """Whether the call is of a batch norm that has no linear convolution or dense layer for itself."""
    if description["layers"][call["layer"]]["class"] != "BatchNormalization":
        return False
    source = call["inputs"][0]
    makers = [one for one in description["calls"] if source in one["outputs"]]
    readers = [one for one in description["calls"] if source in one["inputs"]]
    shown = any(source == entry["tensor"] for entry in description["outputs"])
    if not makers or len(readers) > 1 or shown:
        return True
    maker = description["layers"][makers[0]["layer"]]
    return maker["class"] not in _BEFORE or maker["config"].get("activation", "linear") != "linear"


def _is_joined(call, description) -> bool:
    """Whether the result of a pooling without padding is an input of a Concatenate."""
    readers = [one for one in description["calls"] if call["outputs"][0] in one["inputs"]]
    joined = any(description["layers"][one["layer"]]["class"] == "Concatenate" for one in readers)
    return joined and description["layers"][call["layer"]]["config"]["padding"] == "valid"


def _replace_pooling(call, layers, arrays):
    """Puts a depthwise convolution with equal weights in the place of a mean."""
    entry, channels = layers[call["layer"]], call["shape"][-1]
    config = entry["config"]
    height, width = config["pool_size"]
    replaced = {"name": config["name"], "kernel_size": (height, width), "strides": config["strides"]}
    replaced |= {"use_bias": False, "padding": "valid"}
    layers[call["layer"]] = {**entry, "class": "DepthwiseConv2D", "config": replaced}
    arrays[call["layer"]] = [np.full((height, width, channels, 1), 1 / (height * width), "float32")]


def _split(call, layers, arrays):
    entry = layers[call["layer"]]
    config, (depthwise, pointwise, *bias) = entry["config"], arrays[call["layer"]]
    shared = {key: config[key] for key in ("trainable", "dtype", "data_format") if key in config}
    first = {"name": f"{entry['key']}_depthwise", "use_bias": False, **shared}
    first |= {
        key: config[key] for key in ("kernel_size", "strides", "padding", "dilation_rate", "depth_multiplier")
    }
    second = {"name": f"{entry['key']}_pointwise", "filters": config["filters"], "kernel_size": 1, **shared}
    second |= {"use_bias": config["use_bias"], "activation": config["activation"]}
    between = f"{call['outputs'][0]}/depthwise"
    layers[call["layer"]] = {**entry, "key": first["name"], "class": "DepthwiseConv2D", "config": first}
    arrays[call["layer"]] = [depthwise]
    layers.append({**entry, "key": second["name"], "class": "Conv2D", "config": second})
    arrays.append([pointwise, *bias])
    return [
        {**call, "outputs": [between], "numbers": [0]},
        {**call, "layer": len(layers) - 1, "inputs": [between]},
    ]


def _replace_batch_norm(index, layers, arrays):
    config, waiting = layers[index]["config"], list(arrays[index])
    gamma = waiting.pop(0) if config["scale"] else np.ones_like(waiting[0])
    beta = waiting.pop(0) if config["center"] else np.zeros_like(waiting[0])
    mean, variance = waiting
    factor = gamma / np.sqrt(variance + config["epsilon"])
    _replace_affine(index, layers, arrays, factor, beta - mean * factor)


def _replace_affine(index, layers, arrays, factor, offset):
    """Puts a depthwise 1×1 convolution in the place of a factor and an offset per channel."""
    entry = layers[index]
    replaced = {"name": entry["key"], "kernel_size": 1, "trainable": entry["config"].get("trainable", True)}
    layers[index] = {**entry, "class": "DepthwiseConv2D", "config": replaced}
    arrays[index] = [factor.reshape(1, 1, -1, 1).astype("float32"), offset.astype("float32")]
