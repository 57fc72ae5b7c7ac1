"""When a conversion gives memory back between its steps."""

import contextlib
import gc
import math
from collections.abc import Iterator

import numpy as np

from tf_wgsef.memory import give_back_memory

LARGE = 1 << 25
"""Bytes of weights from which on that is worth its time, some tenths of a second."""


def give_back(model) -> None:
    """Gives memory that is free back to the system, if the model is large.

    Args:
        model: a Keras model, built.
    """
    if is_large(model):
        give_back_memory()


@contextlib.contextmanager
def collecting_own_garbage(model) -> Iterator[None]:
    """Inside, garbage is looked for among new objects only, unless the model is large.

    TensorFlow's converter collects at each call. Looking through all that a process holds took longer than
    converting a small model (``benchmarks/conversion_time.py``).

    Args:
        model: a Keras model, built.
    """
    if is_large(model) or gc.get_freeze_count():  # what the caller has frozen stays so
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()  # what was frozen counts as old, and is looked at seldom, once it is thawed
        gc.unfreeze()


def is_large(model) -> bool:
    """Returns whether the weights of a Keras model take ``LARGE`` bytes or more."""
    return sum(math.prod(one.shape) * _bytes(one.dtype) for one in model.variables) >= LARGE


def _bytes(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize  # numpy has no bfloat16
