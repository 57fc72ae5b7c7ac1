"""Where a layer's rule is looked up, and where a user teaches a new one."""

import inspect

import keras

from tf_wgsef.errors import InputError
from tf_wgsef.rules._rule import LayerRule

_RULES: dict[type, LayerRule] = {}
_KERAS_LAYERS: dict[str, LayerRule] = {}
_KERAS_OPERATIONS: dict[str, LayerRule] = {}


def register_rule(*layer_classes: type):
    """Class decorator: the rule applies to exactly these layer classes.

    Subclasses are not covered: their ``call`` may do anything, so they stay barriers until registered.

    Args:
        *layer_classes: ``keras.layers`` classes, or your own.

    Raises:
        InputError: if an argument is no class, or the decorated class is no ``LayerRule``.

    Example:
        >>> import keras
        >>> from tf_wgsef import LayerRule, register_rule
        >>> class Halve(keras.layers.Layer):
        ...     def call(self, x):
        ...         return x / 2
        >>> @register_rule(Halve)
        ... class HalveRule(LayerRule):
        ...     def forward(self, call, values):
        ...         return [values[0] / 2]
    """
    for layer_class in layer_classes:
        if not inspect.isclass(layer_class):
            raise InputError(
                f"Expected layer classes. Received: {layer_class!r}. "
                f"Write @register_rule(MyLayer) above the rule's class."
            )

    def register(rule_class):
        if not (inspect.isclass(rule_class) and issubclass(rule_class, LayerRule)):
            raise InputError(
                f"Expected a subclass of LayerRule below @register_rule. Received: {rule_class!r}."
            )
        for layer_class in layer_classes:
            _RULES[layer_class] = rule_class()
        return rule_class

    return register


def register_operation(*names: str):
    """Class decorator: the rule applies to Keras's own raw operations of these names.

    Args:
        *names: class names of operations, as a model's configuration shows them (``"Relu"``).
    """
    return _register_by_name(names, _KERAS_OPERATIONS)


def register_keras_layer(*names: str):
    """Class decorator: the rule applies to Keras's own layers of these names.

    For classes that are not public (those of ``keras.applications``) or that not every version has.

    Args:
        *names: class names of layers.
    """
    return _register_by_name(names, _KERAS_LAYERS)


def rule_for(layer) -> LayerRule | None:
    """Returns the rule of a layer or operation, or None where nobody has taught one."""
    kind = type(layer)
    if kind in _RULES:
        return _RULES[kind]
    if not kind.__module__.startswith("keras."):
        return None
    known = _KERAS_LAYERS if isinstance(layer, keras.Layer) else _KERAS_OPERATIONS
    return known.get(kind.__name__)


def _register_by_name(names: tuple[str, ...], known: dict[str, LayerRule]):
    def register(rule_class):
        rule = rule_class()
        known.update(dict.fromkeys(names, rule))
        return rule_class

    return register
