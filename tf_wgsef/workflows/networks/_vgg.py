"""VGG for 32×32 images."""

import keras
from keras import layers

from tf_wgsef.workflows.networks._blocks import conv_bn


def vgg16_bn(classes: int = 10) -> keras.Model:
    """Returns VGG16 with batch norm as it is used on CIFAR-10: 13 convolutions and one hidden dense layer.

    Simonyan & Zisserman 2015, arXiv:1409.1556, configuration D; the small head is common practice.

    Args:
        classes: number of classes; the model returns their logits.
    """
    inputs = keras.Input((32, 32, 3), name="image")
    x = inputs
    for stage, (filters, convolutions) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)], 1):
        for number in range(1, convolutions + 1):
            x = conv_bn(x, filters, name=f"stage{stage}_conv{number}")
        x = layers.MaxPooling2D(name=f"stage{stage}_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(512, use_bias=False, name="hidden")(x)
    x = layers.ReLU(name="hidden_relu")(layers.BatchNormalization(momentum=0.9, name="hidden_bn")(x))
    return keras.Model(inputs, layers.Dense(classes, name="logits")(x), name="vgg16_bn")
