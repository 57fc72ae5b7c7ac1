"""int8 files of networks in which a layer never lets anything through, as training may leave them."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_wgsef
from tf_wgsef.errors import InputError


def network(through=-100.0):
    """A residual network; ``through`` is the bias before the branch's ReLU."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((8, 8, 3))
    trunk = layers.Conv2D(4, 3, padding="same")(inputs)
    bias = keras.initializers.Constant(through)
    x = layers.Conv2D(1, 3, padding="same", bias_initializer=bias, name="silent")(trunk)
    x = layers.ReLU(name="closed")(x)
    x = layers.Conv2D(4, 3, padding="same", bias_initializer=keras.initializers.Constant(0.5))(x)
    x = layers.GlobalAveragePooling2D()(layers.Add()([trunk, x]))
    return keras.Model(inputs, layers.Dense(3)(x))


def images(count=64):
    return np.random.default_rng(0).uniform(size=(count, 8, 8, 3)).astype("float32")


SOURCES = {
    "array": lambda x: x,
    "batches": lambda x: [x[:32], x[32:]],
    "function": lambda x: lambda: iter([x[:32], x[32:]]),
}


@pytest.mark.parametrize("source", SOURCES)
def test_the_file_runs_and_answers_as_the_model(source):
    model, x = network(), images()
    file = tf_wgsef.convert(model, quantization="int8", calibration=SOURCES[source](x))
    answers = keras.ops.convert_to_numpy(model(x))
    assert file.record.parity.max_abs_diff < 0.05 * np.ptp(answers)
    assert file.record.calibrated_on[0] == 64


def test_calibration_that_can_be_read_once_is_refused_with_the_layer_named():
    with pytest.raises(InputError, match="read twice.*1 operations.*closed.*a list_iterator.*Pass an array"):
        tf_wgsef.convert(network(), quantization="int8", calibration=iter([images()]))
    file = tf_wgsef.convert(network(through=0.0), quantization="int8", calibration=iter([images()]))
    assert file.record.contents.integer_only


def test_a_range_of_nothing_but_zero_is_one_to_the_other_files_too():
    """Those whose ranges are read here: LiteRT refuses a scale of 0."""
    from tf_wgsef.convert._int16 import int16_file
    from tf_wgsef.convert._two_steps import read_ranges

    model, x = network(), images()
    (name,) = [one.name for one in tf_wgsef.convert(model).record.contents.inputs]
    plain = bytes(tf_wgsef.convert(model))
    ranges = read_ranges(plain, ({name: one[None]} for one in x))
    assert (0.0, 1.0) in ranges.values()
    answers = tf_wgsef.convert.predict(int16_file(plain, ranges, "float32"), x)
    np.testing.assert_allclose(answers, model(x), atol=0.01 * np.ptp(answers))
