"""A model with sparse connections as one of plain convolutions, which every other stage can read."""

import keras

from tf_wgsef.baselines._sparse_connections import SparseConnections2D
from tf_wgsef.graph import check_keras_model, copy_model, from_config


def plain_convolutions(model):
    """Returns a copy of ``model`` with a ``Conv2D`` in place of each ``SparseConnections2D``.

    It computes the same; what is not linked is a zero in a kernel. ``tf_wgsef.strip`` and ``convert`` read
    it. Layers inside other layers (``TimeDistributed``) stay as they are; nested models are looked into.

    Args:
        model: a built Sequential or functional ``keras.Model``, or a wrapper with one in ``.model``; it is
            not changed, and its copy is not compiled.

    Raises:
        InputError: if the model cannot be read.

    Example:
        >>> import keras, tf_wgsef.baselines
        >>> layer = tf_wgsef.baselines.SparseConnections2D(6, 3, density=0.5, name="conv")
        >>> plain = tf_wgsef.baselines.plain_convolutions(keras.Sequential([keras.Input((8, 8, 4)), layer]))
        >>> type(plain.get_layer("conv")).__name__
        'Conv2D'
    """
    weights = []

    def copy(layer):
        plain = layer.to_conv2d() if isinstance(layer, SparseConnections2D) else layer
        new = from_config(plain, plain.get_config())
        weights.append((plain, new))
        return new

    result = copy_model(check_keras_model(model), copy)
    for plain, new in weights:
        if isinstance(plain, keras.Layer):  # a raw operation has none
            new.set_weights(plain.get_weights())
    return result
