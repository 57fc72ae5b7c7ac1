"""From floats to the integers of a quantized file, rounded as TensorFlow's quantizer rounds."""

import numpy as np

_BLOCK = 1 << 20  # weights that are rounded at a time
_INT32 = float((1 << 31) - 1)
_SIZES = (1e-30, 1e30)


def activation_scale(low: float, high: float) -> np.float32:
    """Returns what one step of an int16 activation is worth.

    Of what is 0 throughout it is that of values up to 1. LiteRT ends the process on scales near the largest
    float, and takes those near the least for 0.

    Args:
        low: the least value that was seen; it may be infinite.
        high: the largest, likewise.
    """
    size = max(abs(low), abs(high)) or 1.0
    return np.float32(min(max(size, _SIZES[0]), _SIZES[1])) / np.float32(32767)


def power_of_two(scale: np.float32) -> np.float32:
    """Returns the least power of two that is no less: in steps of it whole numbers are exact."""
    return np.float32(2.0 ** np.ceil(np.log2(scale)))


def weight_spread(kernel: np.ndarray, axis: int) -> np.ndarray:
    """Returns the largest absolute weight of each channel.

    Args:
        kernel: the weights.
        axis: that of the channels.
    """
    others = tuple(i for i in range(kernel.ndim) if i != axis)
    return np.maximum(-kernel.min(axis=others), kernel.max(axis=others))


def with_room_for_bias(spread: np.ndarray, bias: np.ndarray, step: np.float32) -> np.ndarray:
    """Returns the spread, widened to hold the bias where the weights are next to nothing, or zero.

    Args:
        spread: from ``weight_spread``.
        bias: one for each channel.
        step: what one step of the input is worth.
    """
    if step == 0:
        return spread
    size = np.abs(bias.astype(np.float64))
    tight = size >= 0.5 * step * (spread / np.float32(127)) * _INT32
    wide = 2 * size / _INT32 * (127 / step)
    return np.where(tight, wide, spread).astype(np.float32)


def inverse(values: np.ndarray, numerator: int = 1) -> np.ndarray:
    """Returns ``numerator / values``, and 0 where they are 0."""
    divided = np.zeros_like(values, np.float32)
    return np.divide(np.float32(numerator), values, out=divided, where=values != 0)


def rounded(values: np.ndarray, factors: np.ndarray, dtype, limit: int) -> np.ndarray:
    """Returns ``values * factors`` as integers; halves go away from zero.

    Args:
        values: floats.
        factors: floats that broadcast over them, of as many axes.
        dtype: of the integers.
        limit: the largest one; its negative is the least.
    """

    def scaled(part):
        return values[part] * (factors if len(factors) == 1 else factors[part])

    return _rounded(values, scaled, dtype, (-limit, limit))


def rounded_around(values: np.ndarray, step: np.float32, zero_point: int) -> np.ndarray:
    """Returns ``values / step + zero_point`` as int8; halves go away from zero.

    Args:
        values: floats.
        step: what one step is worth.
        zero_point: the integer that is zero.
    """
    return _rounded(values, lambda part: values[part] / np.float64(step) + zero_point, np.int8, (-128, 127))


def _rounded(values, scaled, dtype, limits) -> np.ndarray:
    """Returns ``scaled(part)`` of all parts of the values, rounded: some rows at a time, to save memory."""
    found = np.empty(values.shape, dtype)
    rows = max(1, _BLOCK // max(1, values[0].size))
    for start in range(0, len(values), rows):
        part = slice(start, start + rows)
        exact = scaled(part)
        whole = np.trunc(exact)
        whole += np.copysign(np.abs(exact - whole) >= 0.5, exact)
        found[part] = np.clip(whole, *limits, out=whole)
    return found
