"""Many groups in a TensorFlow graph: the step is fused by XLA, even where the rest of the graph is not."""

import keras

MANY = 1 << 20
"""Below so many groups the calls of the operations count, above it the passes over memory."""


def fused(function, num_groups: int):
    """Returns ``function`` of no arguments, compiled by XLA where that pays.

    Keras leaves XLA off on CPUs, since it slows convolutions down there. The proximal step of 25 million
    single weights takes about half the time so (docs/results.md).

    Args:
        function: of tensors only, that it closes over.
        num_groups: how many numbers it works through.
    """
    if keras.backend.backend() != "tensorflow" or num_groups < MANY:
        return function
    import tensorflow as tf

    # Eager steps would be compiled anew each time; replicas (tf.distribute) are left to TensorFlow.
    if tf.executing_eagerly() or tf.distribute.has_strategy():
        return function
    return tf.function(function, jit_compile=True, autograph=False)
