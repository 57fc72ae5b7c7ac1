"""How a variable is named in a ``GroupSet``: by its layer and its name, which survive saving and loading."""

from tf_wgsef.errors import InputError


def variable_key(layer, variable) -> str:
    """Returns ``layer/variable``, such as ``conv1/kernel``; what a model's name adds in front is left out."""
    path = variable.path
    _, found, rest = path.rpartition(f"{layer.name}/")
    return f"{layer.name}/{rest if found else variable.name}"


def variables_by_key(model, keys) -> list:
    """Finds the variables named ``keys`` in ``model``, in the order of ``keys``.

    Args:
        model: a ``keras.Model`` with the layers that the keys name.
        keys: strings ``layer/variable``.

    Raises:
        InputError: if the model has no such variable.
    """
    found = {variable_key(layer, variable): variable for layer in model.layers for variable in layer.weights}
    missing = [key for key in keys if key not in found]
    if missing:
        raise InputError(
            f"Expected a model with the variables of the groups. Received: model={model.name!r}, "
            f"which has no {missing[0]!r}. Build the groups from this model: build_groups(model)."
        )
    return [found[key] for key in keys]
