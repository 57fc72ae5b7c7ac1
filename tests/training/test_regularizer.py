"""WGSEFRegularizer in a ProximalModel, where it is a level, and in a plain model, where it is a penalty."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import tf_wgsef
from tests import oracles
from tests.training.toys import data, live_counts, mlp
from tf_wgsef.errors import InputError

Regularizer = tf_wgsef.WGSEFRegularizer


def kernel_of(shape=(3, 3, 2, 6), dead=(1, 4)):
    kernel = np.random.default_rng(0).normal(size=shape).astype("float32")
    kernel[..., list(dead)] = 0
    return kernel


@pytest.mark.parametrize(("level", "k"), [(dict(sparsity=0.5), 3), (dict(k=2), 2), (dict(sparsity=0.0), 6)])
def test_the_value_is_that_of_the_formula(level, k):
    kernel = kernel_of()
    norms = np.sqrt((kernel.astype("float64").reshape(-1, 6) ** 2).sum(0))
    expected = 0.25 * oracles.wgsef_value(norms, None, k, debias=True)
    value = float(Regularizer(**level, strength=0.25)(keras.ops.array(kernel)))
    assert value == pytest.approx(expected, rel=1e-5, abs=1e-6)


def test_the_gradient_is_that_of_the_formula_and_zero_at_a_dead_filter():
    kernel = tf.Variable(kernel_of())
    with tf.GradientTape() as tape:
        value = Regularizer(k=2, strength=1.0)(kernel)
    gradient = tape.gradient(value, kernel).numpy()
    columns = kernel.numpy().reshape(-1, 6)
    shares = oracles.wgsef_shares(np.linalg.norm(columns, axis=0), 0.0, None, 2, debias=False)
    expected = np.where(shares > 0, columns / np.where(shares > 0, shares, 1) - columns, 0)
    np.testing.assert_allclose(gradient.reshape(-1, 6), expected, rtol=1e-4, atol=1e-5)
    assert not gradient[..., [1, 4]].any()


def test_in_a_plain_model_it_is_added_to_the_loss_and_trains_without_nan():
    model = mlp(kernel_regularizer=Regularizer(sparsity=0.5, strength=0.1))
    first = model.get_layer("h1").kernel
    first.assign(kernel_of((4, 8), dead=(0, 3)))
    x, y = data()
    model.compile(keras.optimizers.SGD(0.01), "mse")
    expected = np.mean((model.predict(x, verbose=0) - y) ** 2)
    for name, k in (("h1", 4), ("h2", 3)):
        norms = np.linalg.norm(model.get_layer(name).kernel.numpy().astype("float64"), axis=0)
        expected += 0.1 * oracles.wgsef_value(norms, None, k, debias=True)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)
    model.fit(x, y, epochs=2, verbose=0)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_inside_proximal_model_it_is_a_level_and_no_loss():
    options = [dict(sparsity=0.5), dict(k=2)]
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(8, "tanh", name="h1", kernel_regularizer=Regularizer(**options[0], strength=5.0)),
            layers.Dense(6, "tanh", name="h2", kernel_regularizer=Regularizer(**options[1], strength=5.0)),
            layers.Dense(5, "tanh", name="h3", kernel_regularizer="l2"),
            layers.Dense(2, name="out"),
        ]
    )
    assert len(model.losses) == 3
    sparse = tf_wgsef.ProximalModel(model)
    assert len(sparse.losses) == 1  # the l2 stays
    sparse.compile("adam", "mse")
    x, y = data()
    sparse.fit(x, y, batch_size=8, epochs=4, verbose=0)
    assert live_counts(model, ("h1", "h2", "h3")) == {"h1": 4, "h2": 2, "h3": 5}


def test_a_model_that_carries_it_saves_loads_and_trains(tmp_path):
    model = mlp(kernel_regularizer=Regularizer(np.float32(0.5), strength=0.3))
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    carried = loaded.get_layer("h1").kernel_regularizer
    assert (carried.sparsity, carried.k, carried.strength) == (0.5, None, 0.3)
    assert float(sum(loaded.losses)) == pytest.approx(float(sum(model.losses)))

    sparse = tf_wgsef.ProximalModel(loaded)
    sparse.compile("adam", "mse")
    x, y = data()
    sparse.fit(x, y, epochs=2, verbose=0)
    sparse.save(tmp_path / "s.keras")
    again = keras.models.load_model(tmp_path / "s.keras")
    assert again.losses == []
    assert live_counts(again.model, ("h1", "h2")) == {"h1": 4, "h2": 3}


@pytest.mark.parametrize("level", [dict(sparsity=0.25), dict(k=np.int64(3), strength=2)])
def test_config_round_trip(level):
    config = Regularizer(**level).get_config()
    assert (
        keras.regularizers.deserialize(keras.regularizers.serialize(Regularizer(**level))).get_config()
        == config
    )
    assert Regularizer.from_config(config).get_config() == config
    assert all(type(value) in (int, float, str, type(None)) for value in config.values())


def tied(first, second):
    inputs = keras.Input((4,))
    a = layers.Dense(6, name="a", kernel_regularizer=first)(inputs)
    b = layers.Dense(6, name="b", kernel_regularizer=second)(a)
    return keras.Model(inputs, layers.Dense(2, name="out")(layers.Add()([a, b])))


def on_the_output():
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(8, name="h1", kernel_regularizer=Regularizer(0.5)),
            layers.Dense(2, name="out", kernel_regularizer=Regularizer(0.5)),
        ]
    )


def test_tied_layers_share_one_level():
    sparse = tf_wgsef.ProximalModel(tied(Regularizer(0.5), Regularizer(k=3)))
    assert [pool.k for pool in sparse.level.pools] == [3.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Regularizer(), "either `sparsity` or `k`"),
        (lambda: Regularizer(0.5, k=2), "either `sparsity` or `k`"),
        (lambda: Regularizer(1.0), "Received: sparsity=1.0"),
        (lambda: Regularizer(float("nan")), "Received: sparsity=nan"),
        (lambda: Regularizer(k=0), "Received: k=0"),
        (lambda: Regularizer(0.5, strength=-1), "Received: strength=-1"),
        (lambda: Regularizer(0.5, groups="rows"), "Received: groups='rows'"),
        (lambda: Regularizer(k=7)(keras.ops.ones((2, 6))), "at most the 6 groups of the kernel"),
        (
            lambda: tf_wgsef.ProximalModel(mlp(kernel_regularizer=Regularizer(k=7))),
            "at most the 6 groups of layer 'h2'. Received: k=7",
        ),
        (lambda: tf_wgsef.ProximalModel(on_the_output()), "Received: out, which make the model's output"),
        (lambda: tf_wgsef.ProximalModel(tied(Regularizer(0.5), None)), "Received: a, which .* carries none"),
        (
            lambda: tf_wgsef.ProximalModel(tied(Regularizer(0.5), Regularizer(k=2))),
            r"\[2, 3\] channels to keep in 'a\+b'",
        ),
    ],
)
def test_bad_input_gets_one_clear_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_layers_of_nested_models_carry_their_level():
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(6, "tanh", name="deep", kernel_regularizer=Regularizer(k=2))]
    )
    inputs = keras.Input((4,))
    x = layers.Dense(4, "tanh", name="top", kernel_regularizer=Regularizer(k=3))(inputs)
    model = keras.Model(inputs, layers.Dense(2, name="out")(inner(x)))
    sparse = tf_wgsef.ProximalModel(model)
    sparse.compile("adam", "mse")
    x, y = data()
    sparse.fit(x, y, epochs=2, verbose=0)
    assert sparse.live_groups() == {"top": 3, f"{inner.name}/deep": 2}
    assert sparse.losses == []  # the prox takes the penalty's place
    only = keras.Sequential([keras.Input((4,)), inner, layers.Dense(2)])
    assert tf_wgsef.ProximalModel(only).level.pools[0].k == 2


def test_layers_inside_wrappers_carry_their_level():
    dense = layers.Dense(6, "tanh", name="inner", kernel_regularizer=Regularizer(k=2))
    inputs = keras.Input((3, 4))
    x = layers.TimeDistributed(dense, name="td")(inputs)
    model = keras.Model(inputs, layers.Dense(2, name="out")(x))
    sparse = tf_wgsef.ProximalModel(model)
    assert sparse.level.pools[0].k == 2 and sparse.groups.layers == ("td/inner",)
    assert sparse.losses == []
