"""Is this a Keras 3 model whose graph can be read?"""

import keras

from tf_wgsef.errors import InputError


def check_keras_model(model):
    """Returns ``model`` if it is a built Keras 3 model whose graph can be read.

    A model that is wrapped by composition (``ProximalModel``) is unwrapped: its ``.model`` is returned.

    Args:
        model: a Sequential or functional ``keras.Model``.

    Raises:
        InputError: if it is a tf_keras model, no Keras model, subclassed, or not built yet.
    """
    if not isinstance(model, keras.Model):
        _raise_not_keras(model)
    if getattr(type(model), "wraps_a_model", False):
        model = model.model
    name = type(model).__name__
    functional = isinstance(model, keras.Sequential) or hasattr(model, "operations")
    if not functional:
        raise InputError(
            f"Expected a Sequential or functional Keras model, whose graph can be read. "
            f"Received: model={model.name!r}, a subclass of keras.Model ({name}). Rewrite its call() "
            f"with keras.Input(...) and keras.Model(inputs, outputs)."
        )
    if _overrides_call(model):
        raise InputError(
            f"Expected a Sequential or functional Keras model, whose graph says all that it computes. "
            f"Received: model={model.name!r} ({name}), which overrides call(). Move what its call() does "
            f"into layers between keras.Input(...) and keras.Model(inputs, outputs)."
        )
    if not model.built:
        raise InputError(
            f"Expected a built model. Received: model={model.name!r}, whose weights do not exist yet. "
            f"Add keras.Input(shape) as its first layer, or call it once on data."
        )
    return model


def _overrides_call(model) -> bool:
    """Whether a class outside Keras computes something else than the graph."""
    for base in type(model).__mro__:
        if base.__module__.partition(".")[0] == "keras":
            return False
        if "call" in vars(base) or "__call__" in vars(base):
            return True
    return False


def _raise_not_keras(model):
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    if kind.startswith(("tf_keras", "keras.src.engine", "tensorflow.python.keras")):
        raise InputError(
            f"Expected a Keras 3 model. Received: a model of Keras 2 ({kind}). Unset "
            f"TF_USE_LEGACY_KERAS, rebuild it with `import keras` and load its weights."
        )
    raise InputError(
        f"Expected a Keras 3 model. Received: {kind}. Pass a Sequential or functional keras.Model, "
        f"or load one with keras.models.load_model(path)."
    )
