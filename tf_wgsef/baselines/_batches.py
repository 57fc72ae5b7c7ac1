"""Batches of inputs, from arrays or from a dataset."""

import keras

from tf_wgsef.errors import InputError


def input_batches(data, batch_size: int):
    """Yields batches of a model's inputs.

    Args:
        data: an array, a list or dict of arrays for several inputs, or a dataset of batches (a
            ``keras.utils.PyDataset``, a ``tf.data.Dataset``, a ``DataLoader``): of inputs, or of tuples that
            begin with them.
        batch_size: of batches that are cut from arrays.

    Raises:
        InputError: if there is no sample.
    """
    empty = True
    for batch in _batches(data, batch_size):
        empty = False
        yield batch[0] if isinstance(batch, tuple) else batch
    if empty:
        raise InputError(
            "Expected data with at least one sample. Received: none. Pass arrays, or a dataset that can be "
            "read more than once."
        )


def _batches(data, batch_size: int):
    if isinstance(data, keras.utils.PyDataset):
        yield from (data[number] for number in range(data.num_batches))
    elif isinstance(data, list | dict) or hasattr(data, "shape"):
        size = len(keras.tree.flatten(data)[0])
        for start in range(0, size, batch_size):
            yield keras.tree.map_structure(lambda array, at=start: array[at : at + batch_size], data)
    else:
        yield from data
