"""Models made again, layer by layer; not compiled, since that fails on functions of the caller's own."""

import inspect
from collections.abc import Callable

import keras
from absl import logging

from tf_wgsef.terminal_text import first_line


def copy_model(model, remake: Callable | None = None):
    """Returns a new model with the same graph and ``trainable`` flags, new weights, and no compilation.

    Each layer is made once, however often it is used; nested models are looked into. Unlike
    ``keras.models.clone_model``, it takes a model compiled with a loss that is not registered.

    Args:
        model: a functional or Sequential Keras model, built; it is only read.
        remake: layer or raw operation → new one, for each that is no model; from its configuration if None.

    Raises:
        TypeError, ValueError, NotImplementedError: what ``from_config`` of a layer raises.

    Example:
        >>> import keras
        >>> from tf_wgsef.graph import copy_model
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
        >>> copy_model(model).layers[0].units
        3
    """
    made: dict[int, tuple] = {}
    copy = _copied(model, remake or (lambda layer: from_config(layer, layer.get_config())), made)
    # A model passes `trainable` on to its layers, so theirs are set after it, those of inner models last.
    for old, new in [(model, copy), *reversed(made.values())]:
        if not isinstance(old, keras.Layer):  # a raw operation has none
            continue
        if new.trainable != old.trainable:
            new.trainable = old.trainable
        if not isinstance(old, keras.Model) and len(old.weights) == len(new.weights):
            for weight, other in zip(new.weights, old.weights, strict=True):
                weight.trainable = other.trainable  # those of layers inside it, too
    return copy


def from_config(layer, config: dict):
    """Returns a new layer of the type of ``layer``; functions of the caller's own need no registration.

    Args:
        layer: the layer that is made again.
        config: its configuration, with whatever is to differ.

    Raises:
        TypeError, ValueError, NotImplementedError: if it cannot be made of its configuration.

    Example:
        >>> import keras
        >>> from tf_wgsef.graph import from_config
        >>> layer = keras.layers.Dense(3, activation=lambda x: 2 * x)
        >>> from_config(layer, {**layer.get_config(), "units": 2}).activation(1)
        2
    """
    # A Python lambda is code of this process already, and loses its globals when serialized.
    if isinstance(layer, keras.layers.Lambda):
        new = type(layer).from_config(config, safe_mode=False)
        new.function = layer.function
        return new
    own = {
        key: getattr(layer, key)
        for key, value in config.items()
        if isinstance(value, dict) and _is_own_function(getattr(layer, key, None))
    }
    new = type(layer).from_config({**config, **own})
    if config.get("vocabulary", 0) is None and hasattr(layer, "get_vocabulary"):
        # What ``adapt`` has read is in no configuration, and no weight.
        new.set_vocabulary(layer.get_vocabulary(include_special_tokens=False))
    return new


def compile_like(new, old, what: str):
    """Returns ``new``, compiled as ``old`` is; left as it is where a loss or metric cannot be made again.

    Args:
        new: a model.
        old: a model, compiled or not.
        what: what a warning calls the new one.
    """
    if old.compiled:
        try:
            new.compile_from_config(old.get_compile_config())
        except (TypeError, ValueError, AttributeError) as error:
            logging.warning("%s is not compiled: %s", what, first_line(error))
    return new


def _copied(model, remake: Callable, made: dict[int, tuple]):
    def copy(layer):
        if id(layer) not in made:
            nested = isinstance(layer, keras.Sequential) or hasattr(layer, "operations")
            made[id(layer)] = (layer, _copied(layer, remake, made) if nested else remake(layer))
        return made[id(layer)][1]

    if isinstance(model, keras.Sequential):
        source = model.inputs[0]
        start = keras.Input(batch_shape=source.shape, dtype=source.dtype, name=source.name)
        return keras.Sequential([start, *map(copy, model.layers)], name=model.name)
    sources = [one for one in model.operations if isinstance(one, keras.layers.InputLayer)]
    layers = {id(layer.output): layer for layer in sources}
    inputs = keras.tree.map_structure(lambda one: _input_like(layers.get(id(one)), one), model.input)
    return keras.models.clone_model(
        keras.Model(model.input, model.output, name=model.name),
        input_tensors=inputs,
        clone_function=copy,
    )


def _input_like(layer, tensor):
    """A new input as the old one; Keras's own clone would call it by a name of its own."""
    options = {} if layer is None else {"name": layer.name, "optional": layer.optional}
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, **options)


def _is_own_function(value) -> bool:
    return inspect.isfunction(value) and value.__module__.partition(".")[0] != "keras"
