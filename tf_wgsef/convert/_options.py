"""How numbers are stored and computed in a file: what users may ask for."""

import dataclasses
from collections.abc import Mapping
from fnmatch import fnmatchcase

from tf_wgsef.errors import InputError


@dataclasses.dataclass(frozen=True)
class Mode:
    """One kind of quantization.

    Attributes:
        tolerance: the largest difference to accept by default, as a share of the output range.
        ios: types that the inputs and outputs of the file may have; the first is the default.
        calibrated: whether ranges of activations are read off real inputs.
    """

    tolerance: float
    ios: tuple[str, ...] = ("float32",)
    calibrated: bool = False


_INF = float("inf")
# "none": the same float32 sums in another order, with batch normalization folded into the kernels;
#   toy models differ by 1e-6, MobileNetV2 by 1e-5, InceptionV3 (94 convolutions) by 1.1e-4 to 5.5e-4.
#   What goes wrong in a conversion shows as a difference of order 1.
# "float16": weights rounded to 11 bits; 0.2 % of the signal (rms) on a trained net, 1.8 % on
#   the worst untrained one, of which the largest difference is about three times as much.
# The others: no bound is right for every model; only gross failure is refused.
MODES = {
    "none": Mode(1e-3),
    "float16": Mode(5e-2),
    "dynamic": Mode(_INF),
    "int8": Mode(_INF, ("int8", "float32"), calibrated=True),
    "int16x8": Mode(_INF, ("int16", "float32"), calibrated=True),
}
_PER_LAYER = {"int8": "int8", "float": "none", "none": "none"}


@dataclasses.dataclass(frozen=True)
class Quantization:
    """What was asked for, checked.

    Attributes:
        mode: a key of ``MODES``; "int8" for a mixed file.
        io: type of the inputs and outputs.
        sparse: whether weights that are mostly zero are stored as such.
        layers: {pattern of layer names: "int8" or "none"} for a mixed file; empty otherwise.
    """

    mode: str
    io: str
    sparse: bool = False
    layers: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def calibrated(self) -> bool:
        """Whether ranges of activations are read off real inputs."""
        return MODES[self.mode].calibrated

    @property
    def tolerance(self) -> float:
        """The largest difference to accept by default, as a share of the output range."""
        return MODES[self.mode].tolerance

    def of_layers(self, paths: list[str]) -> str:
        """Returns what an operation of a mixed file becomes: "int8" or "none".

        Args:
            paths: the layers that are merged into it. The first pattern that fits one counts, ``*`` last.
        """
        fitting = (p for p in self.layers if p != "*" and any(fits(p, path) for path in paths))
        return self.layers[next(fitting, "*")]


def fits(pattern: str, path: str) -> bool:
    """Returns whether a pattern fits a layer, by its name or its path.

    Args:
        pattern: as for ``fnmatch``, case counts.
        path: the layer's name, after the names of the models that it is nested in.

    Example:
        >>> fits("conv*", "encoder/conv1"), fits("encoder/*", "encoder/conv1"), fits("conv", "conv1")
        (True, True, False)
    """
    return any(fnmatchcase(name, pattern) for name in (path, path.rpartition("/")[2]))


def check_quantization(quantization, io: str | None, sparse: bool) -> Quantization:
    """Returns what a user asked for, if it can be had.

    Args:
        quantization: a key of ``MODES``, "float" for "none", or {pattern of layer names: "int8" or "float"}.
        io: "int8", "int16", "float32" or None for the mode's default.
        sparse: whether to store weights that are mostly zero as such.

    Raises:
        InputError: if it cannot be had.

    Example:
        >>> check_quantization({"*": "int8", "head": "float"}, None, False).of_layers(["head"])
        'none'
    """
    layers = {}
    if isinstance(quantization, Mapping):
        layers = _check_layers(quantization)
        kinds = set(layers.values())
        mode = "int8" if "int8" in kinds else "none"
        layers = layers if len(kinds) > 1 else {}  # all of one kind is no mixture
    else:
        mode = "none" if quantization == "float" else quantization
    if not isinstance(mode, str) or mode not in MODES:
        hint = " Training in int8 is tf_wgsef.train_quantized, or deploy(train=(x, y))." * (mode == "aware")
        raise InputError(
            f"Expected `quantization` to be one of {', '.join(map(repr, MODES))}, or a dict of "
            f"{{layer pattern: 'int8' or 'float'}}. Received: quantization={quantization!r}.{hint}"
        )
    if sparse and (mode not in ("none", "float16")):
        raise InputError(
            f"Expected quantization='none' or 'float16' with sparse=True: the runtime has sparse kernels for "
            f"floats only, and refuses other files. Received: quantization={quantization!r}."
        )
    return Quantization(mode, _check_io(mode, io), bool(sparse), layers)


def _check_io(mode, io):
    allowed = MODES[mode].ios
    if io is not None and io not in allowed:
        raise InputError(
            f"Expected `io` to be {' or '.join(map(repr, allowed))} with quantization={mode!r}. "
            f"Received: io={io!r}."
        )
    return io or allowed[0]


def _check_layers(layers) -> dict[str, str]:
    strange = [
        (k, v)
        for k, v in layers.items()
        if not (isinstance(k, str) and isinstance(v, str) and v in _PER_LAYER)
    ]
    if strange or "*" not in layers:
        raise InputError(
            f"Expected `quantization` per layer as {{pattern: 'int8' or 'float'}} with a pattern '*' for "
            f"all other layers. Received: quantization={dict(layers)!r}."
        )
    return {pattern: _PER_LAYER[value] for pattern, value in layers.items()}
