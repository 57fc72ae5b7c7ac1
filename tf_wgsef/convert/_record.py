"""What ``convert`` returns: the bytes of a file, with the record of what was found about it."""

import dataclasses

from ._contents import FileContents
from ._parity import Parity
from ._sparse import SparseLayer

# What these give is of very different sizes, of which 256 steps of one size lose the small ones.
_HARMED = ("RSQRT", "SQRT", "EXP", "LOG", "DIV")
_FAR = 0.05  # of the output range: more than rounding explains


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
        calibrated_on: how many samples set the ranges of activations, and of how many; the latter is None for
            streams. Only these were read and checked.
        history: of training in int8: the mean loss and accuracy of each epoch, with quantization emulated.
    """

    quantization: str | dict[str, str]
    contents: FileContents
    parity: Parity | None
    accuracy: float | None = None
    keras_accuracy: float | None = None
    sparse_layers: tuple[SparseLayer, ...] = ()
    problem: str | None = None
    calibrated_on: tuple[int, int | None] | None = None
    history: tuple[dict, ...] = ()

    @property
    def harmed(self) -> tuple[str, ...]:
        """Operators that explain why an int8 file is far from the model; empty where it is not."""
        if self.quantization != "int8" or self.parity is None or self.parity.relative <= _FAR:
            return ()
        kinds, floats = self.contents.operators, self.contents.float_operators
        return tuple(kind for kind in _HARMED if kinds.get(kind, 0) > floats.get(kind, 0))

    def to_dict(self) -> dict:
        """Returns the record as JSON types."""
        return dataclasses.asdict(self) | {"contents": self.contents.to_dict()}

    def report(self) -> str:
        """Returns a few lines for people."""
        contents = self.contents
        operators = ", ".join(f"{count} {kind}" for kind, count in contents.operators.items())
        lines = [
            f"{contents.bytes:,} bytes ({contents.sections['weights']:,} of weights), {contents.numbers}",
            f"operators: {operators}",
            *(f"input {one}" for one in contents.inputs),
            *(f"output {one}" for one in contents.outputs),
            f"compared with the Keras model: {self.parity or 'not at all'}",
        ]
        if self.accuracy is not None:
            lines.append(f"accuracy {self.accuracy:.2%} on LiteRT, {self.keras_accuracy:.2%} in Keras")
        if self.calibrated_on:
            read, total = self.calibrated_on
            lines.append(
                f"calibrated on {read:,}{f' of {total:,}' if total else ''} samples; no others were read"
            )
        if self.history:
            last = ", ".join(f"{name} {value:.4g}" for name, value in self.history[-1].items())
            lines.append(f"trained on in int8 for {len(self.history)} epochs: {last}")
        if self.harmed:
            lines.append(
                f"int8 can lose what {', '.join(self.harmed)} give: values of very different sizes. "
                f'quantization="int16x8" computes them in float, "dynamic" all activations, and '
                f'{{"*": "int8", "norm*": "float"}} the layers that you name'
            )
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
