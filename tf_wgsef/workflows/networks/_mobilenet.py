"""MobileNetV1 at a quarter of its width."""

import keras
from keras import layers

from tf_wgsef.workflows.networks._blocks import conv_bn

_BLOCKS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]


def mobilenet_v1_025(classes: int = 2, size: int = 96) -> keras.Model:
    """Returns MobileNetV1 0.25 (Howard et al. 2017, arXiv:1704.04861, Table 1), for 96×96 images.

    In this width and size it is the visual wake words network of MLPerf Tiny (vww01), 221 794 parameters.

    Args:
        classes: number of classes; the model returns their logits.
        size: height and width of the images.
    """
    inputs = keras.Input((size, size, 3), name="image")
    x = conv_bn(inputs, 8, 3, 2, name="stem", use_bias=True)
    for number, (filters, strides) in enumerate(_BLOCKS, 1):
        name = f"block{number}_depthwise"
        x = layers.DepthwiseConv2D(3, strides, "same", name=name)(x)
        x = layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x))
        x = conv_bn(x, filters // 4, 1, name=f"block{number}_pointwise", use_bias=True)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(classes, name="logits")(x), name="mobilenet_v1_025")
