"""Times of single layers and of whole models on one device."""

from tf_wgsef.measure import LatencyStats, measure_interleaved
from tf_wgsef.workflows._device import file_of_any_weights, probe_device
from tf_wgsef.workflows.latency._cache import LatencyCache, device_words
from tf_wgsef.workflows.latency._layers import MeasuredLayer

_AT_A_TIME = 24
"""Files that take turns: enough for a slow moment to slow all of them, few enough to keep in memory."""


class DeviceTimes:
    """Measures on one device, and tells how far it has come.

    Attributes:
        channel_step: output channels that the runtime computes at a time; None if no step showed.
        fixed: microseconds of an almost empty file.
        words: the device, for people.

    Args:
        target: where to measure.
        threads: threads of the runtime.
        quantization: of the files.
        seconds: how long each file is run.
        cache: of the times of layers.
        tell: called with the share done and what is being done.
    """

    def __init__(self, target, threads: int, quantization: str, seconds: float, cache: LatencyCache, tell):
        self._options = {"target": target, "threads": threads, "min_seconds": seconds}
        self._options |= {"rounds": 5, "warmup_seconds": seconds / 5}
        self._quantization, self._cache, self._tell = quantization, cache, tell
        tell(0.0, "the device")
        facts = probe_device(target=target, threads=threads, quantization=quantization)
        self.channel_step, self.fixed = facts.channel_step, facts.fixed_cost_us
        self._stats: LatencyStats = facts.stats
        self.words = device_words(facts.stats)
        self.words += facts.stats.caveat

    def of_layers(self, wanted: list[tuple[MeasuredLayer, tuple[int, int]]]) -> dict[str, float]:
        """Returns {key: microseconds}; measured where the cache has none.

        Args:
            wanted: pairs of a layer and its (input, output) channels.
        """
        cached = self._cache.read(self._stats)
        known = {layer.key(*size): (layer, size) for layer, size in wanted}
        times = {key: cached[self._named(key)] for key in known if self._named(key) in cached}
        todo = [key for key in known if key not in times]
        for start in range(0, len(todo), _AT_A_TIME):
            files = {}
            for index, key in enumerate(todo[start : start + _AT_A_TIME]):
                layer, size = known[key]
                self._tell(0.9 * (start + 0.8 * index) / len(todo), layer.call.name)
                files[key] = self._file(layer.model(*size))
            found = {
                key: undisturbed(one) for key, one in measure_interleaved(files, **self._options).items()
            }
            self._cache.add(self._stats, {self._named(key): time for key, time in found.items()})
            times |= found
        return times

    def of_models(self, models) -> list[float]:
        """Returns the microseconds of whole models, which take turns."""
        self._tell(0.9, "the whole model in several shapes")
        files = {str(number): self._file(model) for number, model in enumerate(models)}
        self._tell(0.97, "the whole model in several shapes")
        return [undisturbed(one) for one in measure_interleaved(files, **self._options).values()]

    def _named(self, key: str) -> str:
        return f"{self._quantization} {key}"

    def _file(self, model) -> bytes:
        return file_of_any_weights(model, self._quantization)


def undisturbed(stats: LatencyStats) -> float:
    """Returns the median of the fastest round: other work on the device only ever adds time.

    Args:
        stats: a measurement.
    """
    return min(stats.round_medians)
