"""A ``.tflite`` file of the schema's objects, in one piece of memory.

The generated code packs a file byte for byte into a buffer of its own, which is copied twice on the way out:
three files in memory beside the one that was read. Here it packs the tables only; the weights follow behind
them, straight from where they were read.
"""

import numpy as np

from ._standard_metadata import labels_archive

_ALIGNMENT = 16
# Fields of the schema, as offsets into a table's list of fields: Model.buffers and Buffer.data.
_BUFFERS, _DATA = 12, 4
_OFFSET = np.dtype("<u4")


def write_model(model, labels: list[str] | None = None) -> bytes:
    """Returns the file.

    All buffers are aligned to 16 bytes, as the schema of the format asks.

    Args:
        model: a ``ModelT`` of the generated schema. Its buffers are empty afterwards.
        labels: what goes into an archive at the end of the file, if anything.
    """
    contents = [_take_data(buffer) for buffer in model.buffers]
    tables = _pack(model)
    parts, end = [tables], len(tables)
    for place, content in zip(_places(tables), contents, strict=True):
        if content.size:
            # Before the data stands its length; an offset counts from where it is written.
            padding = -(end + _OFFSET.itemsize) % _ALIGNMENT
            _put(tables, place, end + padding - place)
            parts += [bytes(padding), np.array(content.size, _OFFSET).tobytes(), content.data]
            end += padding + _OFFSET.itemsize + content.size
    if labels is not None:
        parts.append(labels_archive(labels, start=end))
    return b"".join(parts)


def _take_data(buffer) -> np.ndarray:
    """Returns the bytes of a buffer, and leaves one byte where there were some."""
    if buffer.data is None or not len(buffer.data):
        return np.zeros(0, np.uint8)
    content = np.ascontiguousarray(buffer.data, np.uint8)
    buffer.data = np.zeros(1, np.uint8)
    return content


def _pack(model) -> bytearray:
    import flatbuffers

    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytearray(builder.Output())


def _places(tables: bytearray):
    """Yields where the offset of each buffer's data is written; 0 for an empty buffer."""
    from flatbuffers.table import Table

    model = Table(tables, int(np.frombuffer(tables, _OFFSET, 1)[0]))
    field = model.Offset(_BUFFERS)
    first = model.Vector(field)
    for number in range(model.VectorLen(field)):
        buffer = Table(tables, model.Indirect(first + _OFFSET.itemsize * number))
        data = buffer.Offset(_DATA)
        yield buffer.Pos + data if data else 0


def _put(tables: bytearray, place: int, offset: int):
    tables[place : place + _OFFSET.itemsize] = np.array(offset, _OFFSET).tobytes()
