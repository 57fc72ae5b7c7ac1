"""Build the smaller model: the same layers with smaller configurations, and the weights that stay."""

import random

import keras
import numpy as np

from tf_wgsef.errors import StripError
from tf_wgsef.graph import ChannelGraph
from tf_wgsef.rules import Call, LayerRule
from tf_wgsef.strip._dataflow import Plan


def rebuild(graph: ChannelGraph, plan: Plan):
    """Returns a new model without the channels that ``plan`` removes; ``graph.model`` stays as it is.

    Args:
        graph: the channel graph of the model.
        plan: what goes.

    Raises:
        StripError: if a layer cannot be made again from its configuration.
    """
    first_use: dict[int, tuple[Call, LayerRule]] = {}
    for call, rule in zip(graph.calls, graph.rules, strict=True):
        first_use.setdefault(id(call.layer), (call, rule))

    def clone(layer):
        if id(layer) not in first_use:
            return _from_config(layer, layer.get_config())
        call, rule = first_use[id(layer)]
        return _from_config(layer, _new_config(graph, plan, call, rule))

    # Cloning carries the compilation along; an optimizer's state would not fit the new shapes.
    state = random.getstate()  # initializers and dropout without a seed draw one from Python's generator
    try:
        model = keras.models.clone_model(graph.model, clone_function=clone)
    except StripError:
        raise
    except Exception as error:  # backends raise errors of classes of their own
        raise StripError(
            f"Expected a model that keras.models.clone_model can make again with fewer channels. Received: "
            f"model={graph.model.name!r}, for which it says: {_first_line(error)}"
        ) from error
    finally:
        random.setstate(state)
    _copy_weights(graph, plan, model)
    return model


def _new_config(graph: ChannelGraph, plan: Plan, call: Call, rule: LayerRule) -> dict:
    config = _without_own_regularizers(call.layer.get_config())
    inputs = [int(plan.keeps(graph.ids[key]).sum()) for key in call.inputs]
    outputs = [int(plan.keeps(graph.ids[key]).sum()) for key in call.outputs]
    before = [len(graph.ids[key]) for key in (*call.inputs, *call.outputs)]
    if [*inputs, *outputs] != before:
        config = _without_fixed_initializers(config)
    config = rule.resize(call, config, inputs, outputs)
    if _needs_new_bias(graph, plan, call, rule):
        config["use_bias"] = True
    return config


def _from_config(layer, config: dict):
    try:
        # A Python lambda is code of this process already, and loses its globals when serialized.
        if isinstance(layer, keras.layers.Lambda):
            new = type(layer).from_config(config, safe_mode=False)
            new.function = layer.function
            return new
        if getattr(getattr(layer, "activation", None), "__name__", "") == "<lambda>":
            config = {**config, "activation": layer.activation}
        return type(layer).from_config(config)
    except (TypeError, ValueError, NotImplementedError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise StripError(
            f"Expected layers that from_config(get_config()) can make again. Received: "
            f"{type(layer).__name__} {layer.name!r}, which cannot: {reason}"
        ) from error


def _without_own_regularizers(config: dict) -> dict:
    """Drops the sparsity penalties: they have done their work, and plain Keras can load what remains."""

    def ours(value):
        return isinstance(value, dict) and str(value.get("registered_name", "")).startswith("tf_wgsef>")

    return {key: None if ours(value) else value for key, value in config.items()}


def _without_fixed_initializers(config: dict) -> dict:
    """Replaces initializers that hold one value per entry: they do not fit fewer channels."""

    def fixed(value):
        inner = value.get("config") if isinstance(value, dict) else None
        return isinstance(inner, dict) and not isinstance(inner.get("value", 0), int | float)

    return {
        key: "zeros" if key.endswith("_initializer") and fixed(value) else value
        for key, value in config.items()
    }


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _constants_cut(graph: ChannelGraph, plan: Plan, call: Call) -> list[np.ndarray]:
    """Per input, the constants of the channels that go; 0 for channels that stay or were unused."""
    cut = []
    for key in call.inputs:
        value = plan.values[key]
        goes = ~plan.keeps(graph.ids[key]) & np.isfinite(value)
        cut.append(np.where(goes, value, 0.0))
    return cut


def _absorbed(graph: ChannelGraph, plan: Plan, call: Call, rule: LayerRule) -> np.ndarray | None:
    """What the layer's bias must take in, for the output channels that stay; None if nothing."""
    total = rule.absorb(call, _constants_cut(graph, plan, call))
    if total is None or not total.any():
        return None
    return total[plan.keeps(graph.ids[call.outputs[0]])]


def _needs_new_bias(graph: ChannelGraph, plan: Plan, call: Call, rule: LayerRule) -> bool:
    has_bias = getattr(call.layer, "use_bias", True)
    return not has_bias and _absorbed(graph, plan, call, rule) is not None


def _copy_weights(graph: ChannelGraph, plan: Plan, model) -> None:
    done = set()
    for call, rule, axes in zip(graph.calls, graph.rules, graph.parameters, strict=True):
        old = call.layer
        if id(old) in done or not getattr(old, "weights", None):
            continue
        done.add(id(old))
        new = model.get_layer(old.name)
        kept = [_cut(plan, axes, weight) for weight in old.weights]
        if _needs_new_bias(graph, plan, call, rule):
            targets = [weight for weight in new.weights if weight is not new.bias]
            new.bias.assign(np.zeros(new.bias.shape))  # whatever its initializer gave it
        else:
            targets = new.weights
        for target, value in zip(targets, kept, strict=True):
            target.assign(value)
        absorbed = _absorbed(graph, plan, call, rule)
        if absorbed is not None:
            bias = keras.ops.convert_to_numpy(new.bias).astype(np.float64)
            new.bias.assign(bias + absorbed)
        new.trainable = old.trainable


def _cut(plan: Plan, axes, weight) -> np.ndarray:
    value = keras.ops.convert_to_numpy(weight)
    for axis in axes:
        if axis.variable is weight:
            value = np.compress(plan.keeps(axis.ids), value, axis=axis.axis)
    return value
