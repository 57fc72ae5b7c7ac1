"""The numerical helpers: no NaN where training ends up, sums in at least float32."""

import numpy as np
import tensorflow as tf
from keras import ops

from tf_wgsef.penalties import safe_norm, safe_sqrt


def test_safe_sqrt_has_no_nan_gradient():
    x = tf.Variable([0.0, 4.0])
    with tf.GradientTape() as tape:
        y = safe_sqrt(x)
    np.testing.assert_allclose(y, [0.0, 2.0])
    np.testing.assert_allclose(tape.gradient(y, x), [0.0, 0.25])
    assert np.isnan(np.asarray(safe_sqrt([np.nan]))[0])


def test_safe_norm():
    x = tf.Variable([[3.0, 4.0], [0.0, 0.0]])
    with tf.GradientTape() as tape:
        norms = safe_norm(x, axis=-1)
    np.testing.assert_allclose(norms, [5.0, 0.0])
    np.testing.assert_allclose(tape.gradient(norms, x), [[0.6, 0.8], [0.0, 0.0]])
    assert safe_norm(x, axis=-1, keepdims=True).shape == (2, 1)
    half = ops.cast(np.full(10_000, 60.0), "float16")
    np.testing.assert_allclose(safe_norm(half), 6000.0)
