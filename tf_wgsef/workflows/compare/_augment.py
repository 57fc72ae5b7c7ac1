"""The standard augmentation of small images: shifted by up to four pixels, mirrored."""

import math

import keras
import numpy as np

_PAD = 4


class Batches(keras.utils.PyDataset):
    """Batches of images in an order of their own each epoch, augmented if asked.

    Args:
        x: images, shape (n, height, width, channels).
        y: labels, shape (n,).
        batch: batch size.
        seed: of the order and of the augmentation; both depend on it and the epoch alone.
        augment: whether images are shifted and mirrored.
        epoch: number of epochs that are behind it.

    Example:
        >>> batches = Batches(np.zeros((10, 8, 8, 1), "float32"), np.zeros(10, "int32"), 4, seed=0)
        >>> [len(x) for x, y in (batches[i] for i in range(len(batches)))]
        [4, 4, 2]
    """

    def __init__(self, x, y, batch: int, *, seed: int, augment: bool = False, epoch: int = 0):
        super().__init__()
        self._x, self._y, self._batch, self._seed, self._augment = x, y, batch, seed, augment
        self._epoch = epoch
        self._order = self._shuffled()

    def __len__(self):
        return math.ceil(len(self._x) / self._batch)

    def __getitem__(self, index):
        chosen = self._order[index * self._batch : (index + 1) * self._batch]
        x = self._x[chosen]
        if self._augment:
            x = augmented(x, np.random.default_rng((self._seed, self._epoch, index)))
        return x, self._y[chosen]

    def on_epoch_end(self):
        """Draws the next epoch's order."""
        self.begin(self._epoch + 1)

    def begin(self, epoch: int) -> None:
        """Draws the order of this epoch.

        Args:
            epoch: its number, from 0.
        """
        self._epoch = epoch
        self._order = self._shuffled()

    def _shuffled(self):
        return np.random.default_rng((self._seed, self._epoch)).permutation(len(self._x))


def augmented(x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Returns each image shifted by up to 4 pixels, its reflection behind, and mirrored half of the time.

    As Zagoruyko & Komodakis 2016 (arXiv:1605.07146, §3). He et al. pad images of zero mean by zeros; behind
    these, which are not, zeros are a black frame that no test image has.

    Args:
        x: shape (n, height, width, channels).
        generator: what chance is drawn from.
    """
    count, height, width, _ = x.shape
    padded = np.pad(x, ((0, 0), (_PAD, _PAD), (_PAD, _PAD), (0, 0)), mode="reflect")
    top, left = generator.integers(0, 2 * _PAD + 1, (2, count, 1))[..., 0]
    mirrored = generator.random(count) < 0.5
    found = np.empty_like(x)
    for image, whole, row, column, mirror in zip(found, padded, top, left, mirrored, strict=True):
        window = whole[row : row + height, column : column + width]
        image[:] = window[:, ::-1] if mirror else window
    return found
