"""Network slimming: the penalty by a loop over gammas, the choice by sorting them by hand."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_wgsef
from tests import models
from tf_wgsef.baselines import remove_slimming, select_by_gamma, slimming
from tf_wgsef.errors import InputError


def numbers(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def nested():
    """A batch norm outside and one inside a nested model; one has a regularizer of its own."""
    inner = keras.Sequential(
        [
            keras.Input((6, 6, 4)),
            layers.Conv2D(5, 3, name="conv_in"),
            layers.BatchNormalization(name="bn_in", gamma_regularizer=keras.regularizers.L2(0.5)),
            layers.ReLU(),
            layers.Conv2D(3, 1, name="conv_plain"),
            layers.BatchNormalization(name="no_gamma", scale=False),
        ],
        name="inner",
    )
    inputs = keras.Input((8, 8, 2))
    x = layers.BatchNormalization(name="bn_out")(layers.Conv2D(4, 3, name="conv_out")(inputs))
    x = layers.GlobalAveragePooling2D()(inner(layers.ReLU()(x)))
    return keras.Model(inputs, layers.Dense(1, name="out")(x))


def gammas(model):
    return [model.get_layer("bn_out").gamma, model.get_layer("inner").get_layer("bn_in").gamma]


def set_gammas(model, seed=3):
    for number, gamma in enumerate(gammas(model)):
        gamma.assign(numbers(gamma.shape, seed + number))
    return [np.array(gamma.numpy(), "float64") for gamma in gammas(model)]


def total(model):
    return float(sum(model.losses))


def test_the_penalty_is_added_to_the_loss_and_taken_off_again():
    model = nested()
    outer, inner = set_gammas(model)
    own = 0.5 * sum(inner**2)
    configs = [layer.get_config() for layer in (model.get_layer("bn_out"), model.get_layer("inner"))]
    assert total(model) == pytest.approx(own)
    l1 = sum(abs(value) for value in [*outer, *inner])
    assert slimming(model, 0.25) is model
    assert total(model) == pytest.approx(own + 0.25 * l1, rel=1e-6)
    slimming(model, 2.0)  # another strength, not a second penalty
    assert total(model) == pytest.approx(own + 2.0 * l1, rel=1e-6)
    assert remove_slimming(model) is model
    assert total(model) == pytest.approx(own)
    assert [layer.get_config() for layer in (model.get_layer("bn_out"), model.get_layer("inner"))] == configs
    remove_slimming(model)
    assert total(model) == pytest.approx(own)


def test_it_survives_saving_and_can_be_taken_off_after_loading(tmp_path):
    model = slimming(nested(), 0.25)
    set_gammas(model)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert total(loaded) == pytest.approx(total(model), rel=1e-6)
    own = 0.5 * sum(gammas(model)[1].numpy().astype("float64") ** 2)
    assert total(remove_slimming(loaded)) == pytest.approx(own, rel=1e-6)


def shrinks():
    """Σ |gamma| after training, without and with the penalty."""
    sizes = []
    for strength in (0.0, 0.5):
        keras.utils.set_random_seed(0)
        model = slimming(nested(), strength)
        model.compile(keras.optimizers.SGD(0.02), "mse")
        model.fit(numbers((32, 8, 8, 2)), numbers((32, 1), 1), batch_size=8, epochs=5, verbose=0)
        sizes.append(sum(float(np.abs(keras.ops.convert_to_numpy(gamma)).sum()) for gamma in gammas(model)))
    assert sizes[1] < 0.9 * sizes[0]


def test_training_shrinks_gammas():
    shrinks()


@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.3, 0.5, 7 / 9])
def test_the_smallest_gammas_of_the_model_go_and_layers_keep_their_best(sparsity):
    model = nested()
    set_gammas(model)
    gammas(model)[0].assign([1e-3, -4e-3, 3e-3, 2e-3])  # smaller than all of the other layer
    names, sizes = ("conv_out", "inner/conv_in"), [np.abs(gamma.numpy()) for gamma in gammas(model)]
    groups = tf_wgsef.build_groups(model)
    factors = select_by_gamma(groups, model, sparsity)
    number = int(np.ceil(sparsity * 9 - 1e-9))
    by_size = sorted((size, layer, at) for layer in (0, 1) for at, size in enumerate(sizes[layer]))
    best = {(layer, int(sizes[layer].argmax())) for layer in (0, 1)}
    gone = [(layer, at) for _, layer, at in by_size if (layer, at) not in best][:number]
    expected = {name: np.ones(len(own)) for name, own in zip(names, sizes, strict=True)}
    for layer, at in gone:
        expected[names[layer]][at] = 0
    for layer, name in enumerate(groups.layers):
        mine = factors[groups.layer_of == layer]
        np.testing.assert_array_equal(mine, expected.get(name, np.ones(len(mine))))
    assert (factors == 0).sum() == number


def test_tied_channels_count_by_their_largest_gamma():
    inputs = keras.Input((8, 8, 3))
    ends = [
        layers.BatchNormalization(name=f"bn{number}")(layers.Conv2D(4, 1, name=f"conv{number}")(inputs))
        for number in range(2)
    ]
    x = layers.GlobalAveragePooling2D()(layers.Add()(ends))
    model = keras.Model(inputs, layers.Dense(1)(x))
    model.get_layer("bn0").gamma.assign([0.1, 0.9, 0.2, 0.3])
    model.get_layer("bn1").gamma.assign([-0.8, 0.0, 0.1, -0.4])
    factors = select_by_gamma(tf_wgsef.build_groups(model), model, 0.5)
    np.testing.assert_array_equal(factors, [1, 1, 0, 0])


def test_what_is_chosen_is_what_strip_removes():
    model = models.batch_norm_chain()
    for name in ("bn1", "bn2"):
        gamma = model.get_layer(name).gamma
        gamma.assign(np.linspace(0.1, 1, gamma.shape[0]))
    groups = tf_wgsef.build_groups(model)
    groups.scale(model, select_by_gamma(groups, model, 0.5))
    kept = tf_wgsef.strip(slimming(model, 1e-4)).kept
    assert kept["conv1"] + kept["conv2"] == 7


def without_gamma():
    return keras.Sequential([keras.Input((4,)), layers.Dense(3, name="d"), layers.Dense(1)])


def only_at_the_output():
    return keras.Sequential(
        [keras.Input((4,)), layers.Dense(3), layers.Dense(1), layers.BatchNormalization()]
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: slimming(nested(), -1), "Received: strength=-1"),
        (lambda: slimming(without_gamma(), 1), "layers that have a gamma"),
        (lambda: select_by_gamma(tf_wgsef.build_groups(nested()), nested(), 1.0), "Received: sparsity=1.0"),
        (lambda: select_by_gamma(tf_wgsef.build_groups(nested()), nested(), 0.9), "sparsity=0.9 removes 9"),
        (
            lambda: select_by_gamma(tf_wgsef.build_groups(m := only_at_the_output()), m, 0.5),
            "Received: 0 of them",
        ),
    ],
)
def test_bad_input_gets_one_clear_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
