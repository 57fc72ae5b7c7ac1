"""What a model is made of: layer classes, raw operations and options, counted."""

from collections import Counter

import keras
from keras import layers

_MERGING = (layers.Concatenate, layers.Dot)


def walk(model, depth: int = 0):
    """Yields (operation, depth) of every layer and raw operation, also in nested models and wrappers."""
    sequential = isinstance(model, keras.Sequential)
    for operation in model.layers if sequential else model.operations:
        yield operation, depth
        if isinstance(operation, keras.Model):
            yield from walk(operation, depth + 1)
        for attribute in ("layer", "forward_layer", "backward_layer"):
            inner = getattr(operation, attribute, None)
            if isinstance(inner, layers.Layer):
                yield inner, depth


def traits(model) -> Counter:
    """Counts what is in ``model``: classes such as ``Conv2D``, options such as ``Conv2D[groups]``."""
    counts = _shared(model)
    for operation, depth in walk(model):
        kind = type(operation).__name__
        raw = not isinstance(operation, layers.Layer)
        counts[f"ops.{kind}" if raw else kind] += 1
        counts.update(f"{kind}[{option}]" for option in _options(operation))
        if isinstance(operation, keras.Model) and depth:
            counts["model in a model in a model"] += 1
        if isinstance(operation, keras.Model):
            counts.update(_shared(operation))
    counts["several inputs"] += len(model.inputs) > 1
    counts["several outputs"] += len(model.outputs) > 1
    counts["whole numbers as input"] += any("int" in str(tensor.dtype) for tensor in model.inputs)
    return +counts


def _shared(model) -> Counter:
    """Counts the layers and nested models that ``model`` itself applies more than once."""
    if isinstance(model, keras.Sequential):
        return Counter()
    entries = [entry for entry in model.get_config()["layers"] if len(entry["inbound_nodes"]) > 1]
    models = sum(entry["class_name"] in ("Functional", "Sequential") for entry in entries)
    return Counter({"model used twice": models, "layer used twice": len(entries) - models})


def _options(operation) -> list[str]:
    """The options of a layer that change what its rule must do."""
    found = []
    for name in ("keepdims", "go_backwards", "return_sequences", "mask_zero", "use_gate"):
        if getattr(operation, name, False):
            found.append(name)
    if getattr(operation, "groups", 1) != 1 and not isinstance(operation, layers.GroupNormalization):
        found.append("groups")
    if getattr(operation, "padding", None) in ("causal", "same"):
        found.append(operation.padding)
    for name in ("strides", "dilation_rate"):
        value = getattr(operation, name, None) or 1
        if max(value if isinstance(value, tuple | list) else [value]) > 1:
            found.append(name)
    if isinstance(operation, layers.GRU):
        found.append(f"reset_after={operation.reset_after}")
    if isinstance(operation, layers.Bidirectional):
        found.append(operation.merge_mode)
    if isinstance(operation, _MERGING):
        found.append(f"axis={getattr(operation, 'axis', None) or getattr(operation, 'axes', None)}")
    if isinstance(operation, layers.TimeDistributed):
        found.append(type(operation.layer).__name__)
    if getattr(operation, "use_bias", True) is False:
        found.append("no_bias")
    return found
