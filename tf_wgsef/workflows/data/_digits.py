"""Real handwritten digits that need no network: scikit-learn's copy of a UCI data set."""

import keras
import numpy as np

from tf_wgsef.workflows.data._image_data import ImageData

_TEST_SHARE = 0.2


def load_digits_28(seed: int = 0) -> ImageData:
    """Loads scikit-learn's 1 797 digits of 8×8 pixels, enlarged to 28×28; a fifth is kept for testing.

    Args:
        seed: of the split.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = (digits.images[..., None] / 16.0).astype("float32")
    images = keras.ops.convert_to_numpy(keras.ops.image.resize(small, (28, 28), interpolation="bilinear"))
    labels = digits.target.astype("int32")
    order = np.random.default_rng(seed).permutation(len(labels))
    test, train = np.split(order, [round(_TEST_SHARE * len(order))])
    return ImageData(
        images[train],
        labels[train],
        images[test],
        labels[test],
        name=f"{len(test)} held-out digits of scikit-learn",
    )
