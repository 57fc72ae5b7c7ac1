"""Numerical helpers of all penalties: the precision of sums, a root without a NaN gradient."""

import keras
import numpy as np
from keras import ops


def safe_sqrt(x):
    """Returns √x with gradient 0, not NaN or infinity, where x is 0.

    Use it for ``norms = safe_sqrt(sum(t**2))``: a group that is all zero is the very state that
    training reaches, and the plain √ has the gradient 0/0 there. Zero is a subgradient of the norm
    at 0.

    Args:
        x: tensor of any shape, entries of at least 0.

    Returns:
        A tensor of the shape and dtype of ``x``. NaN entries stay NaN.

    Example:
        >>> ops.convert_to_numpy(safe_sqrt(ops.array([0.0, 4.0]))).tolist()  # gradient [0, 1/4]
        [0.0, 2.0]
    """
    x = ops.convert_to_tensor(x)
    zero = ops.equal(x, 0)
    return ops.where(zero, ops.zeros_like(x), ops.sqrt(ops.where(zero, ops.ones_like(x), x)))


def safe_norm(x, axis=None, *, keepdims: bool = False):
    """Returns the Euclidean norm along ``axis``, summed in at least float32, gradient 0 at 0.

    Args:
        x: tensor of any shape.
        axis: the axis or axes to reduce; ``None`` is all of them.
        keepdims: keep the reduced axes with size 1.

    Returns:
        The norms, in ``accumulation_dtype(x)``.

    Example:
        >>> ops.convert_to_numpy(safe_norm(ops.array([[3.0, 4.0], [0.0, 0.0]]), axis=-1)).tolist()
        [5.0, 0.0]
    """
    x = accumulate(x)
    return safe_sqrt(ops.sum(ops.square(x), axis=axis, keepdims=keepdims))


def accumulation_dtype(x) -> str:
    """Returns the dtype in which sums over ``x`` are made: float64 for float64, else float32.

    A float16 sum overflows at 65 504 and a bfloat16 sum stalls at 256 equal terms.

    Args:
        x: a tensor.
    """
    dtype = keras.backend.standardize_dtype(x.dtype)
    return "float64" if dtype == "float64" else "float32"


def accumulate(x, dtype: str | None = None):
    """Returns ``x`` as a tensor in ``dtype``, by default its ``accumulation_dtype``.

    Args:
        x: a tensor, an array, nested lists or a number.
        dtype: ``"float32"`` or ``"float64"``.
    """
    if dtype is None:
        x = ops.convert_to_tensor(x)
        dtype = accumulation_dtype(x)
        return ops.cast(x, dtype)
    if isinstance(x, (int, float, list, tuple, np.generic, np.ndarray)):
        return ops.convert_to_tensor(np.asarray(x, dtype=dtype))
    return ops.cast(x, dtype)
