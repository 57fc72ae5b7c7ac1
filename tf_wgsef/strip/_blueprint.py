"""What each layer becomes: its new configuration, its new weights, what its bias takes in."""

import keras
import numpy as np

from tf_wgsef.errors import StripError
from tf_wgsef.graph import ChannelGraph, Compound, Plan, from_config
from tf_wgsef.rules import Call, LayerRule, ParameterAxis, TensorKey
from tf_wgsef.strip._spatial_crop import SpatialCrop, plan_spatial_crop
from tf_wgsef.terminal_text import first_line


class Blueprint:
    """Answers, for each layer of the model, what becomes of it; changes nothing.

    Args:
        graph: the channel graph of the model.
        plan: what goes.
    """

    def __init__(self, graph: ChannelGraph, plan: Plan):
        self.graph, self.plan = graph, plan
        self._first: dict[int, tuple[Call, LayerRule]] = {}
        self._axes: dict[int, dict[tuple[int, ...], ParameterAxis]] = {}
        self._calls: dict[int, list[Call]] = {}
        self._crops: dict[int, SpatialCrop | None] = {}
        self._nodes = {id(call.layer) for reading, _ in graph.scopes.values() for call in reading.calls}
        for call, rule, axes in zip(graph.calls, graph.rules, graph.parameters, strict=True):
            self._calls.setdefault(id(call.layer), []).append(call)
            if id(call.layer) not in self._first:
                self._first[id(call.layer)] = (call, rule)
                for axis in axes:
                    self._axes.setdefault(id(axis.variable), {})[axis.axes] = axis

    def remake(self, layer):
        """Returns a new layer with a configuration for the channels that stay; its weights are not set."""
        return _remade(layer, self._config(layer))

    def crop(self, layer) -> SpatialCrop | None:
        """What is cut off the layer's spatial window, or None."""
        if id(layer) not in self._crops:
            self._crops[id(layer)] = self._find_crop(layer)
        return self._crops[id(layer)]

    def _find_crop(self, layer) -> SpatialCrop | None:
        calls = self._calls.get(id(layer), ())
        variable = self._first[id(layer)][1].window(calls[0]) if calls else None
        if variable is None:
            return None
        kernel = self._first[id(layer)][1].select(calls[0], variable, *self._kept(calls[0]))
        if kernel is None:
            kernel = self._cut(variable, keras.ops.convert_to_numpy(variable))
        rank = len(layer.kernel_size)
        window = (kernel != 0).any(tuple(range(rank, kernel.ndim)))
        if window[(0,) * rank] and window[(-1,) * rank]:
            return None
        crops = [
            plan_spatial_crop(
                window, call.input_shapes[0][1:-1], layer.strides, layer.dilation_rate, layer.padding
            )
            for call in calls
        ]
        # Layers in front are made for one application, in a model.
        alone = len(calls) == 1 and id(layer) in self._nodes
        fits = crops[0] is not None and all(crop == crops[0] for crop in crops)
        return crops[0] if fits and (alone or not crops[0].needs_layers) else None

    def set_weights(self, old, new) -> None:
        """Gives ``new`` the weights of ``old`` that stay."""
        new.trainable = old.trainable
        compound = self.graph.compounds.get(id(old))
        children = compound.rule.children(old) if compound else {}
        for key, child in children.items():
            self.set_weights(child, compound.rule.children(new)[key])
        if children or not getattr(old, "weights", None):
            return
        values = {id(weight): keras.ops.convert_to_numpy(weight) for weight in old.weights}
        fresh = None
        for call, rule in self._owners(old):
            added = self._absorbed(call, rule)
            if added is not None and rule.bias(call) is None:
                fresh = new.bias
                fresh.assign(added[self._keeps(call.outputs[0])])
            elif added is not None:
                bias = id(rule.bias(call))
                values[bias] = values[bias].astype(np.float64) + added
        targets = [weight for weight in new.weights if weight is not fresh]
        if len(targets) != len(old.weights):
            raise StripError(
                f"Expected layers whose configuration names all their weights. Received: "
                f"{type(old).__name__} {old.name!r} with {len(old.weights)}, and {len(targets)} when made "
                f"again: it is quantized, or carries LoRA weights. Strip before that."
            )
        for target, weight in zip(targets, old.weights, strict=True):
            value = self._smaller(old, weight, values[id(weight)])
            if value.size != np.prod(target.shape):
                raise StripError(
                    f"Expected {weight.path!r} of {type(old).__name__} {old.name!r} in shape "
                    f"{tuple(target.shape)}, as its new configuration says. Received: shape {value.shape}, "
                    f"of the channels that stay. This is a defect of tf_wgsef, or of a registered rule: its "
                    f"`parameters` and `resize` must agree."
                )
            target.assign(value.reshape(target.shape))
            target.trainable = weight.trainable
        if hasattr(new, "finalize_state"):
            new.finalize_state()  # keras.layers.Normalization computes with copies of its weights

    def _config(self, layer) -> dict:
        config = _without_own_regularizers(layer.get_config())
        compound = self.graph.compounds.get(id(layer))
        if compound is not None:
            return self._compound_config(layer, config, compound)
        if id(layer) not in self._first:
            return config
        call, rule = self._first[id(layer)]
        inputs, outputs = self._kept(call)
        if not all(keeps.all() for keeps in (*inputs, *outputs)):
            config = _without_fixed_initializers(config)
        config = rule.resize(call, config, inputs, outputs)
        if rule.bias(call) is None and self._absorbed(call, rule) is not None:
            config["use_bias"] = True
        crop = self.crop(layer)
        if crop is not None:
            config = {**config, "kernel_size": crop.kernel_size, "padding": crop.padding}
        return config

    def _compound_config(self, layer, config: dict, compound: Compound) -> dict:
        for key, child in compound.rule.children(layer).items():
            if isinstance(config.get(key), dict):
                config[key] = {**config[key], "config": self._config(child)}
                config[key].pop("build_config", None)  # it would be built for the old channels
        keeps = {one.name.rpartition("/")[2]: self._keeps(one.outputs[0]) for one in compound.parts}
        return compound.rule.resize_parts(layer, _without_fixed_initializers(config), keeps)

    def _keeps(self, key: TensorKey) -> np.ndarray:
        return self.plan.keeps(self.graph.ids[key])

    def _owners(self, layer) -> list[tuple[Call, LayerRule]]:
        """The first call of a layer, or those of its parts."""
        compound = self.graph.compounds.get(id(layer))
        parts = [part.layer for part in compound.parts] if compound else [layer]
        return [self._first[id(part)] for part in parts if id(part) in self._first]

    def _owner(self, layer, variable) -> tuple[Call, LayerRule] | None:
        """The one of them that the variable belongs to."""
        for call, rule in self._owners(layer):
            if any(weight is variable for weight in getattr(call.layer, "weights", ())):
                return call, rule
        return None

    def _cut(self, variable, value: np.ndarray) -> np.ndarray:
        """The entries whose channels stay; neighbouring axes over channels become one."""
        for axes, axis in sorted(self._axes.get(id(variable), {}).items(), reverse=True):
            first, last = axes[0], axes[-1]
            value = value.reshape((*value.shape[:first], -1, *value.shape[last + 1 :]))
            value = np.compress(self.plan.keeps(axis.ids.reshape(-1)), value, axis=first)
        return value

    def _kept(self, call: Call) -> list[list[np.ndarray]]:
        """Which channels stay, per input and per output."""
        return [[self._keeps(key) for key in keys] for keys in (call.inputs, call.outputs)]

    def _smaller(self, layer, variable, value: np.ndarray) -> np.ndarray:
        """What stays of a variable: channels, then rows and columns; scaled where channels are counted."""
        owner = self._owner(layer, variable)
        if owner is None:
            return self._cut(variable, value)
        call, rule = owner
        selected = rule.select(call, variable, *self._kept(call))
        value = self._cut(variable, value) if selected is None else selected
        crop = self.crop(call.layer)
        if crop is not None and rule.window(call) is variable:
            value = value[crop.kernel_slices]
        factor = rule.factor(call, variable, *self._kept(call))
        return value if factor == 1.0 else value.astype(np.float64) * factor

    def _absorbed(self, call: Call, rule: LayerRule) -> np.ndarray | None:
        """What the layer's bias must take in, in its old shape; None if nothing.

        Constants of the channels that go count, as far as they reach outputs that stay; those that cannot be
        folded went because nobody used them.
        """
        values = [self.plan.values[key] for key in call.inputs]
        constants = []
        for key, value, can in zip(call.inputs, values, rule.foldable(call, values), strict=True):
            goes = ~self._keeps(key) & np.isfinite(value) & can
            constants.append(np.where(goes, value, 0.0))
        total = rule.absorb(call, constants)
        if total is not None and rule.bias(call) is None:
            total = total * self._keeps(call.outputs[0])
        return total if total is not None and total.any() else None


def _remade(layer, config: dict):
    try:
        return from_config(layer, config)
    except (TypeError, ValueError, NotImplementedError) as error:
        raise StripError(
            f"Expected layers that from_config(get_config()) can make again. Received: "
            f"{type(layer).__name__} {layer.name!r}, which cannot: {first_line(error)}"
        ) from error


def _without_own_regularizers(config: dict) -> dict:
    """Drops the sparsity penalties: they have done their work, and plain Keras can load what remains."""

    def cleaned(key, value):
        ours = isinstance(value, dict) and str(value.get("registered_name", "")).startswith("tf_wgsef>")
        return None if ours else value

    return _mapped(config, cleaned)


def _without_fixed_initializers(config: dict) -> dict:
    """Replaces initializers that hold one value per entry: they do not fit fewer channels."""

    def cleaned(key, value):
        inner = value.get("config") if isinstance(value, dict) else None
        fixed = isinstance(inner, dict) and not isinstance(inner.get("value", 0), int | float)
        return "zeros" if fixed and key.endswith("_initializer") else value

    return _mapped(config, cleaned)


def _mapped(config: dict, function) -> dict:
    """Applies ``function(key, value)`` to a configuration and to those of the layers inside it."""
    result = {key: function(key, value) for key, value in config.items()}
    for key, value in result.items():
        if isinstance(value, dict) and isinstance(value.get("config"), dict):
            result[key] = {**value, "config": _mapped(value["config"], function)}
    return result
