"""The standard augmentation of small images: shifted by a few pixels, mirrored."""

import math

import keras
import numpy as np

BORDERS = {"reflect": "reflect", "zeros": "constant"}
"""What is behind shifted images, and NumPy's name of it."""


class Batches(keras.utils.PyDataset):
    """Batches of images in an order of their own each epoch, augmented if asked.

    Args:
        x: images, shape (n, height, width, channels).
        y: labels, shape (n,).
        batch: batch size.
        seed: of the order and of the augmentation; both depend on it and the epoch alone.
        augment: whether images are shifted and mirrored.
        shift: see ``augmented``.
        border: see ``augmented``.
        epoch: number of epochs that are behind it.

    Example:
        >>> batches = Batches(np.zeros((10, 8, 8, 1), "float32"), np.zeros(10, "int32"), 4, seed=0)
        >>> [len(x) for x, y in (batches[i] for i in range(len(batches)))]
        [4, 4, 2]
    """

    def __init__(
        self,
        x,
        y,
        batch: int,
        *,
        seed: int,
        augment: bool = False,
        shift: int = 4,
        border: str = "reflect",
        epoch: int = 0,
    ):
        super().__init__()
        self._x, self._y, self._batch, self._seed = x, y, batch, seed
        self._augment, self._shift, self._border = augment, shift, border
        self._epoch = epoch
        self._order = self._shuffled()

    def __len__(self):
        return math.ceil(len(self._x) / self._batch)

    def __getitem__(self, index):
        chosen = self._order[index * self._batch : (index + 1) * self._batch]
        x = self._x[chosen]
        if self._augment:
            generator = np.random.default_rng((self._seed, self._epoch, index))
            x = augmented(x, generator, shift=self._shift, border=self._border)
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


def augmented(x: np.ndarray, generator: np.random.Generator, *, shift: int, border: str) -> np.ndarray:
    """Returns each image shifted by up to so many pixels, and mirrored half of the time.

    Four pixels, with the image's reflection behind, is the augmentation of Zagoruyko & Komodakis 2016
    (arXiv:1605.07146, §3). He et al. 2016 (§4.2) pad images of zero mean by zeros; behind images whose mean
    is not zero these are a black frame, which no test image has.

    Args:
        x: shape (n, height, width, channels).
        generator: what chance is drawn from.
        shift: in pixels, at least 0.
        border: what is behind, a name in ``BORDERS``.
    """
    count, height, width, _ = x.shape
    padded = np.pad(x, ((0, 0), (shift, shift), (shift, shift), (0, 0)), mode=BORDERS[border])
    top, left = generator.integers(0, 2 * shift + 1, (2, count, 1))[..., 0]
    mirrored = generator.random(count) < 0.5
    found = np.empty_like(x)
    for image, whole, row, column, mirror in zip(found, padded, top, left, mirrored, strict=True):
        window = whole[row : row + height, column : column + width]
        image[:] = window[:, ::-1] if mirror else window
    return found
