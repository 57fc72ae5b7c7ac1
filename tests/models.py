"""Toy models shared by the tests: one per thing that can go wrong, each small."""

import keras
import numpy as np
from keras import layers


def lenet(filters=(4, 6), units=10):
    """Conv - pool - conv - pool - flatten - dense: channels that become units."""
    return keras.Sequential(
        [
            keras.Input((20, 20, 1)),
            layers.Conv2D(filters[0], 5, name="conv1"),
            layers.MaxPooling2D(name="pool1"),
            layers.Conv2D(filters[1], 3, activation="relu", name="conv2"),
            layers.MaxPooling2D(name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(units, activation="relu", name="dense1"),
            layers.Dropout(0.2, name="dropout"),
            layers.Dense(3, activation="softmax", name="logits"),
        ],
        name="lenet",
    )


def batch_norm_chain():
    """Conv - BN - ReLU twice, 'same' padding, no bias."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(6, 3, padding="same", use_bias=False, name="conv1"),
            layers.BatchNormalization(name="bn1"),
            layers.ReLU(name="relu1"),
            layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="conv2"),
            layers.BatchNormalization(name="bn2"),
            layers.Activation("relu6", name="relu2"),
            layers.GlobalAveragePooling2D(name="gap"),
            layers.Dense(3, name="logits"),
        ],
        name="batch_norm_chain",
    )


def residual():
    """A block with a shortcut: two producers tied by Add."""
    inputs = keras.Input((8, 8, 3))
    trunk = layers.Conv2D(6, 3, padding="same", name="stem")(inputs)
    x = layers.BatchNormalization(name="bn_a")(trunk)
    x = layers.ReLU(name="relu_a")(x)
    x = layers.Conv2D(5, 3, padding="same", name="inner")(x)
    x = layers.BatchNormalization(name="bn_b")(x)
    x = layers.LeakyReLU(name="relu_b")(x)
    x = layers.Conv2D(6, 1, name="outer")(x)
    x = layers.Add(name="add")([trunk, x])
    x = layers.AveragePooling2D(2, name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x), name="residual")


def dense_concat():
    """Two branches concatenated, then batch norm over both."""
    inputs = keras.Input((8, 8, 2))
    a = layers.Conv2D(4, 3, padding="same", activation="relu", name="left")(inputs)
    b = layers.Conv2D(5, 1, activation="tanh", name="right")(inputs)
    x = layers.Concatenate(name="concat")([a, b])
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.Activation("gelu", name="gelu")(x)
    x = layers.Conv2D(6, 3, name="after")(x)
    x = layers.GlobalMaxPooling2D(name="gmp")(x)
    return keras.Model(inputs, layers.Dense(2, name="logits")(x), name="dense_concat")


def separable():
    """MobileNet's block: depthwise with a multiplier of 2, then 1x1."""
    return keras.Sequential(
        [
            keras.Input((9, 9, 3)),
            layers.Conv2D(4, 3, strides=2, use_bias=False, name="stem"),
            layers.BatchNormalization(name="bn1"),
            layers.ReLU(max_value=6.0, name="relu1"),
            layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="depthwise"),
            layers.BatchNormalization(name="bn2"),
            layers.ReLU(name="relu2"),
            layers.Conv2D(6, 1, activation="relu", name="pointwise"),
            layers.GlobalAveragePooling2D(name="gap"),
            layers.Dense(3, name="logits"),
        ],
        name="separable",
    )


def two_heads():
    """Two inputs, two outputs, a dense layer shared by both inputs."""
    a, b = keras.Input((5,), name="a"), keras.Input((5,), name="b")
    shared = layers.Dense(6, activation="relu", name="shared")
    left, right = shared(a), shared(b)
    joint = layers.Concatenate(name="joint")([left, right])
    hidden = layers.Dense(7, activation="elu", name="hidden")(joint)
    return keras.Model(
        [a, b],
        {"y": layers.Dense(2, name="y")(hidden), "z": layers.Dense(3, name="z")(left)},
        name="two_heads",
    )


def with_barrier():
    """A layer that no rule knows in the middle; what it touches must stay."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(4, 3, name="before"),
            layers.UnitNormalization(name="norm"),
            layers.Conv2D(5, 3, activation="relu", name="between"),
            layers.Conv2D(4, 1, name="after"),
            layers.GlobalAveragePooling2D(name="gap"),
        ],
        name="with_barrier",
    )


ALL = {
    builder.__name__: builder
    for builder in (
        lenet,
        batch_norm_chain,
        residual,
        dense_concat,
        separable,
        two_heads,
        with_barrier,
    )
}


def randomize(model, seed=0):
    """Fills all weights and statistics with random values, so that no term is zero by chance."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        value = generator.normal(0.0, 0.5, weight.shape)
        if "variance" in weight.path:
            value = np.abs(value) + 0.5
        weight.assign(value)
    return model
