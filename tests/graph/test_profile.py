"""profile against counts made by hand."""

import keras
from keras import layers

import tf_wgsef
from tests import models


def test_lenet5_costs_what_the_papers_say():
    """LeNet-5 20-50-500: 431 080 parameters; 288 000 + 1 600 000 + 400 000 + 5 000 MACs."""
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(20, 5, name="conv1"),
            layers.MaxPooling2D(),
            layers.Conv2D(50, 5, name="conv2"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(500, activation="relu", name="dense1"),
            layers.Dense(10, name="dense2"),
        ]
    )
    cost = tf_wgsef.profile(model)
    macs = {layer.name: layer.macs for layer in cost.layers if layer.macs}
    assert macs == {"conv1": 288_000, "conv2": 1_600_000, "dense1": 400_000, "dense2": 5_000}
    assert cost.parameters == 431_080
    assert cost.bytes == 4 * 431_080


def test_depthwise_and_strides():
    """stem 4×4×(9·3·4), BN 4·16, depthwise 16·9·8, BN 8·16, pointwise 16·8·6, dense 6·3."""
    cost = tf_wgsef.profile(models.separable())
    assert cost.macs == 16 * 108 + 64 + 16 * 72 + 128 + 16 * 48 + 18


def test_a_shared_layer_costs_its_parameters_once_and_its_macs_twice():
    rows = {layer.name: layer for layer in tf_wgsef.profile(models.two_heads()).layers}
    assert rows["shared"].parameters == 36
    assert rows["shared"].macs == 2 * 30


def test_layers_whose_cost_is_not_known_are_named():
    norm = layers.BatchNormalization(axis=1, name="norm")
    model = keras.Sequential([keras.Input((4, 3)), norm, layers.Dense(2)])
    cost = tf_wgsef.profile(model)
    assert cost.unknown == {"norm": "it normalizes axis 1, not the channels"}
    assert cost.parameters == model.count_params()
