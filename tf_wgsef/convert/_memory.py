"""When a conversion gives memory back between its steps."""

import math

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


def is_large(model) -> bool:
    """Returns whether the weights of a Keras model take ``LARGE`` bytes or more."""
    return sum(math.prod(one.shape) * _bytes(one.dtype) for one in model.variables) >= LARGE


def _bytes(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize  # numpy has no bfloat16
