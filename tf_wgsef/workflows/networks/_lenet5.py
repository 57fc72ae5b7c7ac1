"""LeNet-5, the network that the papers of this field begin with."""

import keras


def lenet5(filters1: int = 20, filters2: int = 50, units: int = 500, classes: int = 10) -> keras.Model:
    """Returns LeNet-5 for 28×28 grey images (LeCun et al. 1998, in the widths 20-50-500 of Wen et al. 2016).

    Args:
        filters1: filters of the first convolution.
        filters2: filters of the second.
        units: neurons of the hidden dense layer.
        classes: number of classes; the model returns their logits.
    """
    return keras.Sequential(
        [
            keras.Input((28, 28, 1), name="image"),
            keras.layers.Conv2D(filters1, 5, name="conv1"),
            keras.layers.MaxPooling2D(name="pool1"),
            keras.layers.Conv2D(filters2, 5, name="conv2"),
            keras.layers.MaxPooling2D(name="pool2"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(units, activation="relu", name="dense1"),
            keras.layers.Dense(classes, name="logits"),
        ],
        name="lenet5",
    )
