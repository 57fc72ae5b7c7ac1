"""A model made again, whatever it was compiled with: every stage that needs a copy goes through this."""

import keras
import numpy as np
import pytest

import tf_wgsef
from tests import models
from tests.training.processes import run_alone
from tf_wgsef.baselines import SparseConnections2D, plain_convolutions, with_sparse_connections
from tf_wgsef.graph import copy_model, in_float32
from tf_wgsef.strip._precise import in_float64
from tf_wgsef.workflows.latency._strippings import random_stripping


def own_loss(y, outputs):
    return keras.ops.mean((y - outputs) ** 2)


def own_activation(x):
    return keras.ops.relu(x)


def nested(dtype=None):
    """Nested, shared, a raw operation, a lambda and functions of the caller's own; compiled with one."""
    inner = keras.Sequential(
        [
            keras.Input((4, 4, 6)),
            keras.layers.Conv2D(6, 1, name="inner_conv", dtype=dtype),
            keras.layers.Lambda(lambda x: 2 * x, dtype=dtype),
        ],
        name="inner",
    )
    x = inputs = keras.Input((4, 4, 2))
    x = keras.layers.Conv2D(6, 1, activation=own_activation, name="conv", dtype=dtype)(x)
    x = inner(inner(x)) + 1.0
    x = keras.layers.GlobalAveragePooling2D(dtype=dtype)(x)
    model = keras.Model(inputs, keras.layers.Dense(3, name="head", dtype=dtype)(x))
    model.compile("adam", own_loss)
    return models.randomize(model)


def predictions(model, of):
    return model.predict(models.random_inputs(of, 5, 0), verbose=0)


COPIES = {
    "copy_model": lambda model: copy_model(model),
    "in_float64": in_float64,
    "plain_convolutions": plain_convolutions,
    "with_sparse_connections": lambda model: with_sparse_connections(with_wide_input(model), 0.5),
    "random_stripping": lambda model: random_stripping(model, 0),
}


def with_wide_input(model):
    """The same behind a convolution at the top that connections can be taken from."""
    inputs = keras.Input((4, 4, 6))
    outputs = model(keras.layers.Conv2D(2, 1, name="wide")(inputs))
    wide = keras.Model(inputs, outputs)
    wide.compile("adam", own_loss)
    return wide


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_a_loss_and_an_activation_of_the_callers_own_do_not_stand_in_the_way(copy):
    model = nested()
    before = [np.array(w) for w in model.get_weights()]
    made = copy(model)
    assert made is not model and not made.compiled
    assert all(map(np.array_equal, before, model.get_weights()))


@pytest.mark.parametrize("copy", [in_float64, plain_convolutions], ids=["in_float64", "plain_convolutions"])
def test_the_copy_computes_the_same(copy):
    model = nested()
    np.testing.assert_allclose(
        predictions(copy(model), model), predictions(model, model), rtol=1e-4, atol=1e-5
    )


def test_a_mixed_precision_model_with_functions_of_the_callers_own_computes_in_float32():
    model = nested("mixed_bfloat16")
    precise = in_float32(model)
    assert {layer.compute_dtype for layer in precise.layers if layer.weights} == {"float32"}
    np.testing.assert_allclose(predictions(precise, model), predictions(model, model), rtol=0.05, atol=0.1)


def test_a_shared_nested_model_is_made_once():
    model = nested()
    assert copy_model(model).count_params() == model.count_params()


def test_what_is_frozen_inside_a_wrapper_stays_frozen():
    frozen = keras.layers.TimeDistributed(keras.layers.Dense(3, trainable=False))
    model = keras.Sequential([keras.Input((2, 4)), frozen, keras.layers.Dense(2)])
    assert len(model.trainable_variables) == len(copy_model(model).trainable_variables) == 2


def freeze_and_copy():
    """In a process of each backend: JAX and PyTorch pass a model's flag on to its layers."""
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(4, name="a"), keras.layers.Dense(4, name="b")]
    )
    inner.trainable = False
    inner.get_layer("b").trainable = True
    inputs = keras.Input((4,))
    x = keras.layers.Dense(4, name="first")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="last")(inner(x)))
    model.get_layer("first").trainable = False
    model.get_layer("last").kernel.trainable = False
    whole = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="c"), keras.layers.Dense(2)])
    whole.trainable = False
    whole.get_layer("c").trainable = True
    for one in (model, whole):
        for made in (copy_model(one), tf_wgsef.strip(one).model):
            assert flags(made) == flags(one), (flags(made), flags(one))
    small = tf_wgsef.strip(model).model
    assert [w.trainable for w in small.get_layer("last").weights] == [False, True]


def flags(model) -> list:
    found = [(model.name, model.trainable)]
    for layer in model.layers:
        found += flags(layer) if hasattr(layer, "layers") else [(layer.name, layer.trainable)]
    return found


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
def test_frozen_layers_stay_frozen_in_copies_and_stripped_models(backend):
    run_alone(freeze_and_copy, KERAS_BACKEND=backend)


def test_a_baseline_with_a_raw_operation_becomes_plain_convolutions():
    inputs = keras.Input((4, 4, 4))
    outputs = keras.ops.relu(SparseConnections2D(4, 1, density=0.5)(inputs))
    model = keras.Model(inputs, outputs)
    np.testing.assert_allclose(
        predictions(plain_convolutions(model), model), predictions(model, model), atol=1e-6
    )
