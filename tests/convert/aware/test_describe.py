import json

import keras
import numpy as np
import pytest

from tests import models
from tf_wgsef.convert._flat import flat_model
from tf_wgsef.convert.aware._clean_config import clean_config
from tf_wgsef.convert.aware._describe import describe_model
from tf_wgsef.errors import ConversionError


class Doubling(keras.layers.Layer):
    def call(self, x):
        return 2 * x


def _with(make, shape=(4,)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, make(inputs), name="toy")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lambda: _with(lambda x: keras.ops.relu(x) + 1.0),
            "Relu '.*': a raw keras.ops operation; Add '.*': a raw",
        ),
        (lambda: _with(Doubling(name="own")), "Doubling 'own': not a layer of Keras"),
        (
            lambda: _with(lambda x: keras.layers.Dropout(0.5, name="on")(x, training=True)),
            "Dropout 'on': .*training",
        ),
        (
            lambda: _with(keras.layers.Dense(2, dtype="float64", name="wide")),
            "Dense 'wide': it computes in float64",
        ),
        (models.encoder_decoder, "LSTM 'decoder': it is called with initial_state"),
    ],
)
def test_what_cannot_be_rebuilt_is_named_layer_by_layer(model, message):
    with pytest.raises(ConversionError, match=message) as caught:
        describe_model(flat_model(model()))
    assert "\n" not in str(caught.value)


def test_a_description_is_plain_data_with_names_of_its_own():
    description = describe_model(flat_model(models.nested()))
    plain = json.loads(json.dumps(description.plain))
    assert [entry["path"] for entry in plain["layers"]][:3] == [
        "stem",
        "tail/twice/block/inner",
        "tail/twice/block/outer",
    ]
    assert [entry["times"] for entry in plain["layers"]][:3] == [1, 2, 2]
    assert len({entry["key"] for entry in plain["layers"]}) == len(plain["layers"])
    assert sum(array.size for array in description.weights().values()) == models.nested().count_params()


def test_mixed_precision_is_described_in_float32():
    policy = keras.DTypePolicy("mixed_float16")
    model = _with(keras.layers.Dense(2, dtype=policy, name="half"))
    (entry,) = describe_model(flat_model(model)).plain["layers"]
    assert entry["config"]["dtype"] == "float32"


def test_what_keras_2_does_not_know_is_left_out():
    layer = keras.layers.Conv2D(2, 3, kernel_regularizer="l2", kernel_constraint="non_neg", name="conv")
    config = clean_config(layer.get_config())
    assert not [name for name in config if name.endswith(("_initializer", "_regularizer", "_constraint"))]
    assert config["dtype"] == "float32"
    assert np.prod(config["kernel_size"]) == 9


def test_numbers_of_numpy_in_a_configuration_become_pythons():
    layer = keras.layers.Conv2D(np.int64(16), (np.int32(3), 3))
    assert json.loads(json.dumps(clean_config(layer.get_config())))["filters"] == 16
    assert clean_config(keras.layers.Dropout(np.float32(0.25)).get_config())["rate"] == 0.25
