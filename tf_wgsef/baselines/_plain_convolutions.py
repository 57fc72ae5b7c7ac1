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
    made: dict[int, tuple] = {}
    clone = _copy_of_model(check_keras_model(model), made)
    # A model passes `trainable` on to its layers, so theirs are set after it, those of inner models last.
    for old, new in reversed(made.values()):
        new.trainable = old.trainable
        if not isinstance(old, keras.Model):
            new.set_weights(_plain(old).get_weights())
    return clone


def _copy(layer, made: dict[int, tuple]):
    """The copy of a layer or a nested model, made once."""
    if id(layer) not in made:
        nested = isinstance(layer, keras.Sequential) or hasattr(layer, "operations")
        plain = _plain(layer)
        copy = _copy_of_model(layer, made) if nested else type(plain).from_config(plain.get_config())
        made[id(layer)] = (layer, copy)
    return made[id(layer)][1]


def _plain(layer):
    return layer.to_conv2d() if isinstance(layer, SparseConnections2D) else layer


def _copy_of_model(model, made: dict[int, tuple]):
    """Not compiled: Keras's own clone is, and fails on losses of the caller's own."""
    if isinstance(model, keras.Sequential):
        source = model.inputs[0]
        start = keras.Input(batch_shape=source.shape, dtype=source.dtype, name=source.name)
        return keras.Sequential([start, *(_copy(layer, made) for layer in model.layers)], name=model.name)
    return keras.models.clone_model(
        keras.Model(model.input, model.output, name=model.name),
        clone_function=lambda layer: _copy(layer, made),
    )
