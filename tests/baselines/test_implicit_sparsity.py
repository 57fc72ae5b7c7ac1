"""ImplicitSparsity on models with planted dead filters."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import tf_wgsef
from tf_wgsef.baselines import ImplicitSparsity, inactive_filters
from tf_wgsef.errors import InputError


def numbers(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def block(x, number, relu):
    x = layers.Conv2D(6, 3, use_bias=False, name=f"conv{number}")(x)
    return relu(layers.BatchNormalization(name=f"bn{number}")(x))


def network(relu=lambda x: layers.ReLU()(x)):
    inputs = keras.Input((7, 7, 2))
    x = block(block(inputs, 1, relu), 2, lambda x: x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(2, name="out")(x))


def plant(model):
    """Channel 1: always negative before ReLU. 2: gamma 0, beta < 0. 3: tiny gamma, positive. 4: gamma 0."""
    bn = model.get_layer("bn1")
    bn.gamma.assign([1, 1e-2, 0, -9e-4, 0, 1.1e-3])
    bn.beta.assign([0, -5, -1, 2, 3, 0])
    return model


def channels(flags):
    return np.flatnonzero(flags).tolist()


RELUS = {
    "layer": lambda x: layers.ReLU()(x),
    "relu6": lambda x: layers.ReLU(max_value=6)(x),
    "activation": lambda x: layers.Activation("relu")(x),
    "operation": lambda x: ops.relu(x),
    "two readers": lambda x: layers.Add()([layers.ReLU()(x), layers.ReLU(6.0)(x)]),
}


@pytest.mark.parametrize("relu", RELUS)
def test_planted_filters_are_found_behind_relu(relu):
    found = inactive_filters(plant(network(RELUS[relu])), numbers((16, 7, 7, 2)))
    assert list(found) == ["bn1", "bn2"]
    assert channels(found["bn1"].by_activation) == [1, 2]
    assert channels(found["bn1"].by_gamma) == [2, 3, 4]
    assert not found["bn2"].by_activation.any() and not found["bn2"].by_gamma.any()


@pytest.mark.parametrize(
    "behind", [lambda x: x, layers.LeakyReLU(), lambda x: layers.Add()([layers.ReLU()(x), x])]
)
def test_what_another_layer_reads_is_active_if_the_batch_norm_is(behind):
    model = plant(network(behind))
    model.get_layer("bn1").beta.assign([0, -5, 0, 2, 0, 0])
    found = inactive_filters(model, numbers((16, 7, 7, 2)))["bn1"]
    assert channels(found.by_activation) == [2, 4]


@pytest.mark.parametrize("sample", [0, 5, 8])
def test_one_sample_of_any_batch_is_enough_to_be_active(sample):
    model = keras.Sequential([keras.Input((2,)), layers.BatchNormalization(name="bn"), layers.ReLU()])
    x = -np.ones((9, 2), "float32")
    x[sample, 1] = 1e-6
    found = inactive_filters(model, x, batch_size=4)["bn"]
    assert channels(found.by_activation) == [0]
    x[sample, 1] = 1e-13
    assert channels(inactive_filters(model, x, batch_size=4)["bn"].by_activation) == [0, 1]


def test_values_are_those_of_predict():
    """Max over all samples, by a model that ends at the ReLU."""
    model = network()
    model.get_layer("bn1").beta.assign(np.linspace(-3, 0, 6))
    x = numbers((50, 7, 7, 2))
    relu = next(layer for layer in model.layers if isinstance(layer, layers.ReLU))
    behind = keras.Model(model.inputs, relu.output).predict(x, verbose=0)
    expected = np.abs(behind).max((0, 1, 2)) < 1e-12
    assert 0 < expected.sum() < 6
    np.testing.assert_array_equal(inactive_filters(model, x)["bn1"].by_activation, expected)


def test_nested_shared_and_other_axes():
    shared = layers.BatchNormalization(name="shared", scale=False)
    inner = keras.Sequential([keras.Input((4, 3)), shared, layers.ReLU()], name="inner")
    a, b = keras.Input((4, 3), name="a"), keras.Input((4, 3), name="b")
    rows = layers.BatchNormalization(axis=1, name="rows")
    model = keras.Model([a, b], layers.Add()([inner(a), layers.ReLU()(rows(inner(b)))]))
    rows.gamma.assign([1, 0, 1, 1])
    x = -np.abs(numbers((5, 4, 3)))
    y = x.copy()
    y[..., 1] *= -1
    found = inactive_filters(model, {"a": x, "b": y})
    assert list(found) == ["inner/shared", "rows"]
    assert channels(found["inner/shared"].by_activation) == [0, 2]
    assert not found["inner/shared"].by_gamma.any()
    assert channels(found["rows"].by_activation) == [1] == channels(found["rows"].by_gamma)
    for layer in (shared, rows):
        assert "call" not in vars(layer)


def test_the_model_is_as_before_even_after_an_error():
    model = plant(network())
    bn, before = model.get_layer("bn1"), [w.copy() for w in model.get_weights()]
    own = bn.call
    bn.call = lambda *args, **kwargs: own(*args, **kwargs)
    patched = bn.call
    inactive_filters(model, numbers((4, 7, 7, 2)))
    with pytest.raises(Exception, match="."):
        inactive_filters(model, numbers((4, 5)))
    assert bn.call is patched and "call" not in vars(model.get_layer("bn2"))
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


def datasets(x, y):
    import tensorflow as tf

    class Data(keras.utils.PyDataset):
        def __len__(self):
            return 2

        def __getitem__(self, number):
            return x[8 * number : 8 * number + 8], y[8 * number : 8 * number + 8]

    return [x, tf.data.Dataset.from_tensor_slices((x, y)).batch(5), Data()]


@pytest.mark.parametrize("kind", range(3))
def test_the_callback_counts_after_each_epoch(kind):
    x, y = numbers((16, 7, 7, 2)), numbers((16, 2), 1)
    model = plant(network())
    model.compile(keras.optimizers.SGD(0.0), "mse")
    callback = ImplicitSparsity(datasets(x, y)[kind])
    history = model.fit(x, y, epochs=2, verbose=0, callbacks=[callback]).history
    assert history["inactive_by_activation"] == [2, 2]
    assert history["inactive_by_gamma"] == [3, 3]
    assert [channels(one["bn1"].by_gamma) for one in callback.history] == [[2, 3, 4]] * 2


def on_jax():
    assert keras.backend.backend() == "jax"
    x, y = numbers((16, 7, 7, 2)), numbers((16, 2), 1)
    model = plant(network())
    model.compile(keras.optimizers.SGD(1e-4), "mse")
    callback = ImplicitSparsity(x)
    history = model.fit(x, y, epochs=3, verbose=0, callbacks=[callback]).history
    assert history["inactive_by_activation"] == [2, 2, 2]
    assert len(set(history["loss"])) == 3


def test_strip_removes_the_filters_that_are_inactive_for_every_input():
    model = plant(network())
    result = tf_wgsef.strip(model)
    assert result.kept["bn1"] == 4  # gamma 0: 2 and, a constant that is folded, 4
    assert result.max_abs_diff < 1e-5


def test_in_a_wrapper_the_model_inside_is_looked_at():
    sparse = tf_wgsef.sparsify(plant(network()), sparsity=0.5)
    assert channels(inactive_filters(sparse, numbers((4, 7, 7, 2)))["bn1"].by_activation) == [1, 2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: inactive_filters(network(), numbers((0, 7, 7, 2))), "at least one sample"),
        (lambda: inactive_filters(network(), iter(())), "can be read more than once"),
        (lambda: inactive_filters(network(), numbers((1, 7, 7, 2)), batch_size=0), "batch_size=0"),
        (lambda: ImplicitSparsity(None, batch_size=-1), "batch_size=-1"),
        (lambda: inactive_filters("model.keras", numbers((1, 2))), "Expected a Keras 3 model"),
    ],
)
def test_bad_input_gets_one_clear_line(call, message):
    with pytest.raises(InputError, match=message):
        call()
