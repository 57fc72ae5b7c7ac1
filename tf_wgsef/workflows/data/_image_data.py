"""What a data set is here: images and labels, for training and for testing."""

import dataclasses

import numpy as np

from tf_wgsef.errors import InputError


@dataclasses.dataclass(frozen=True)
class ImageData:
    """Images and labels for training and testing.

    Attributes:
        x_train: shape (n, height, width, channels), float32, as a rule in [0, 1].
        y_train: shape (n,), int32: classes from 0.
        x_test: shape (m, height, width, channels), like ``x_train``.
        y_test: shape (m,), int32.
        name: what reports call the test data.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    name: str

    def first(self, samples: int | None, validation: int = 0) -> "ImageData":
        """Returns the first training images alone; with ``validation``, tested on those behind them.

        Args:
            samples: number of training images; all (but the validation images) if None.
            validation: number of training images to test on instead of the test images.

        Raises:
            InputError: if there are not so many training images.
        """
        end = len(self.x_train) - validation if samples is None else samples
        if end < 1 or end + validation > len(self.x_train):
            raise InputError(
                f"Expected at most the {len(self.x_train)} training images of {self.name}. Received: "
                f"samples={samples} and validation={validation}."
            )
        x, y, x_test, y_test, name = self.x_train, self.y_train, self.x_test, self.y_test, self.name
        if validation:
            x_test, y_test = x[end : end + validation], y[end : end + validation]
            name = f"{validation} training images held out"
        return ImageData(x[:end], y[:end], x_test, y_test, name)


def from_arrays(arrays: dict[str, np.ndarray], name: str) -> ImageData:
    """Makes the data of arrays ``x_train``, ``y_train``, ``x_test``, ``y_test``; uint8 images become [0, 1].

    Args:
        arrays: by name; labels of shape (n,) or (n, 1), whole numbers from 0.
        name: what reports call the test data.

    Raises:
        InputError: if one is missing, or they do not fit each other.
    """
    found = []
    for part in ("train", "test"):
        missing = [one for one in (f"x_{part}", f"y_{part}") if one not in arrays]
        if missing:
            raise InputError(
                f"Expected arrays x_train, y_train, x_test and y_test. Received: {name} with "
                f"{', '.join(arrays) or 'none'}. Write them with numpy.savez."
            )
        x, y = np.asarray(arrays[f"x_{part}"]), np.asarray(arrays[f"y_{part}"])
        y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
        whole = y.ndim == 1 and y.dtype.kind in "iuf" and bool((y == np.round(y)).all())
        whole = whole and bool((y >= 0).all() and (y < 2**31).all())
        if x.ndim == 0 or len(x) != len(y) or not len(x) or not whole or x.dtype.kind not in "iufb":
            raise InputError(
                f"Expected x_{part} of numbers and y_{part} of one class (0, 1, 2, …) for each. Received: "
                f"{name} with x_{part} of shape {x.shape} ({x.dtype}) and y_{part} of {y.shape} ({y.dtype})."
            )
        with np.errstate(over="ignore"):  # what becomes infinite is said below
            images = x.astype("float32") / (255 if x.dtype == np.uint8 else 1)
        if x.dtype.kind == "f" and not np.isfinite(images).all():
            raise InputError(
                f"Expected x_{part} of numbers that float32 holds. Received: {name} with NaN or infinity."
            )
        found += [images, y.astype("int32")]
    return ImageData(*found, name=name)
