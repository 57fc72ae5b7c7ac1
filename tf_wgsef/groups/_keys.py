"""How a variable is named in a ``GroupSet``: by its layer and its name, which survive saving and loading."""

import keras

from tf_wgsef.errors import InputError


def keys_of_variables(model) -> dict[int, str]:
    """Returns {id(variable): key} of all variables of ``model``.

    A key is ``layer/variable``, such as ``conv1/kernel``, with the names of nested models in front of it;
    what Keras adds in front of the layer's name is left out.
    """
    return {id(variable): key for key, variable in _walk(model, "")}


def variables_by_key(model, keys) -> list:
    """Finds the variables named ``keys`` in ``model``, in the order of ``keys``.

    Args:
        model: a ``keras.Model`` with the layers that the keys name.
        keys: strings ``layer/variable``.

    Raises:
        InputError: if the model has no such variable.
    """
    found = dict(_walk(model, ""))
    missing = [key for key in keys if key not in found]
    if missing:
        raise InputError(
            f"Expected a model with the variables of the groups. Received: model={model.name!r}, "
            f"which has no {missing[0]!r}. Build the groups from this model: build_groups(model)."
        )
    return [found[key] for key in keys]


def _walk(model, prefix: str):
    """(key, variable) of every variable; those of a layer in several models have several keys."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _walk(layer, f"{prefix}{layer.name}/")
            continue
        for variable in layer.weights:
            _, found, rest = f"/{variable.path}".rpartition(f"/{layer.name}/")
            yield f"{prefix}{layer.name}/{rest if found else variable.name}", variable
