"""Two facts about a runtime on a device that explain a latency: its fixed cost and its channel step."""

import dataclasses

import keras

from tf_wgsef.convert import convert, input_specs, random_samples
from tf_wgsef.measure import LatencyStats, measure_interleaved

_SAMPLES = 8
_COUNTS = (1, 4, 8, 16, 32)

# A convolution whose time grows by less than this from 1 to c output channels computes them in one step;
# past the step the time grows by 1.6 or more (seen with steps of 8 and 16).
_FLAT = 1.25


@dataclasses.dataclass(frozen=True)
class DeviceFacts:
    """What a runtime costs on a device whatever the model.

    Attributes:
        fixed_cost_us: median microseconds of an almost empty model.
        channel_step: output channels that a convolution computes at a time; None if no step showed.
        stats: the measurement of the almost empty model, which names the device.
    """

    fixed_cost_us: float
    channel_step: int | None
    stats: LatencyStats | None = None


def probe_device(
    *, target="local", threads: int = 1, min_seconds: float = 0.25, quantization: str = "none"
) -> DeviceFacts:
    """Measures an almost empty model, and convolutions of 1 to 32 output channels.

    Args:
        target: where to measure.
        threads: threads of the runtime.
        min_seconds: seconds per file.
        quantization: of the files, as in ``convert``.

    Example:
        ``probe_device().channel_step`` is 16 on x86 with AVX-512.
    """
    files = {"empty": file_of_any_weights(_empty(), quantization)}
    files |= {str(count): file_of_any_weights(_convolution(count), quantization) for count in _COUNTS}
    stats = measure_interleaved(files, target=target, threads=threads, min_seconds=min_seconds)
    times = {count: stats[str(count)].p50 for count in _COUNTS}
    return DeviceFacts(stats["empty"].p50, channel_step(times), stats["empty"])


def file_of_any_weights(model, quantization: str = "none") -> bytes:
    """Returns the file of a model whose weights do not matter: unchecked, calibrated by random inputs.

    Args:
        model: a Keras model.
        quantization: as in ``convert``.
    """
    calibration = random_samples(input_specs(model), _SAMPLES) if quantization == "int8" else None
    return convert(model, quantization=quantization, calibration=calibration, force=True)


def channel_step(times: dict[int, float]) -> int | None:
    """Returns the largest channel count that takes as long as one channel; None if even 4 take longer.

    Args:
        times: {number of output channels: microseconds}, with an entry for 1.

    Example:
        >>> channel_step({1: 10.0, 4: 10.1, 8: 10.0, 16: 10.3, 32: 19.8})
        16
    """
    flat = [count for count, time in times.items() if time <= _FLAT * times[1]]
    step = max(flat)
    return step if 1 < step < max(times) else None


def _empty() -> keras.Model:
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)], name="empty")


def _convolution(count: int) -> keras.Model:
    layers = [keras.Input((14, 14, 32)), keras.layers.Conv2D(count, 3)]
    return keras.Sequential(layers, name=f"convolution_{count}")
