"""A model with sparse connections as one of plain convolutions, which every other stage can read."""

import keras

from tf_wgsef.baselines._sparse_connections import SparseConnections2D
from tf_wgsef.graph import check_keras_model


def plain_convolutions(model):
    """Returns a copy of ``model`` with a ``Conv2D`` in place of each ``SparseConnections2D``.

    It computes the same; what is not linked is a zero in a kernel. ``tf_wgsef.strip`` and ``convert`` read
    it. Layers inside other layers (``TimeDistributed``) stay as they are; nested models are looked into.

    Args:
        model: a built Sequential or functional ``keras.Model``, or a wrapper with one in ``.model``; it is
            not changed.

    Raises:
        InputError: if the model cannot be read.

    Example:
        >>> import keras, tf_wgsef.baselines
        >>> layer = tf_wgsef.baselines.SparseConnections2D(6, 3, density=0.5, name="conv")
        >>> plain = tf_wgsef.baselines.plain_convolutions(keras.Sequential([keras.Input((8, 8, 4)), layer]))
        >>> type(plain.get_layer("conv")).__name__
        'Conv2D'
    """
    model = check_keras_model(model)
    pairs = []

    def copy(layer):
        sparse = isinstance(layer, SparseConnections2D)
        kind = keras.layers.Conv2D if sparse else type(layer)
        config = layer.to_conv2d().get_config() if sparse else layer.get_config()
        pairs.append((layer, kind.from_config(config)))
        return pairs[-1][1]

    clone = keras.models.clone_model(model, clone_function=copy, recursive=True)
    for old, new in pairs:
        source = old.to_conv2d() if isinstance(old, SparseConnections2D) else old
        new.set_weights(source.get_weights())
        new.trainable = old.trainable
    return clone
