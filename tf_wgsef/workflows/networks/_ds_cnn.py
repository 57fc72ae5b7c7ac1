"""The keyword-spotting network of the smallest devices."""

import keras
from keras import layers

from tf_wgsef.workflows.networks._blocks import conv_bn


def ds_cnn(classes: int = 12, shape: tuple[int, int, int] = (49, 10, 1)) -> keras.Model:
    """Returns DS-CNN, depthwise-separable, for spoken keywords (Zhang et al. 2017, arXiv:1711.07128).

    In MLPerf Tiny's shape (kws01): 64 filters, four separable blocks, 49 frames of 10 coefficients, 24 908
    parameters.

    Args:
        classes: number of classes; the model returns their logits.
        shape: frames, coefficients, channels.
    """
    inputs = keras.Input(shape, name="coefficients")
    x = layers.Conv2D(64, (10, 4), 2, "same", name="stem")(inputs)
    x = layers.ReLU(name="stem_relu")(layers.BatchNormalization(momentum=0.9, name="stem_bn")(x))
    for number in range(1, 5):
        name = f"block{number}_depthwise"
        x = layers.DepthwiseConv2D(3, 1, "same", name=name)(x)
        x = layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x))
        x = conv_bn(x, 64, 1, name=f"block{number}_pointwise", use_bias=True)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(classes, name="logits")(x), name="ds_cnn")
