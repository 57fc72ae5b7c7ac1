"""Batches as ``fit`` takes them without waiting."""

import keras

from tf_wgsef.workflows.compare._augment import Batches


def feed(batches: Batches):
    """Returns the same batches, as a ``tf.data.Dataset`` that is not tuned where Keras runs on TensorFlow.

    ``fit`` makes a dataset of whatever it is given and drops its iterator after each epoch. TensorFlow's
    tuner sleeps for periods that double, and the iterator may wait for the end of one: up to as long as the
    epoch took (seen with TensorFlow 2.21: epochs of 25 s took 41 s). A dataset without a tuner does not wait.

    Args:
        batches: the batches; ``begin`` of the epoch is to be called before each, since Keras does not tell a
            dataset where an epoch ends.
    """
    if keras.backend.backend() != "tensorflow":
        return batches
    import tensorflow as tf

    def one_epoch():
        for index in range(len(batches)):
            yield batches[index]

    signature = tuple(tf.TensorSpec((None, *part.shape[1:]), part.dtype) for part in batches[0])
    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = tf.data.Dataset.from_generator(one_epoch, output_signature=signature)
    return (
        dataset.apply(tf.data.experimental.assert_cardinality(len(batches))).prefetch(1).with_options(options)
    )


class BeginEpoch(keras.callbacks.Callback):
    """Has the batches of an epoch in its order: the one that Keras, fed by them directly, would use.

    Keras reads the batches once before it trains, so that its first epoch has the order of their second.

    Args:
        batches: the batches.
        start: the epoch that is their first.
    """

    def __init__(self, batches: Batches, start: int):
        super().__init__()
        self._batches, self._start = batches, start

    def on_epoch_begin(self, epoch, logs=None):
        """Draws the order."""
        self._batches.begin(epoch - self._start + 1)
