"""Recipes that users of the field recognise: a network, its data, and how it is trained."""

import dataclasses
import functools
from collections.abc import Callable

import keras

from tf_wgsef.workflows import networks
from tf_wgsef.workflows.data import ImageData, load_cifar10, load_digits_28, load_keywords, load_mnist


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A network, its data, and how it is trained.

    Attributes:
        build: makes the network, which returns logits.
        load: loads the data.
        epochs: in all, before and after the cut.
        batch: batch size.
        learning_rate: of SGD with Nesterov momentum 0.9, at the start of each cosine.
        weight_decay: of all weights, decoupled: a step takes rate · decay of a weight. With momentum m, L2
            of strength w in the gradient takes rate · w / (1 - m) in the end: the usual 5e-4 is 5e-3 here.
        augment: whether images are shifted and mirrored.
    """

    build: Callable[[], keras.Model]
    load: Callable[[], ImageData]
    epochs: int
    batch: int = 128
    learning_rate: float = 0.1
    weight_decay: float = 5e-3
    augment: bool = True


# For 96×96 images; on 32×32 ones the last maps are 1×1.
_MOBILENET = functools.partial(networks.mobilenet_v1_025, classes=10, size=32)
_LENET5 = Recipe(networks.lenet5, load_mnist, 12, learning_rate=0.05, weight_decay=0.0, augment=False)

RECIPES = {
    "lenet5-digits": dataclasses.replace(_LENET5, load=load_digits_28, epochs=40, batch=32),
    "lenet5-mnist": _LENET5,
    "resnet8-cifar10": Recipe(networks.resnet8, load_cifar10, 200, learning_rate=0.05, weight_decay=2e-3),
    "resnet20-cifar10": Recipe(networks.resnet20, load_cifar10, 200),
    "resnet56-cifar10": Recipe(networks.resnet56, load_cifar10, 300),
    "resnet18-cifar10": Recipe(networks.resnet18, load_cifar10, 200),
    "vgg16-cifar10": Recipe(networks.vgg16_bn, load_cifar10, 200, learning_rate=0.05),
    "densenet40-cifar10": Recipe(networks.densenet40, load_cifar10, 200, batch=64, weight_decay=1e-3),
    "mobilenet-cifar10": Recipe(_MOBILENET, load_cifar10, 200, learning_rate=0.05, weight_decay=5e-4),
    "ds_cnn-keywords": Recipe(
        networks.ds_cnn, load_keywords, 36, learning_rate=0.05, weight_decay=1e-4, augment=False
    ),
    "vit-cifar10": Recipe(networks.small_vit, load_cifar10, 200, learning_rate=0.02, weight_decay=5e-4),
}
"""Recipes by name; rates and epochs are common practice, not those of one paper."""
