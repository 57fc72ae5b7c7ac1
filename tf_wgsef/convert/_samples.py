"""Samples from whatever data a user has: arrays, datasets, generators."""

import itertools
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.tflite_arrays import InputSpec, fit_array

_CHUNK = 32
_KINDS = (
    "Pass the training images as an array, a batched tf.data.Dataset, a keras.utils.PyDataset or "
    "an iterable of batches (x or (x, y))."
)


class SampleStream:
    """Samples that are read once, batch after batch; only the first few are held.

    Args:
        data: as for ``collect_samples``.
        specs: the inputs of the model.
        limit: how many samples are enough.
        held: how many are held, in ``head``.
        what: the argument's name, for messages.

    Attributes:
        head: arrays of at most ``held`` samples by input name.
        read: how many samples ``batches`` has given.
        total: how many there are; None if only reading them all would tell.

    Raises:
        InputError: if there are no samples, or their shape, type or values do not fit: at once for what
            is in ``head``, while iterating for the rest.
    """

    def __init__(self, data, specs: list[InputSpec], *, limit: int, held: int, what: str = "calibration"):
        self._specs, self._what = specs, what
        self.read, self.total = 0, None
        if callable(data) and not isinstance(data, Iterable) and not hasattr(data, "__getitem__"):
            data = data()
        if _is_whole(data, specs):
            self._open_whole(data, limit, held)
        else:
            self._open_parts(data, limit, held)

    def batches(self, size: int) -> Iterator[dict[str, np.ndarray]]:
        """Yields batches of ``size`` samples by input name, once; the last is filled up with its last sample.

        Args:
            size: samples in a batch.
        """
        rest = {}
        for part in self._parts:
            self.read += _length(part)
            rest = _join([rest, part]) if rest else part
            while _length(rest) >= size:
                yield {name: array[:size] for name, array in rest.items()}
                rest = {name: array[size:] for name, array in rest.items()}
        if rest and _length(rest):
            rows = np.minimum(np.arange(size), _length(rest) - 1)
            yield {name: array[rows] for name, array in rest.items()}

    def _open_whole(self, data, limit, held):
        samples = _unpack(data, self._specs, self._what)
        self.total = count = _count(samples, self._what)
        rows = _spread(count, limit)
        self.head = self._fit(samples, rows[_spread(len(rows), held)])
        # Lazily: an array on disk (numpy.memmap) is read as far as needed only.
        self._parts = (self._fit(samples, rows[i : i + _CHUNK]) for i in range(0, len(rows), _CHUNK))

    def _open_parts(self, data, limit, held):
        parts = self._limited(_batches(data, self._what), limit)
        read = []
        for part in parts:
            read.append(part)
            if sum(map(_length, read)) >= held:
                break
        if not read:
            raise InputError(
                f"Expected `{self._what}` with at least one sample. Received: none (a generator can be read "
                f"once only). {_KINDS}"
            )
        self.head = {name: array[:held] for name, array in _join(read).items()}
        self._parts = itertools.chain(read, parts)

    def _limited(self, batches, limit):
        count = 0
        while count < limit:
            batch = next(batches, None)
            if batch is None:
                return
            part = self._fit(_unpack(batch, self._specs, self._what), slice(limit - count))
            count += _count(part, self._what)
            yield part

    def _fit(self, samples, rows):
        return {s.name: fit_array(self._what, _rows(samples[s.name], rows), s) for s in self._specs}


def collect_samples(
    data, specs: list[InputSpec], *, limit: int, what: str = "calibration"
) -> dict[str, np.ndarray]:
    """Returns at most ``limit`` samples of every input.

    Args:
        data: an array (one input), a dict of arrays by input name, a list of arrays in the order of
            the inputs (several inputs), a tuple ``(x, y)``, a batched ``tf.data.Dataset``, a
            ``keras.utils.PyDataset``, any iterable of batches, or a function that returns one. From
            arrays the samples are taken evenly spaced, as arrays are often sorted by class; from
            anything else, the first ones.
        specs: the inputs of the model.
        limit: how many samples are enough.
        what: the argument's name, for messages.

    Returns:
        arrays of shape ``(samples, *spec.shape)`` by input name.

    Raises:
        InputError: if there are no samples, or their shape, type or values do not fit.

    Example:
        >>> from tf_wgsef.convert._signature import input_specs
        >>> [array.shape for array in collect_samples(x_train, input_specs(model), limit=8).values()]
        [(8, 4)]
    """
    return SampleStream(data, specs, limit=limit, held=limit, what=what).head


def known_length(data, specs: list[InputSpec], *, what: str) -> int | None:
    """Returns how many samples ``data`` holds; None if only reading it would tell.

    Args:
        data: as for ``collect_samples``.
        specs: the inputs of the model.
        what: the argument's name, for messages.

    Raises:
        InputError: if there are none, or not as many for each input.
    """
    return _count(_unpack(data, specs, what), what) if _is_whole(data, specs) else None


def random_samples(specs: list[InputSpec], count: int) -> dict[str, np.ndarray]:
    """Returns the same random samples each time: normal floats, zeros and ones for integers.

    Args:
        specs: the inputs of the model.
        count: the number of samples.
    """
    rng = np.random.default_rng(0)
    samples = {}
    for spec in specs:
        shape = (count, *spec.shape)
        is_float = "float" in spec.dtype
        values = rng.standard_normal(shape) if is_float else rng.integers(0, 2, shape)
        samples[spec.name] = fit_array("inputs", values, spec)
    return samples


def _spread(count, limit):
    """Returns at most ``limit`` rows of ``count``, evenly spaced, both ends included."""
    return np.unique(np.linspace(0, count - 1, min(limit, count)).round().astype(int))


def _rows(array, rows):
    # A scalar has no rows; `fit_array` says what was expected instead.
    return array[rows] if array.ndim else array


def _length(samples):
    return len(next(iter(samples.values())))


def _join(parts):
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _is_array(value):
    return hasattr(value, "__array__") and hasattr(value, "shape")


def _is_whole(data, specs):
    """Whether ``data`` holds all samples at once, rather than batch after batch."""
    if _is_array(data) or isinstance(data, Mapping):
        return True
    if isinstance(data, tuple):
        return len(data) > 0 and (_is_array(data[0]) or isinstance(data[0], Mapping | list | tuple))
    return isinstance(data, list) and _is_by_position(data, specs)


def _is_by_position(value, specs):
    """Whether ``value`` is one array per input; a pair ``(x, y)`` is not, as its shapes differ."""
    return (
        len(value) == len(specs) > 1
        and all(_is_array(item) for item in value)
        and all(tuple(item.shape[1:]) == spec.shape for item, spec in zip(value, specs, strict=True))
    )


def _batches(data, what):
    """Iterates over the batches of ``data``."""
    batch_count = getattr(data, "num_batches", None)
    if hasattr(data, "num_batches") and hasattr(data, "__getitem__"):
        # A PyDataset counts its batches, or is endless (None).
        indices = itertools.count() if batch_count is None else range(batch_count)
        return (data[index] for index in indices)
    if isinstance(data, str | bytes) or not isinstance(data, Iterable):
        raise InputError(f"Expected `{what}` to be data. Received: {what}={data!r}. {_KINDS}")
    return iter(data)


def _unpack(value, specs, what):
    """Returns the inputs of one batch by name; labels and sample weights are left out."""
    names = [spec.name for spec in specs]
    if isinstance(value, Mapping):
        if set(value) != set(names):
            raise InputError(
                f"Expected `{what}` with the inputs {sorted(names)}. "
                f"Received: keys={sorted(map(str, value))}. Use the names of the keras.Input."
            )
        return {name: _to_numpy(value[name], what) for name in names}
    if isinstance(value, list | tuple) and value:
        if _is_by_position(value, specs):
            arrays = (_to_numpy(item, what) for item in value)
            return dict(zip(names, arrays, strict=True))
        # (x,), (x, y) and (x, y, sample_weight), as in model.fit; [x], as in TensorFlow's guide.
        if len(value) <= 3 and (_is_array(value[0]) or isinstance(value[0], Mapping | list | tuple)):
            return _unpack(value[0], specs, what)
    if len(specs) > 1:
        shapes = {spec.name: ("n", *spec.shape) for spec in specs}
        raise InputError(
            f"Expected `{what}` for {len(specs)} inputs, a dict by name: {shapes}. "
            f"Received: {_describe(value)}."
        )
    return {names[0]: _to_numpy(value, what)}


def _to_numpy(value, what):
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Expected `{what}` made of arrays. Received: {type(value).__name__} ({error})."
        ) from error


def _count(samples, what):
    """Returns the number of samples, which all inputs share and which is not 0."""
    counts = {name: len(array) if array.ndim else 1 for name, array in samples.items()}
    if len(set(counts.values())) > 1:
        raise InputError(f"Expected `{what}` with as many samples for each input. Received: {counts}.")
    if 0 in counts.values():
        raise InputError(f"Expected `{what}` with at least one sample. Received: none. {_KINDS}")
    return next(iter(counts.values()))


def _describe(value):
    if isinstance(value, list | tuple):
        return f"{type(value).__name__} of {len(value)} items"
    return f"one array of shape {value.shape}" if _is_array(value) else type(value).__name__
