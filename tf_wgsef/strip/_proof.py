"""Prove that two models compute the same: run both on random inputs."""

import contextlib
import dataclasses

import keras
import numpy as np

from tf_wgsef.errors import StripError
from tf_wgsef.strip._precise import in_float64
from tf_wgsef.terminal_text import first_line

_BATCH_SIZES = (1, 7, 32)
_UNKNOWN_SIZES = (16, 64, 256)

# Largest difference allowed, as a share of the output range. float32: sums over fewer terms are rounded
# in another order, 1e-6 to 5e-6 was seen on networks of 50 layers. Half precision keeps 11 or 8 bits.
_TOLERANCE = {"float32": 1e-5, "float64": 1e-10, "float16": 1e-2, "bfloat16": 5e-2}


# How often inputs and weights are moved by one step, to see what rounding alone does.
_NUDGES = 4

# Share of the outputs that must be finite for a comparison to mean something.
_LEAST_FINITE = 0.5

# Share of the largest output that the range counts as at least: some steps of float32 at 1e-5.
_OFFSET_SHARE = 0.05


@dataclasses.dataclass(frozen=True)
class Proof:
    """The outcome of a comparison on random inputs.

    Attributes:
        max_abs_diff: largest absolute difference, of the output where it is the largest share of the range.
        output_range: largest value minus smallest of that output, over all inputs tried.
        samples: number of random inputs.
    """

    max_abs_diff: float
    output_range: float
    samples: int

    @property
    def relative(self) -> float:
        """``max_abs_diff`` as a share of ``output_range``; of the largest output if that is 0."""
        return self.max_abs_diff / self.output_range if self.output_range else self.max_abs_diff


def prove_equal(
    before, after, *, tolerance: float | None = None, seed: int = 0, avoid: frozenset[int] = frozenset()
) -> Proof:
    """Compares the outputs of two models on standard normal inputs of several batch sizes.

    Args:
        before: the model as it was.
        after: the model that should compute the same.
        tolerance: largest difference allowed as a share of the output range. By default 1e-5 in float32 and
            more in half precision; and, where that is larger, four times what moving inputs and weights by
            one step of their dtype does to the outputs: there rounding alone exceeds it. Models that differ
            by more are compared again in float64, and are the same if they agree there.
        seed: of the random inputs.
        avoid: sizes that no batch should have: those of other axes. Keras 3.15 on TensorFlow takes (n, 1)
            added to (n, n) for a bias, and adds it along the wrong axis.

    Raises:
        StripError: if an output differs by more, or is not finite where it was.
    """
    strict = tolerance is not None
    tolerance = tolerance if strict else _default_tolerance(before)
    generator = np.random.default_rng(seed)
    found: list[_Comparison] = []
    batches = [_next_free(size, avoid) for size in _BATCH_SIZES]
    with _states_kept(before), _states_kept(after):
        for batch in batches:
            inputs, expected = _run_at_random(before, batch, generator)
            found = found or [_Comparison() for _ in expected]
            for one, old, new in zip(found, expected, _outputs_of_stripped(after, inputs), strict=True):
                one.add(old, new)
        for one in found:
            if one.finite < _LEAST_FINITE * one.seen:
                _raise_not_finite(before, one)
        worst = max(found, key=lambda one: one.difference / one.scale)
        if not worst.difference <= tolerance * worst.scale:
            _check_repeats(before, inputs)
            noise = 0.0 if strict else _rounding_noise(after, inputs, generator)[found.index(worst)]
            rounded = worst.difference <= noise < np.inf
            if strict or not (rounded or _equal_in_float64(before, after, tolerance, seed, avoid)):
                _raise_different(worst, tolerance)
    return Proof(worst.difference, worst.span, sum(batches))


def _equal_in_float64(before, after, tolerance: float, seed: int, avoid: frozenset[int]) -> bool:
    """Whether the models agree within the same share of the range where computing rounds 5e8 times less.

    Then what differed was rounding. No smaller share is asked: constants that were folded into a bias have
    been rounded to its dtype, and that does not go away.
    """
    precise = [in_float64(model) for model in (before, after)]
    if None in precise:
        return False
    try:
        prove_equal(*precise, tolerance=tolerance, seed=seed, avoid=avoid)
    except StripError:
        return False
    return True


def _next_free(size: int, avoid: frozenset[int]) -> int:
    while size > 1 and size in avoid:
        size += 1
    return size


class _Comparison:
    """Largest difference and range of one output over all inputs."""

    def __init__(self):
        self.difference, self.seen, self.finite = 0.0, 0, 0
        self._low, self._high = np.inf, -np.inf

    def add(self, old: np.ndarray, new: np.ndarray) -> None:
        """Compares one run; where both are NaN (a mean over nothing) there is nothing to compare."""
        finite = np.isfinite(old)
        self.seen, self.finite = self.seen + old.size, self.finite + int(finite.sum())
        if finite.any():
            self._low = min(self._low, float(old[finite].min()))
            self._high = max(self._high, float(old[finite].max()))
        if not np.array_equal(finite, np.isfinite(new)):
            self.difference = np.inf
        elif finite.any():
            self.difference = max(self.difference, float(np.abs(old[finite] - new[finite]).max()))

    @property
    def span(self) -> float:
        """Largest output minus smallest; the largest size if that is 0."""
        if self._low > self._high:
            return 0.0
        return (self._high - self._low) or max(abs(self._high), abs(self._low))

    @property
    def scale(self) -> float:
        """What the tolerance is a share of.

        Outputs far from 0 that hardly vary are rounded in steps of their size, not of their range.
        """
        size = max(abs(self._high), abs(self._low)) if self._low <= self._high else 0.0
        return max(self.span, _OFFSET_SHARE * size) or 1.0


@contextlib.contextmanager
def _states_kept(model):
    """Stateful recurrent layers start from zero, and have their states back afterwards."""
    states = [
        state
        for layer in _all_layers(model)
        if getattr(layer, "stateful", False)
        for state in keras.tree.flatten(getattr(layer, "states", None) or [])
    ]
    before = [np.array(keras.ops.convert_to_numpy(state)) for state in states]
    for state in states:
        state.assign(np.zeros(state.shape))
    try:
        yield
    finally:
        for state, value in zip(states, before, strict=True):
            state.assign(value)


def _all_layers(model):
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _all_layers(layer)


def _rounding_noise(model, inputs, generator) -> list[float]:
    """Per output, four times how far it moves when inputs and weights move by one step of their dtype.

    Four, since each layer rounds its sums as well, and both models do.

    Where large terms cancel, rounding alone is more than the tolerance, before and after.

    Args:
        model: the stripped model, whose weights are moved and put back.
        inputs: of one batch.
        generator: says which move up and which down.
    """

    def nudged(one):
        if one.dtype.kind != "f":
            return one
        moved = np.nextafter(one, generator.choice([-np.inf, np.inf], one.shape), dtype=one.dtype)
        return np.where(one == 0, one, moved)

    before = _outputs(model, inputs)
    weights = [keras.ops.convert_to_numpy(weight).copy() for weight in model.weights]
    noise = [0.0] * len(before)
    try:
        for _ in range(_NUDGES):
            for variable, value in zip(model.weights, weights, strict=True):
                variable.assign(nudged(value))
            moved = _outputs(model, keras.tree.map_structure(nudged, inputs))
            for index, (old, new) in enumerate(zip(before, moved, strict=True)):
                both = np.isfinite(old) & np.isfinite(new)
                noise[index] = max(noise[index], 4 * float(np.abs(old - new)[both].max(initial=0.0)))
    finally:
        for variable, value in zip(model.weights, weights, strict=True):
            variable.assign(value)
    return noise


def _raise_not_finite(model, found: _Comparison):
    raise StripError(
        f"Expected finite outputs to compare. Received: model={model.name!r}, of whose outputs on random "
        f"inputs {1 - found.finite / found.seen:.0%} are NaN or infinity. Check its weights, or the range of "
        f"its inputs."
    )


def _check_repeats(model, inputs) -> None:
    first, second = (_outputs(model, inputs) for _ in range(2))
    if any(not np.array_equal(one, other, equal_nan=True) for one, other in zip(first, second, strict=True)):
        raise StripError(
            f"Expected a model that gives the same outputs for the same inputs. Received: "
            f"model={model.name!r}, which does not: the smaller model cannot be compared with it. "
            f"Take the layer that draws random numbers at inference out of the model."
        )


def _raise_different(found: _Comparison, tolerance: float):
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


def _outputs_of_stripped(model, inputs) -> list[np.ndarray]:
    try:
        return _outputs(model, inputs)
    except Exception as error:  # backends raise errors of classes of their own
        raise StripError(
            f"Expected a stripped model that runs. Received: {type(error).__name__}: {first_line(error)}. "
            f"This is a defect of tf_wgsef, or of a layer that its configuration does not make again."
        ) from error


def _outputs(model, inputs) -> list[np.ndarray]:
    """The outputs as float64, not rounded to float32 on the way."""
    result = []
    for one in keras.tree.flatten(model(inputs, training=False)):
        if keras.backend.standardize_dtype(one.dtype) == "bfloat16":
            one = keras.ops.cast(one, "float32")
        result.append(keras.ops.convert_to_numpy(one).astype(np.float64))
    return result
