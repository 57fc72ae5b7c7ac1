"""What ``convert`` returns: the bytes of a file, with the record of what was found about it."""

import dataclasses

from ._contents import FileContents
from ._parity import Parity
from ._sparse import SparseLayer


@dataclasses.dataclass(frozen=True)
class ConversionRecord:
    """The proof of one file.

    Attributes:
        quantization: what was asked for: a mode, or a dict of modes by layer pattern.
        contents: what the file holds, see ``FileContents``.
        parity: how far it is from the Keras model, on samples of ``test`` or ``calibration``, or random; None
            for a file with Flex operators, which cannot be run here.
        accuracy: share of the ``test`` samples that the file gets right on LiteRT; None without them.
        keras_accuracy: share that the Keras model gets right.
        sparse_layers: with ``sparse=True``, the convolutions and dense layers, and which of them are stored
            sparse and may run so.
        problem: why the file should not be used; None unless it was forced.
    """

    quantization: str | dict[str, str]
    contents: FileContents
    parity: Parity | None
    accuracy: float | None = None
    keras_accuracy: float | None = None
    sparse_layers: tuple[SparseLayer, ...] = ()
    problem: str | None = None

    def to_dict(self) -> dict:
        """Returns the record as JSON types."""
        return dataclasses.asdict(self)

    def report(self) -> str:
        """Returns a few lines for people."""
        contents = self.contents
        numbers = "integers only" if contents.integer_only else "floats, at least in part"
        operators = ", ".join(f"{count} {kind}" for kind, count in contents.operators.items())
        lines = [
            f"{contents.bytes:,} bytes ({contents.sections['weights']:,} of weights), {numbers}",
            f"operators: {operators}",
            *(f"input {one}" for one in contents.inputs),
            *(f"output {one}" for one in contents.outputs),
            f"compared with the Keras model: {self.parity or 'not at all'}",
        ]
        if self.accuracy is not None:
            lines.append(f"accuracy {self.accuracy:.2%} on LiteRT, {self.keras_accuracy:.2%} in Keras")
        lines += [str(layer) for layer in self.sparse_layers]
        if self.problem:
            lines.append(f"FORCED although: {self.problem}")
        return "\n".join(lines)


class TFLiteFile(bytes):
    """The bytes of a ``.tflite`` file, and how they were proven.

    Attributes:
        record: a ``ConversionRecord``.
    """

    record: ConversionRecord

    def __new__(cls, content: bytes, record: ConversionRecord):
        """Makes the file of ``content``."""
        file = super().__new__(cls, content)
        file.record = record
        return file

    def __getnewargs__(self):
        return bytes(self), self.record

    def __repr__(self) -> str:
        return f"<TFLiteFile of {len(self):,} bytes, quantization={self.record.quantization!r}>"

    def report(self) -> str:
        """Returns the record in a few lines for people."""
        return self.record.report()
