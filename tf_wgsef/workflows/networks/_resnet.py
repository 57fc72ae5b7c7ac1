"""Residual networks for 32×32 images."""

import keras
from keras import layers

from tf_wgsef.workflows.networks._blocks import conv_bn


def resnet8(classes: int = 10) -> keras.Model:
    """Returns the ResNet-8 of MLPerf Tiny's image classification (ic01), 78 666 parameters.

    After the benchmark's reference model (Banbury et al. 2021, arXiv:2106.07597), without its weight decay.
    Batch norm's averages follow within tens of steps here and below, so that short training is enough.

    Args:
        classes: number of classes; the model returns their logits.
    """

    def convolve(x, filters, size, strides, name):
        return layers.Conv2D(filters, size, strides, "same", kernel_initializer="he_normal", name=name)(x)

    def normalize(x, name):
        return layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)

    inputs = keras.Input((32, 32, 3), name="image")
    x = layers.ReLU()(normalize(convolve(inputs, 16, 3, 1, "stem"), "stem"))
    for stage, (filters, strides) in enumerate([(16, 1), (32, 2), (64, 2)], 1):
        first, second = f"stage{stage}_conv1", f"stage{stage}_conv2"
        y = layers.ReLU()(normalize(convolve(x, filters, 3, strides, first), first))
        y = normalize(convolve(y, filters, 3, 1, second), second)
        if strides > 1:
            x = convolve(x, filters, 1, strides, f"stage{stage}_shortcut")
        x = layers.ReLU()(layers.Add()([x, y]))
    outputs = layers.Dense(classes, name="logits")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, outputs, name="resnet8")


def resnet20(classes: int = 10) -> keras.Model:
    """Returns ResNet-20 for CIFAR-10 (He et al. 2016, §4.2); see ``resnet56``.

    Args:
        classes: number of classes; the model returns their logits.
    """
    return _thin(20, classes)


def resnet56(classes: int = 10) -> keras.Model:
    """Returns ResNet-56 for CIFAR-10 (He et al. 2016, arXiv:1512.03385, §4.2): 16, 32 and 64 filters.

    Where a stage narrows the image the shortcut is a 1×1 convolution (the paper's option B).

    Args:
        classes: number of classes; the model returns their logits.
    """
    return _thin(56, classes)


def resnet18(classes: int = 10) -> keras.Model:
    """Returns ResNet-18 as it is used on CIFAR-10: the first convolution is 3×3, without pooling.

    He et al. 2016, arXiv:1512.03385, Table 1; the change of the stem is common practice.

    Args:
        classes: number of classes; the model returns their logits.
    """
    return _residual("resnet18", 64, [(64, 2), (128, 2), (256, 2), (512, 2)], classes)


def _thin(depth: int, classes: int) -> keras.Model:
    blocks = (depth - 2) // 6
    return _residual(f"resnet{depth}", 16, [(16, blocks), (32, blocks), (64, blocks)], classes)


def _residual(name: str, stem: int, stages, classes: int) -> keras.Model:
    inputs = keras.Input((32, 32, 3), name="image")
    x = conv_bn(inputs, stem, name="stem")
    for stage, (filters, blocks) in enumerate(stages, 1):
        for block in range(1, blocks + 1):
            strides = 2 if stage > 1 and block == 1 else 1
            x = _block(x, filters, strides, f"stage{stage}_block{block}")
    outputs = layers.Dense(classes, name="logits")(layers.GlobalAveragePooling2D(name="pool")(x))
    return keras.Model(inputs, outputs, name=name)


def _block(x, filters: int, strides: int, name: str):
    y = conv_bn(x, filters, 3, strides, name=f"{name}_conv1")
    y = conv_bn(y, filters, name=f"{name}_conv2", activation=None)
    if strides > 1 or x.shape[-1] != filters:
        x = conv_bn(x, filters, 1, strides, name=f"{name}_shortcut", activation=None)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))
