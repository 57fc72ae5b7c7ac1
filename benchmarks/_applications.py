"""One model of keras.applications: random weights, half of its groups zero, stripped, checked, measured."""

import contextlib
import ctypes
import gc
import inspect
import pathlib
import resource
import sys
import time

import keras
import numpy as np

import tf_wgsef

DIFFERENCE = 1e-5  # largest output difference allowed, as a share of the output range
SPREAD = 1e-3  # outputs must vary over inputs by this share of their size, or they prove nothing
CLASSES = 10
SAMPLES = 16
CALIBRATION_SAMPLES = 64
DEAD_VARIANCE = 1e-10
LATENCY = {"threads": 1, "rounds": 10, "min_runs": 50, "min_seconds": 2.0, "warmup_seconds": 0.2}
# Loading packs all weights anew: at a gigabyte that is what takes the time.
LATENCY_LARGE = {"threads": 1, "rounds": 8, "min_runs": 16, "min_seconds": 2.0, "warmup_seconds": 0.0}
LARGE_FILE = 300_000_000


def constructors() -> dict:
    """{name: constructor} of every model of keras.applications."""
    found = {name: getattr(keras.applications, name) for name in dir(keras.applications)}
    return {name: one for name, one in found.items() if inspect.isfunction(one)}


def smallest(name: str) -> keras.Model:
    """The model at the smallest square input that its constructor accepts."""
    refusal = ""
    for size in range(16, 513):
        try:
            return constructors()[name](
                weights=None, input_shape=(size, size, 3), classes=CLASSES, classifier_activation=None
            )
        except ValueError as error:
            refusal = str(error)
    raise RuntimeError(f"Expected a size that {name} accepts. Received: refusals of 16 to 512: {refusal}")


def random_inputs(model, count: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.standard_normal((count, *model.input_shape[1:]), dtype="float32")


def outputs(model, inputs) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(inputs, training=False)).astype("float64")


def randomize(model, seed: int) -> None:
    """Sets every weight at random; kernels so that signals keep their size with half the inputs zero."""
    generator = np.random.default_rng(seed)
    for layer in model.layers:
        is_norm = "Normalization" in type(layer).__name__
        for weight in layer.weights:
            if "float" in weight.dtype:
                weight.assign(_random_value(generator, weight, is_norm))
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()


def _random_value(generator, weight, is_norm: bool) -> np.ndarray:
    shape = tuple(weight.shape)
    if len(shape) > 1 and not is_norm:
        depthwise = "depthwise" in weight.path
        fan_in = np.prod(shape[:2] if depthwise else shape[:-1])
        value = generator.standard_normal(shape, dtype="float32")
        value *= np.float32(np.sqrt((2 if depthwise else 4) / fan_in))
        return value
    if is_norm and ("gamma" in weight.path or "variance" in weight.path):
        return generator.uniform(0.5, 1.5, shape)
    if is_norm and "beta" in weight.path:
        return generator.normal(1, 0.5, shape)
    # A gamma outside a normalization is ConvNeXt's scale of a branch.
    return generator.normal(0, 1.0 if "gamma" in weight.path else 0.1, shape)


def calibrate(model, seed: int, inputs=random_inputs) -> None:
    """Sets batch norm statistics to those of random inputs, so that no depth drowns or blows up the signal.

    A channel without variance, such as that of a zeroed group, keeps the random statistics it had.
    ``inputs`` makes the inputs, as ``random_inputs`` does.
    """
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    if not norms:
        return
    statistics = [weight for norm in norms for weight in (norm.moving_mean, norm.moving_variance)]
    old = [keras.ops.convert_to_numpy(weight) for weight in statistics]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    keras.utils.set_random_seed(seed)  # of the dropout layers
    model(inputs(model, CALIBRATION_SAMPLES, seed), training=True)
    for index, (norm, momentum) in enumerate(zip(norms, momenta, strict=True)):
        norm.momentum = momentum
        live = keras.ops.convert_to_numpy(norm.moving_variance) > DEAD_VARIANCE
        for weight, value in zip(statistics[2 * index :][:2], old[2 * index :][:2], strict=True):
            weight.assign(np.where(live, keras.ops.convert_to_numpy(weight), value))


def half_zeroed(name: str, seed: int, inputs=random_inputs):
    """The model with random weights, half of whose groups are zero; its groups; which of them live."""
    model = smallest(name)
    randomize(model, seed)
    groups = tf_wgsef.build_groups(model)
    alive = np.random.default_rng(seed).permutation(groups.num_groups) % 2 == 0
    groups.scale(model, alive.astype("float32"))
    calibrate(model, seed, inputs)
    groups.scale(model, alive.astype("float32"))  # where statistics are part of a group
    return model, groups, alive


def grouped_channels(groups) -> dict[str, np.ndarray]:
    """{layer: group of each of its output channels, -1 for none}, of the layers that groups reach."""
    ids = {}
    for member in groups.members:
        if tuple(member.axes) == (member.rank - 1,):
            ids.setdefault(member.variable.split("/")[0], member.ids)
    return ids


def channels_left(groups, alive, result) -> dict[str, int]:
    """{layer that makes channels: number of those that are still there though their group is zero}.

    A layer whose groups are all zero may keep one channel: Keras has no layer with none.
    """
    left = {}
    makers = {name for label in groups.layers for name in label.split("+")}
    for name, ids in grouped_channels(groups).items():
        if name not in makers:
            continue
        expected = int(((ids < 0) | alive[ids]).sum())
        more = result.kept.get(name, 0) - max(expected, 1)
        if more > 0:
            left[name] = more
    return left


def coverage(model, groups) -> tuple[int, int]:
    """How many channels convolutions and dense layers make, the last one aside, and how many groups hold."""
    ids = grouped_channels(groups)
    makers = [layer for layer in model.layers if hasattr(layer, "filters") or hasattr(layer, "units")][:-1]
    total = sum(getattr(layer, "filters", None) or layer.units for layer in makers)
    none = np.array([-1])
    return total, sum(int((ids.get(layer.name, none) >= 0).sum()) for layer in makers)


class PeakMemory:
    """``rise``: bytes of memory at the highest, inside the block, above what was held before it."""

    def __enter__(self):
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):  # other systems; the rise is then an upper bound
            ctypes.CDLL(None).malloc_trim(0)  # memory that is free but not given back would hide a rise
            pathlib.Path("/proc/self/clear_refs").write_text("5")  # resets the highest
        self._before = _status("VmRSS") or _max_rss()
        return self

    def __exit__(self, *error):
        self.rise = max((_status("VmHWM") or _max_rss()) - self._before, 0)


def _status(key: str) -> int:
    path = pathlib.Path("/proc/self/status")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(key)), 0)


def _max_rss() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def compare_outputs(before, after, seed: int) -> tuple[float, float]:
    """Returns the largest difference as a share of the range, that of nudged inputs, and the spread."""
    inputs = random_inputs(before, SAMPLES, seed + 1)
    old, new = outputs(before, inputs), outputs(after, inputs)
    spread = np.ptp(old, axis=0).max() / np.abs(old).max()
    if not spread >= SPREAD:
        raise RuntimeError(
            f"Expected outputs that vary with the inputs. Received: by {spread:.1g} of their size."
        )
    nudged = outputs(before, np.nextafter(inputs, np.float32(np.inf)))
    return tuple(float(np.abs(old - one).max() / np.ptp(old)) for one in (new, nudged)) + (float(spread),)


def strip_row(name: str, seed: int = 0):
    """Strips one model.

    Returns:
        what was found, as plain values; the model before; the model after.
    """
    model, groups, alive = half_zeroed(name, seed)
    outputs(model, random_inputs(model, 1, seed))  # what a first call allocates is none of strip's
    with PeakMemory() as memory:
        start = time.perf_counter()
        result = tf_wgsef.strip(model, seed=seed)
        seconds = time.perf_counter() - start
    before, after = tf_wgsef.profile(model), tf_wgsef.profile(result.model)
    difference, rounding, spread = compare_outputs(model, result.model, seed)
    row = {
        "model": name,
        "input": list(model.input_shape[1:]),
        "seed": seed,
        "parameters": [before.parameters, after.parameters],
        "macs": [before.macs, after.macs],
        "bytes": before.bytes,
        "groups": groups.num_groups,
        "zeroed": int((~alive).sum()),
        "channels": list(coverage(model, groups)),
        "strip_seconds": seconds,
        "strip_peak": (before.bytes + memory.rise) / before.bytes,
        "difference": max(difference, result.proof.relative),
        "rounding": rounding,
        "spread": spread,
        "left": channels_left(groups, alive, result),
        "skipped": result.skipped,
    }
    return row, model, result.model


def file_row(before, after) -> dict:
    """Converts both models and lets their files take turns."""
    files, seconds = [], []
    for model in (before, after):
        start = time.perf_counter()
        files.append(tf_wgsef.convert(model))
        seconds.append(time.perf_counter() - start)
    gc.collect()
    plan = LATENCY_LARGE if len(files[0]) > LARGE_FILE else LATENCY
    start = time.perf_counter()
    both = tf_wgsef.compare_latency(*files, names=("before", "after"), **plan)
    return {
        "file": [len(one) for one in files],
        "convert_seconds": seconds,
        "latency_us": [both.a.p50, both.b.p50],
        "faster": [both.ratio, both.low, both.high, both.confidence],
        "plan": plan,
        "latency_seconds": time.perf_counter() - start,
    }


def full_row(name: str, seed: int = 0, *, file: bool = True, note=lambda row: None) -> dict:
    """All figures of one model; ``error`` says what failed, after the figures that were found before it.

    ``note`` is called with what is known before the conversion, which large models may not survive.
    """
    row = {"model": name}
    start = time.perf_counter()
    try:
        row, before, after = strip_row(name, seed)
        if file:
            note(row)
            row |= file_row(before, after)
    except (tf_wgsef.WGSEFError, RuntimeError) as error:
        row["error"] = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return row | {"seconds": time.perf_counter() - start, "process_peak": _max_rss()}


def fails(row: dict) -> str:
    """Why a row misses the bar, or ""."""
    if row.get("error"):
        return row["error"]
    if not row["difference"] <= DIFFERENCE:
        return f"difference {row['difference']:.1e} of the range, above {DIFFERENCE:g}"
    if row["left"]:
        return f"{sum(row['left'].values())} channels of zero groups left in {len(row['left'])} layers"
    return ""
