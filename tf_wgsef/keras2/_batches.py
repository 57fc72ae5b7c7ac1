"""Batches through a pipe: arrays in NumPy's own format, never pickled."""

import io
import struct

import numpy as np

_BATCH, _END_OF_EPOCH = b"B", b"E"


def write_batch(stream, groups) -> None:
    """Writes one batch.

    Args:
        stream: a binary stream.
        groups: three lists of arrays: the inputs, the targets, the sample weights (none: an empty list).

    Example:
        >>> stream = io.BytesIO()
        >>> write_batch(stream, ([np.ones((2, 3))], [np.zeros(2)], []))
        >>> write_end_of_epoch(stream)
        >>> _ = stream.seek(0)
        >>> [[array.shape for array in group] for group in read_batch(stream)], read_batch(stream)
        ([[(2, 3)], [(2,)], []], None)
    """
    stream.write(_BATCH + struct.pack("<3I", *(len(group) for group in groups)))
    for group in groups:
        for array in group:
            buffer = io.BytesIO()
            np.save(buffer, np.asarray(array), allow_pickle=False)
            stream.write(struct.pack("<Q", buffer.tell()))
            stream.write(buffer.getbuffer())
    stream.flush()


def write_end_of_epoch(stream) -> None:
    """Writes that the batches of an epoch are complete."""
    stream.write(_END_OF_EPOCH)
    stream.flush()


def read_batch(stream):
    """Reads what ``write_batch`` wrote, or None at the end of an epoch.

    Args:
        stream: a binary stream.

    Raises:
        EOFError: if the stream ends before.
    """
    if _read(stream, 1) == _END_OF_EPOCH:
        return None
    counts = struct.unpack("<3I", _read(stream, 12))
    return tuple([_read_array(stream) for _ in range(count)] for count in counts)


def _read_array(stream):
    (size,) = struct.unpack("<Q", _read(stream, 8))
    return np.load(io.BytesIO(_read(stream, size)), allow_pickle=False)


def _read(stream, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError("the caller's data ended in the middle of an epoch")
    return data
