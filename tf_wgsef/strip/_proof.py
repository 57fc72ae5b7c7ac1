"""Prove that two models compute the same: run both on random inputs."""

import dataclasses

import keras
import numpy as np

from tf_wgsef.errors import StripError

_BATCH_SIZES = (1, 7, 32)
_UNKNOWN_SIZES = (16, 64, 256)

# Largest difference allowed, as a share of the output range. float32: sums over fewer terms are rounded
# in another order, 1e-6 to 5e-6 was seen on networks of 50 layers. Half precision keeps 11 or 8 bits.
_TOLERANCE = {"float32": 1e-5, "float64": 1e-10, "float16": 1e-2, "bfloat16": 5e-2}


# Share of the outputs that must be finite for a comparison to mean something.
_LEAST_FINITE = 0.5

# Share of the largest output that the range counts as at least: some steps of float32 at 1e-5.
_OFFSET_SHARE = 0.05


@dataclasses.dataclass(frozen=True)
class Proof:
    """The outcome of a comparison on random inputs.

    Attributes:
        max_abs_diff: largest absolute difference of any output.
        output_range: largest output minus smallest, over all outputs and inputs tried.
        samples: number of random inputs.
    """

    max_abs_diff: float
    output_range: float
    samples: int

    @property
    def relative(self) -> float:
        """``max_abs_diff`` as a share of ``output_range``; of the largest output if that is 0."""
        return self.max_abs_diff / self.output_range if self.output_range else self.max_abs_diff


def prove_equal(before, after, *, tolerance: float | None = None, seed: int = 0) -> Proof:
    """Compares the outputs of two models on standard normal inputs of several batch sizes.

    Args:
        before: the model as it was.
        after: the model that should compute the same.
        tolerance: largest difference allowed as a share of the output range; by default 1e-5 in float32,
            more in half precision.
        seed: of the random inputs.

    Raises:
        StripError: if an output differs by more, or is not finite where it was.
    """
    tolerance = _default_tolerance(before) if tolerance is None else tolerance
    generator = np.random.default_rng(seed)
    found = _Comparison()
    for batch in _BATCH_SIZES:
        inputs, expected = _run_at_random(before, batch, generator)
        for old, new in zip(expected, _outputs(after, inputs), strict=True):
            found.add(old, new)
    if found.finite < _LEAST_FINITE * found.seen:
        raise StripError(
            f"Expected finite outputs to compare. Received: model={before.name!r}, of whose outputs on "
            f"random inputs {1 - found.finite / found.seen:.0%} are NaN or infinity. Check its weights, or "
            f"the range of its inputs."
        )
    if not found.difference <= tolerance * found.scale:
        _raise_different(before, found, tolerance, inputs)
    return Proof(found.difference, found.span, sum(_BATCH_SIZES))


class _Comparison:
    """Largest difference and range over all outputs and inputs."""

    def __init__(self):
        self.difference, self.seen, self.finite = 0.0, 0, 0
        self._low, self._high = np.inf, -np.inf

    def add(self, old: np.ndarray, new: np.ndarray) -> None:
        """Compares one output; where both are NaN (a mean over nothing) there is nothing to compare."""
        finite = np.isfinite(old)
        self.seen, self.finite = self.seen + old.size, self.finite + int(finite.sum())
        if not np.array_equal(finite, np.isfinite(new)):
            self.difference = np.inf
        elif finite.any():
            old, new = old[finite], new[finite]
            self.difference = max(self.difference, float(np.abs(old - new).max()))
            self._low, self._high = min(self._low, float(old.min())), max(self._high, float(old.max()))

    @property
    def span(self) -> float:
        """Largest output minus smallest; the largest size if that is 0."""
        return (self._high - self._low) or max(abs(self._high), abs(self._low))

    @property
    def scale(self) -> float:
        """What the tolerance is a share of.

        Outputs far from 0 that hardly vary are rounded in steps of their size, not of their range.
        """
        return max(self.span, _OFFSET_SHARE * max(abs(self._high), abs(self._low))) or 1.0


def _raise_different(before, found: _Comparison, tolerance: float, inputs):
    again = [_outputs(before, inputs) for _ in range(2)]
    if any(not np.array_equal(one, other, equal_nan=True) for one, other in zip(*again, strict=True)):
        raise StripError(
            f"Expected a model that gives the same outputs for the same inputs. Received: "
            f"model={before.name!r}, which does not: the smaller model cannot be compared with it. "
            f"Take the layer that draws random numbers at inference out of the model."
        )
    raise StripError(
        f"Expected the stripped model to compute the same within {tolerance:g} of the output range. "
        f"Received: a difference of {found.difference:g} over a range of {found.span:g}. This is a defect of "
        f"tf_wgsef (or of a registered rule): please report it with the model. Nothing was returned."
    )


def _default_tolerance(model) -> float:
    dtypes = {layer.compute_dtype for layer in model.layers if hasattr(layer, "compute_dtype")}
    return max(_TOLERANCE.get(dtype, _TOLERANCE["float32"]) for dtype in dtypes or {"float32"})


def _run_at_random(model, batch: int, generator):
    """Returns random inputs that the model can take, and its outputs: unknown sizes grow until it runs."""
    for size in _UNKNOWN_SIZES:
        inputs = _random_inputs(model, batch, size, generator)
        try:
            return inputs, _outputs(model, inputs)
        except Exception as error:  # noqa: BLE001 - backends raise errors of classes of their own
            failure = error
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    reason = " ".join(lines[:2]) or type(failure).__name__
    raise StripError(
        f"Expected a model that can be called on random inputs (normal; 0 for integers), to compare outputs. "
        f"Received: model={model.name!r}, which fails on them: {reason[:300]}. Fix the sizes in keras.Input, "
        f"or strip the part of the model behind its lookup layers."
    ) from failure


def _random_inputs(model, batch: int, unknown: int, generator):
    """Inputs of the model's structure: standard normal, or whole numbers where the dtype is integer."""

    def draw(tensor):
        shape = (tensor.shape[0] or batch, *(unknown if size is None else size for size in tensor.shape[1:]))
        dtype = keras.backend.standardize_dtype(tensor.dtype)
        if "int" in dtype:
            # 0 and 1 at first; 0 alone where that fails, as for a table with one row.
            return generator.integers(0, 2 if unknown == _UNKNOWN_SIZES[0] else 1, shape).astype(dtype)
        if dtype == "bool":
            return generator.integers(0, 2, shape).astype(dtype)
        return generator.standard_normal(shape).astype("float64" if dtype == "float64" else "float32")

    # A Sequential model that was never called has `inputs`, but no `input`.
    structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    return keras.tree.map_structure(draw, structure)


def _outputs(model, inputs) -> list[np.ndarray]:
    """The outputs as float64, not rounded to float32 on the way."""
    result = []
    for one in keras.tree.flatten(model(inputs, training=False)):
        if keras.backend.standardize_dtype(one.dtype) == "bfloat16":
            one = keras.ops.cast(one, "float32")
        result.append(keras.ops.convert_to_numpy(one).astype(np.float64))
    return result
