"""strip on random models: ``python -m tests.strip.fuzz --count 10000 --jobs 2 --first-seed 0``."""

import argparse
import dataclasses
import logging
import multiprocessing
import multiprocessing.connection
import os
import re
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402

import tf_wgsef  # noqa: E402
from tests.random_models import fill, random_inputs, random_model, traits, walk, zero_pattern  # noqa: E402
from tf_wgsef.errors import StripError  # noqa: E402
from tf_wgsef.strip._precise import in_float64  # noqa: E402

# Not a size of any other axis: Keras 3.15 on TensorFlow takes (17, 1) added to (17, 17) for a bias.
_BATCHES = (1, 17)
_TOLERANCE = 1e-5
_TOLERANCE_FLOAT64 = 1e-9
_SAVED_EVERY = 10
_SEEDS_PER_PROCESS = 250  # TensorFlow keeps 2 MB of each: traced and compiled functions
# What strip says where nothing that depends on the input reaches an output.
_NO_PATH = re.compile(r"no path|every path|constant", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What happened to one seed.

    Attributes:
        seed: of the model, its weights, its zeros and its inputs.
        failure: why it failed, in one line; empty if it did not.
        removed: number of channels that went.
        before: number of parameters.
        after: number of parameters of the stripped model.
        patterns: what was made zero.
        traits: what the model is made of.
        notes: what else to count: ``"constant"``, ``"unrepeatable"``, ``"rounding"``, ``"float64"``,
            ``"saved"``.
    """

    seed: int
    failure: str = ""
    removed: int = 0
    before: int = 0
    after: int = 0
    patterns: tuple[str, ...] = ()
    traits: Counter = dataclasses.field(default_factory=Counter)
    notes: tuple[str, ...] = ()


def make(seed: int):
    """Returns the model of a seed, with its weights and zeros, and the names of its zero patterns."""
    model = random_model(seed)
    fill(model, seed)
    return model, zero_pattern(model, seed)


def check(seed: int) -> Outcome:
    """Strips the model of a seed, and holds the result to the model before.

    Raises:
        AssertionError: if they differ; or whatever strip raises.
    """
    model, patterns = make(seed)
    found, before = traits(model), model.count_params()
    weights = [weight.copy() for weight in model.get_weights()]
    inputs = [random_inputs(model, batch, seed + batch) for batch in _BATCHES]
    expected = [_outputs(model, batch) for batch in inputs]
    assert all(np.isfinite(one).all() for batch in expected for one in batch), "the model itself gives NaN"
    try:
        result = tf_wgsef.strip(model)
    except StripError as error:
        if "same outputs for the same inputs" in str(error):
            assert not _repeats(model, seed), f"the model repeats itself, but strip says: {error}"
            return Outcome(seed, "", 0, before, before, patterns, found, ("unrepeatable",))
        if not _NO_PATH.search(str(error)):
            raise AssertionError(_explain(model, error, inputs, expected)) from error
        assert _has_constant_output(model, seed), f"a path is left, but strip says: {error}"
        return Outcome(seed, "", 0, before, before, patterns, found, ("constant",))
    for weight, saved in zip(model.get_weights(), weights, strict=True):
        assert weight.tobytes() == saved.tobytes(), "strip changed the model that it was given"
    after = result.model.count_params()
    assert after <= before + _room_for_biases(model), f"{after} parameters after, {before} before"
    notes = []
    for batch, old in zip(inputs, expected, strict=True):
        notes += _compare(model, result.model, old, batch)
    if seed % _SAVED_EVERY == 0:
        _check_saved(result.model, inputs[-1])
        notes.append("saved")
    removed = sum(result.removed.values())
    return Outcome(seed, "", removed, before, after, patterns, found, tuple(set(notes)))


def _explain(model, error: StripError, inputs: list, expected: list) -> str:
    """Whether a refusal is about more than rounding."""
    if "compute the same" not in str(error):
        return str(error)
    stripped = tf_wgsef.strip(model, tolerance=1e30).model
    try:
        for batch, old in zip(inputs, expected, strict=True):
            _compare(model, stripped, old, batch)
    except AssertionError as difference:
        return f"another model, {difference}; strip says: {error}"
    return f"refused for rounding alone: {error}"


def _outputs(model, inputs) -> list[np.ndarray]:
    made = model(inputs, training=False)
    return [keras.ops.convert_to_numpy(one).astype(np.float64) for one in keras.tree.flatten(made)]


def _compare(model, stripped, old: list, inputs) -> list[str]:
    """Asserts the same outputs, each within 1e-5 of its own range; returns notes."""
    new = _outputs(stripped, inputs)
    excess = [_difference(one, other) / _scale(one) for one, other in zip(old, new, strict=True)]
    if max(excess) <= _TOLERANCE:
        return []
    # Rounding is more than that where large terms cancel: then the model itself moves as much when its
    # weights change by one step of float32.
    noise = _rounding_noise(model, old, inputs)
    too_much = [max(_TOLERANCE, 6 * allowed) for allowed in noise]
    if all(one <= allowed for one, allowed in zip(excess, too_much, strict=True)):
        return ["rounding"]
    # An estimate can be too low; float64 decides.
    precise = [in_float64(one) for one in (model, stripped)]
    assert None not in precise, f"outputs differ by {excess} of their ranges (rounding: {noise})"
    old, new = (_outputs(one, inputs) for one in precise)
    excess = [_difference(one, other) / _scale(one) for one, other in zip(old, new, strict=True)]
    assert max(excess) <= _TOLERANCE_FLOAT64, f"outputs differ in float64 by {excess} of their ranges"
    return ["float64"]


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    assert one.shape == other.shape, f"an output had the shape {one.shape}, and has {other.shape}"
    assert np.isfinite(other).all(), "the stripped model gives NaN or infinity"
    return float(np.abs(one - other).max(initial=0.0))


def _scale(output: np.ndarray) -> float:
    """The range; of outputs that hardly vary, 5 % of their size, as float32 is rounded in steps of that."""
    return max(float(np.ptp(output)), 0.05 * float(np.abs(output).max(initial=0.0))) or 1.0


def _rounding_noise(model, old: list, inputs) -> list[float]:
    """How far each output moves, as a share of its range, when the weights move by one step of float32."""
    saved, generator = model.get_weights(), np.random.default_rng(0)
    noise = np.zeros(len(old))
    for _ in range(4):
        moved = [w * (1 + generator.uniform(-(2**-23), 2**-23, w.shape)).astype(w.dtype) for w in saved]
        model.set_weights(moved)
        new = _outputs(model, inputs)
        noise = np.maximum(noise, [np.abs(a - b).max() / _scale(a) for a, b in zip(old, new, strict=True)])
    model.set_weights(saved)
    return noise.tolist()


def _room_for_biases(model) -> int:
    """Parameters that folding constants may add: one bias per output of each layer without one."""
    without = [layer for layer, _ in walk(model) if getattr(layer, "use_bias", True) is False]
    return sum(max(weight.shape) for layer in without for weight in layer.weights if len(weight.shape) > 1)


def _repeats(model, seed: int) -> bool:
    """Whether the model gives the same outputs again; TensorFlow has kernels on the CPU that do not."""
    inputs = [random_inputs(model, batch, seed + batch) for batch in (1, 7, 32)]
    runs = [[one for batch in inputs for one in _outputs(model, batch)] for _ in range(20)]
    return all(np.array_equal(one, other) for run in runs for one, other in zip(runs[0], run, strict=True))


def _has_constant_output(model, seed: int) -> bool:
    """Whether some output is the same for all inputs, rounding aside."""
    outputs = _outputs(model, random_inputs(model, 64, seed + 64))
    return any(np.ptp(one, axis=0).max() <= _TOLERANCE * np.abs(one).max() for one in outputs)


def _check_saved(model, inputs) -> None:
    """Asserts that the model saves and loads, and then gives the same outputs."""
    python = any(isinstance(layer, keras.layers.Lambda) for layer, _ in walk(model))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.models.load_model(path, safe_mode=not python)
    for one, other in zip(_outputs(model, inputs), _outputs(loaded, inputs), strict=True):
        np.testing.assert_array_equal(one, other, err_msg="the loaded model differs")


def attempt(seed: int) -> Outcome:
    """``check``, with a failure told in one line instead of raised."""
    try:
        return check(seed)
    except Exception as error:  # noqa: BLE001 - a crash of any kind is what is looked for
        text = " ".join(str(error).split())
        return Outcome(seed, failure=f"{type(error).__name__}: {text[:300]}")


def describe(seed: int) -> str:
    """The model of a seed, one line per layer and raw operation."""
    model = random_model(seed)
    lines = [model.name]
    for operation, depth in walk(model):
        try:
            shapes = [tuple(one.shape) for one in keras.tree.flatten(operation.output)]
        except AttributeError:  # used more than once, or within a wrapper
            shapes = ""
        lines.append(f"{'  ' * (depth + 1)}{type(operation).__name__} {operation.name} {shapes}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Runs the seeds in processes of their own; returns 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.strip.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=1000, help="how many seeds (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="how many processes (default %(default)s)")
    parser.add_argument("--first-seed", type=int, default=0, help="the first seed (default %(default)s)")
    parser.add_argument("--show", type=int, metavar="SEED", help="print the model of one seed and check it")
    options = parser.parse_args(arguments)
    if options.show is not None:
        print(describe(options.show))
        print(check(options.show))
        return 0
    outcomes = _run(range(options.first_seed, options.first_seed + options.count), options.jobs)
    print(summary(outcomes))
    return int(any(outcome.failure for outcome in outcomes))


def _run(seeds: range, jobs: int) -> list[Outcome]:
    from rich.console import Console
    from rich.progress import Progress

    outcomes = []
    with Progress(console=Console(file=sys.stderr)) as progress:
        task = progress.add_task("strip", total=len(seeds))
        for outcome in _in_processes(list(seeds), jobs):
            outcomes.append(outcome)
            if outcome.failure:
                print(f"seed {outcome.seed}: {outcome.failure}", flush=True)
            progress.advance(task)
    return outcomes


def _in_processes(seeds: list[int], jobs: int):
    """Yields the outcomes; a seed that ends its process is a failure, and the rest of its seeds go on."""
    context = multiprocessing.get_context("spawn")  # each process has a Keras of its own
    waiting = [
        seeds[first : first + _SEEDS_PER_PROCESS] for first in range(0, len(seeds), _SEEDS_PER_PROCESS)
    ]
    running = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(waiting[0], sender), daemon=True)
            process.start()
            sender.close()
            running[receiver] = (process, waiting.pop(0))
        for receiver in multiprocessing.connection.wait(list(running)):
            process, left = running[receiver]
            try:
                outcome = receiver.recv()
                left.remove(outcome.seed)
            except EOFError:
                process.join()
                del running[receiver]
                if not left:
                    continue
                outcome = Outcome(left[0], failure=f"its process ended with code {process.exitcode}")
                waiting += [left[1:]] if left[1:] else []
            yield outcome


def _work(seeds: list[int], sender) -> None:
    _quiet()
    for seed in seeds:
        sender.send(attempt(seed))


def _quiet() -> None:
    """What Keras and TensorFlow say of odd models: a softmax over one channel, many shapes to trace."""
    warnings.simplefilter("ignore")
    logging.getLogger("tensorflow").setLevel("ERROR")


def summary(outcomes: list[Outcome]) -> str:
    """Counts, and what the models were made of."""
    good = [outcome for outcome in outcomes if not outcome.failure]
    smaller = [outcome for outcome in good if outcome.removed]
    notes, patterns, kinds = Counter(), Counter(), Counter()
    for outcome in good:
        notes.update(outcome.notes)
        patterns.update(outcome.patterns)
        kinds.update(outcome.traits.keys())
    before, after = sum(one.before for one in good), sum(one.after for one in good)
    return "\n".join(
        [
            f"{len(outcomes)} models, {len(outcomes) - len(good)} failed",
            f"{len(smaller)} lost channels: {sum(one.removed for one in smaller)} in all; "
            f"{before} parameters became {after}",
            f"{notes['constant']} refused as constant, {notes['unrepeatable']} as not repeating themselves",
            f"{notes['rounding']} compared by their own rounding, {notes['float64']} in float64, "
            f"{notes['saved']} saved and loaded",
            "zero patterns: " + ", ".join(f"{name} {count}" for name, count in patterns.most_common()),
            "models with: " + ", ".join(f"{name} {count}" for name, count in sorted(kinds.items())),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
