"""From end to end: a stripped LeNet-5 on scikit-learn's digits."""

import importlib.util
import os
import pathlib
import random
import sys

import keras
import numpy as np
import pytest

import tf_wgsef
from tf_wgsef.convert import accuracy, parity
from tf_wgsef.convert.aware import AwareProgress
from tf_wgsef.errors import ConversionError, InputError
from tf_wgsef.workflows import load_digits_28, networks

needs_library = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_model_optimization") is None,
    reason="the extra qat is not installed",
)


@pytest.fixture(scope="module")
def stripped():
    """(model, data, accuracy): LeNet-5 with a quarter of its channels."""
    keras.utils.set_random_seed(0)
    data = load_digits_28()
    sparse = tf_wgsef.sparsify(networks.lenet5(), sparsity=0.75)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    sparse.compile(keras.optimizers.Adam(1e-3), loss)
    sparse.fit(data.x_train, data.y_train, epochs=6, verbose=0)
    model = tf_wgsef.strip(sparse).model
    return model, data, _accuracy(model, data)


def _accuracy(model, data):
    return float(np.mean(model.predict(data.x_test, verbose=0).argmax(axis=1) == data.y_test))


def _state():
    """All of the caller's process that another Keras might touch."""
    return {
        "environment": dict(os.environ),
        "keras": (keras.config.backend(), keras.config.floatx(), keras.config.dtype_policy().name),
        "format": keras.config.image_data_format(),
        "random": (random.getstate(), np.random.get_state()[1].tolist()),
        "folder": sorted(pathlib.Path.cwd().iterdir()),
        "path": list(sys.path),
    }


@needs_library
def test_quantized_training_makes_a_good_file_and_leaves_no_trace(stripped):
    model, data, reference = stripped
    assert reference > 0.9, "chance is 0.1: without a trained model the rest says nothing"
    before = tf_wgsef.convert(model, quantization="int8", calibration=data.x_train)  # loads TensorFlow
    weights, state, modules, seen = model.get_weights(), _state(), set(sys.modules), []
    trained = tf_wgsef.train_quantized(
        model, data.x_train, data.y_train, epochs=2, learning_rate=1e-6, progress=seen.append
    )
    assert _state() == state
    new = {name.partition(".")[0] for name in set(sys.modules) - modules}
    assert new <= {"tf_wgsef", *sys.stdlib_module_names}, "of others, nothing is loaded"
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    # 359 images: 0.014 are 5 of them.
    assert accuracy(trained.tflite, data.x_test, data.y_test) >= reference - 0.014
    assert len(trained.history) == 2
    assert trained.history[1]["accuracy"] > 0.9
    assert trained.bridge_difference <= 1e-5
    assert trained.file_difference <= 0.02
    # So low a learning rate hardly changes the weights. What is left is what int8 costs, unless the ranges of
    # activations are wrong; the file without training says how much that is.
    cost = parity(model, before, data.x_test, samples=200).mean_abs_diff
    assert parity(model, trained.tflite, data.x_test, samples=200).mean_abs_diff <= 1.5 * cost
    assert all(isinstance(one, AwareProgress) for one in seen)
    assert [one.share for one in seen] == sorted(one.share for one in seen)
    assert seen[-1].stage == "convert"


@needs_library
def test_clustered_weights_come_back(stripped):
    model, data, reference = stripped
    batches = [(data.x_train[i : i + 64], data.y_train[i : i + 64]) for i in range(0, len(data.x_train), 64)]
    model.compile("adam", lambda y, outputs: outputs[:, 0])  # which Keras cannot compile a copy with
    clustered = tf_wgsef.cluster_weights(model, batches, clusters=8, epochs=1)
    assert clustered.layers == ("conv1", "conv2", "dense1", "logits")
    assert isinstance(clustered.model, keras.Sequential)
    for name in clustered.layers:
        assert len(np.unique(clustered.model.get_layer(name).kernel)) <= 8
    assert len(np.unique(model.get_layer("dense1").kernel)) > 8
    assert _accuracy(clustered.model, data) >= reference - 0.02


@needs_library
def test_two_of_four_neighbours_are_zero(stripped):
    model, data, reference = stripped
    sparse = tf_wgsef.sparse_2_to_4(model, data.x_train, data.y_train, epochs=1)
    assert "dense1" in sparse.layers
    for name in sparse.layers:
        kernel = np.asarray(sparse.model.get_layer(name).kernel)
        rows = np.moveaxis(kernel, -2, -1).reshape(-1, 4)  # four neighbours along the input channels
        assert ((rows == 0).sum(axis=1) >= 2).all()
    assert _accuracy(sparse.model, data) >= reference - 0.02


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"io": "int4"}, "`io` to be 'int8' or 'float32'"),
        ({"seed": -1}, "`seed` to be a whole number of at least 0"),
        ({"seed": None}, "`seed` to be a whole number of at least 0"),
        ({"epochs": 0}, "`epochs` to be a whole number of at least 1"),
        ({"learning_rate": -1.0}, "`learning_rate` to be a finite number"),
        ({"time_limit": float("nan")}, "`time_limit` to be a finite number"),
    ],
)
def test_arguments_are_checked_before_a_process_starts(stripped, monkeypatch, arguments, message):
    monkeypatch.setattr("tf_wgsef.convert.aware._job.importlib.util.find_spec", lambda name: True)
    model, data, _ = stripped
    with pytest.raises(InputError, match=message):
        tf_wgsef.train_quantized(model, data.x_train, data.y_train, **arguments)


def test_a_missing_extra_is_said_at_once(stripped, monkeypatch):
    monkeypatch.setattr("tf_wgsef.convert.aware._job.importlib.util.find_spec", lambda name: None)
    model, data, _ = stripped
    with pytest.raises(InputError, match=r"no module named 'tensorflow_model_optimization'.*tf-wgsef\[qat\]"):
        tf_wgsef.train_quantized(model, data.x_train, data.y_train)


@needs_library
def test_a_model_without_a_layer_to_make_sparse_is_refused():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)], name="narrow")
    with pytest.raises(ConversionError, match="can be 2:4 sparse. Received: model='narrow'.*round_to=4"):
        tf_wgsef.sparse_2_to_4(model, np.ones((8, 3)), np.arange(8) % 2)


@needs_library
def test_the_time_limit_ends_the_work(stripped):
    model, data, _ = stripped
    with pytest.raises(ConversionError, match="sign of life .* every 0.2 s"):
        tf_wgsef.train_quantized(model, data.x_train, data.y_train, time_limit=0.2)
