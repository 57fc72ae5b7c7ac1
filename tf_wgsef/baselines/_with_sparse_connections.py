"""A model's convolutions as ones with sparse connections."""

import math

import keras

from tf_wgsef.baselines._sparse_connections import SparseConnections2D
from tf_wgsef.errors import InputError
from tf_wgsef.graph import check_keras_model, copy_model, from_config

_FEW_INPUTS = 4
"""A convolution of fewer input channels, which reads the image, stays dense."""


def with_sparse_connections(model, density: float, *, grouped: bool = False, seed: int = 0):
    """Returns a new model like ``model`` whose convolutions have sparse connections, with new weights.

    Replaced is each ``Conv2D`` at the top level with at least four input channels and one group. With
    ``grouped`` a layer gets the fewest groups that leave at most ``density`` and share its channels equally;
    where there is no such number it stays dense. Masked layers (``grouped=False``) cost what dense ones cost.

    Args:
        model: a built Sequential or functional ``keras.Model``, or a wrapper with one in ``.model``.
        density: share of the input channels that each output channel sees, in (0, 1].
        grouped: see ``SparseConnections2D``.
        seed: of the choice of links; each layer draws its own.

    Raises:
        InputError: if there is no convolution to replace, or the density is outside its range.

    Example:
        >>> import keras
        >>> from tf_wgsef.baselines import with_sparse_connections
        >>> model = keras.Sequential([keras.Input((8, 8, 6)), keras.layers.Conv2D(4, 3, name="conv")])
        >>> with_sparse_connections(model, 0.5, grouped=True).get_layer("conv").groups
        2
    """
    model = check_keras_model(model)
    SparseConnections2D(1, 1, density)  # Keras would hide in one of its own what this raises
    replaced, top = [], {id(layer) for layer in model.layers}

    def copy(layer):
        config = layer.get_config()
        found = _density(layer, density, grouped) if id(layer) in top else None
        if found is None:
            return from_config(layer, config)
        del config["groups"]
        replaced.append(layer.name)
        own = {"density": found, "grouped": grouped, "seed": seed + len(replaced)}
        return SparseConnections2D.from_config({**config, **own})

    clone = copy_model(model, copy)
    if not replaced:
        raise InputError(
            f"Expected a model with a Conv2D of at least {_FEW_INPUTS} input channels that "
            f"{'groups can share' if grouped else 'has one group'}. Received: model={model.name!r} "
            f"without one at density={density!r}."
        )
    return clone


def _density(layer, density: float, grouped: bool) -> float | None:
    """What the layer gets, or None where it stays as it is."""
    if type(layer) is not keras.layers.Conv2D or layer.groups > 1:
        return None
    inputs = layer.kernel.shape[-2]
    if inputs < _FEW_INPUTS:
        return None
    if not grouped:
        return density
    most = math.gcd(inputs, layer.filters)
    able = (number for number in range(2, most + 1) if most % number == 0)
    found = next((number for number in able if 1 / number <= density + 1e-9), None)
    return None if found is None else 1 / found
