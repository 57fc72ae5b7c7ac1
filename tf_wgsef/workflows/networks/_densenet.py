"""DenseNet for 32×32 images."""

import keras
from keras import layers


def densenet40(classes: int = 10, growth: int = 12) -> keras.Model:
    """Returns DenseNet-40 for CIFAR-10 (Huang et al. 2017, arXiv:1608.06993, §4.2).

    Three blocks of 12 layers, each reading all that its block has made so far.

    Args:
        classes: number of classes; the model returns their logits.
        growth: channels that each layer adds.
    """
    inputs = keras.Input((32, 32, 3), name="image")
    x = _convolve(inputs, 16, 3, "stem")
    for block in (1, 2, 3):
        for number in range(1, 13):
            name = f"block{block}_conv{number}"
            y = _convolve(_normalize(x, name), growth, 3, name)
            x = layers.Concatenate(name=f"block{block}_concat{number}")([x, y])
        if block < 3:
            name = f"transition{block}"
            x = _convolve(_normalize(x, name), x.shape[-1], 1, name)
            x = layers.AveragePooling2D(2, name=f"{name}_pool")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(_normalize(x, "head"))
    return keras.Model(inputs, layers.Dense(classes, name="logits")(x), name="densenet40")


def _normalize(x, name: str):
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _convolve(x, filters: int, size: int, name: str):
    options = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
    return layers.Conv2D(filters, size, name=name, **options)(x)
