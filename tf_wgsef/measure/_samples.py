"""Samples on their way to a board: a header, then chunks of bytes, none larger than a few megabytes."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from tf_wgsef.errors import InputError, MeasurementError

_CHUNK_BYTES = 1 << 22
_MOST_BYTES = 1 << 32


class Samples:
    """The inputs of a file, for as many samples as there are.

    Attributes:
        count: the number of samples.

    Args:
        x: an array of shape ``(n, ...)``; for several inputs a dict of arrays by input name.

    Raises:
        InputError: if they are no arrays of numbers, of different lengths, empty, or more than 4 GB.

    Example:
        >>> Samples(np.zeros((3, 2), "float32")).header
        {'inputs': [{'name': '', 'dtype': '<f4', 'shape': [2]}], 'count': 3, 'at_a_time': 524288}
    """

    def __init__(self, x: np.ndarray | Mapping[str, np.ndarray]):
        self._single = not isinstance(x, Mapping)
        self._arrays = {"": np.asarray(x)} if self._single else {str(k): np.asarray(v) for k, v in x.items()}
        self._arrays = {name: _portable(one) for name, one in self._arrays.items()}
        kinds = {name: f"{one.dtype} {one.shape}" for name, one in self._arrays.items()}
        if not kinds or any(one.dtype.kind not in "fbiu" or not one.ndim for one in self._arrays.values()):
            raise InputError(
                f"Expected `x` as an array of numbers, or a dict of them by input name. Received: "
                f"{str(kinds)[:200]}."
            )
        counts = {len(one) for one in self._arrays.values()}
        if len(counts) > 1 or 0 in counts:
            raise InputError(
                f"Expected `x` with as many samples for each input, at least 1. Received: {str(kinds)[:200]}."
            )
        (self.count,) = counts
        size = sum(one.nbytes for one in self._arrays.values())
        if size > _MOST_BYTES:
            raise InputError(
                f"Expected at most {_MOST_BYTES >> 30} GB of samples. Received: {size / 1e9:.1f} GB. Pass "
                f"fewer, or a smaller type: uint8 where the images are."
            )
        self.at_a_time = max(1, _CHUNK_BYTES * self.count // max(1, size))

    @property
    def header(self) -> dict:
        """What the reader must know, as plain Python."""
        return {
            "inputs": [
                # Little-endian, as nearly every machine has it; "|u1" has no order.
                {"name": name, "dtype": one.dtype.newbyteorder("<").str, "shape": list(one.shape[1:])}
                for name, one in self._arrays.items()
            ],
            "count": self.count,
            "at_a_time": self.at_a_time,
        }

    def parts(self) -> Iterator[np.ndarray | dict[str, np.ndarray]]:
        """Yields the samples, ``at_a_time`` of them, as ``x`` was."""
        for start in range(0, self.count, self.at_a_time):
            part = {name: one[start : start + self.at_a_time] for name, one in self._arrays.items()}
            yield part[""] if self._single else part

    def chunks(self) -> Iterator[bytes]:
        """Yields the same as bytes: for each input, one after the other."""
        for part in self.parts():
            for one in (part,) if self._single else part.values():
                yield one.astype(one.dtype.newbyteorder("<"), copy=False).tobytes()


def _portable(array: np.ndarray) -> np.ndarray:
    """A long double has another form on another processor."""
    return array.astype("float64") if array.dtype.kind == "f" and array.dtype.itemsize > 8 else array


def read_parts(header: dict, read: Callable[[int], bytes]) -> Iterator[np.ndarray | dict[str, np.ndarray]]:
    """Yields what ``Samples.parts`` had on the other side.

    Args:
        header: its header.
        read: returns so many bytes; fewer if nobody sends any more.

    Raises:
        MeasurementError: if they end too early.
    """
    single = [one["name"] for one in header["inputs"]] == [""]
    for start in range(0, header["count"], header["at_a_time"]):
        count = min(header["at_a_time"], header["count"] - start)
        part = {}
        for one in header["inputs"]:
            dtype, shape = np.dtype(one["dtype"]), (count, *one["shape"])
            size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            content = read(size)
            if len(content) < size:
                raise MeasurementError(f"Expected {header['count']} samples. Received: {start}, and no more.")
            part[one["name"]] = np.frombuffer(content, dtype).reshape(shape)
        yield part[""] if single else part
