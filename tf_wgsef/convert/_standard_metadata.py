"""TFLite metadata, as other tools read it: a FlatBuffer "M001" in the file, and labels in a zip at its end.

The layout is that of ``metadata_schema.fbs`` of tflite-support, of which this writes a small part: the fields
below, by their number there. The packages that write all of it (tflite-support, mediapipe) are no longer
released for current Python or bring a vision library along.
"""

import io
import zipfile

from ._schema import Graph

STANDARD_NAME = "TFLITE_METADATA"
LABELS_FILE = "labels.txt"
_PARSER_VERSION = "1.0.0"
# ModelMetadata, SubGraphMetadata, TensorMetadata, AssociatedFile, ProcessUnit, NormalizationOptions.
_MODEL = {"name": 0, "subgraphs": 3, "parser": 7}
_SUBGRAPH = {"inputs": 2, "outputs": 3}
_TENSOR = {"name": 0, "units": 4, "files": 6}
_FILE = {"name": 0, "type": 2}
_UNIT = {"options_type": 0, "options": 1}
_NORMALIZATION = {"mean": 0, "std": 1}
_TENSOR_AXIS_LABELS = 2
_NORMALIZATION_OPTIONS = 1


def standard_metadata(graph: Graph, metadata: dict) -> bytes:
    """Returns the FlatBuffer.

    Args:
        graph: the file's, for the names of inputs and outputs.
        metadata: from ``check_metadata``; labels belong to the first output.
    """
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    units = _units(builder, metadata.get("normalization"))
    files = _files(builder, "labels" in metadata)
    inputs = [_tensor(builder, name, units=units) for name in graph.inputs]
    outputs = [
        _tensor(builder, name, files=files if place == 0 else None)
        for place, name in enumerate(graph.outputs)
    ]
    inputs, outputs = _tables(builder, inputs), _tables(builder, outputs)
    subgraphs = _tables(builder, [_table(builder, _SUBGRAPH, inputs=inputs, outputs=outputs)])
    name, parser = builder.CreateString("model"), builder.CreateString(_PARSER_VERSION)
    model = _table(builder, _MODEL, name=name, subgraphs=subgraphs, parser=parser)
    builder.Finish(model, b"M001")
    return bytes(builder.Output())


def labels_archive(labels: list[str], *, start: int) -> bytes:
    """Returns a zip archive of the labels for the end of a file, where runtimes do not look.

    Args:
        labels: one line each.
        start: the length of the file before it.
    """
    buffer = _At(start)
    with zipfile.ZipFile(buffer, "w") as archive:
        # With a fixed date: the same model gives the same file.
        archive.writestr(zipfile.ZipInfo(LABELS_FILE), "\n".join(labels) + "\n")
    return buffer.getvalue()


class _At(io.BytesIO):
    """A file of which the first ``start`` bytes are elsewhere."""

    def __init__(self, start: int):
        super().__init__()
        self._start = start

    def tell(self) -> int:
        return super().tell() + self._start

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        return super().seek(place - self._start if whence == io.SEEK_SET else place, whence) + self._start


def _units(builder, normalization):
    if normalization is None:
        return None
    mean, std = (_floats(builder, normalization[key]) for key in ("mean", "std"))
    options = _table(builder, _NORMALIZATION, mean=mean, std=std)
    builder.StartObject(len(_UNIT))
    builder.PrependUint8Slot(_UNIT["options_type"], _NORMALIZATION_OPTIONS, 0)
    builder.PrependUOffsetTRelativeSlot(_UNIT["options"], options, 0)
    return _tables(builder, [builder.EndObject()])


def _files(builder, wanted: bool):
    if not wanted:
        return None
    name = builder.CreateString(LABELS_FILE)
    builder.StartObject(5)
    builder.PrependUOffsetTRelativeSlot(_FILE["name"], name, 0)
    builder.PrependInt8Slot(_FILE["type"], _TENSOR_AXIS_LABELS, 0)
    return _tables(builder, [builder.EndObject()])


def _tensor(builder, name: str, **vectors):
    text = builder.CreateString(name)
    return _table(builder, _TENSOR, name=text, **vectors)


def _table(builder, slots: dict[str, int], **offsets):
    builder.StartObject(max(slots.values()) + 1)
    for key, offset in offsets.items():
        if offset is not None:
            builder.PrependUOffsetTRelativeSlot(slots[key], offset, 0)
    return builder.EndObject()


def _tables(builder, offsets: list[int]):
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def _floats(builder, values: list[float]):
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return builder.EndVector()
