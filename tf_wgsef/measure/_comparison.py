"""How many times faster one file is than another, and whether to believe it."""

import dataclasses
import os
import pathlib
import typing
from collections.abc import Callable, Sequence

import numpy as np

from tf_wgsef.errors import InputError

from ._measure import measure_interleaved
from ._plan import SamplingPlan
from ._stats import LatencyStats
from ._targets import Target

# An interval for a median from fewer pairs than this cannot reach 99 %: by chance all pairs lie on
# one side of it in 2 * 0.5**8 = 0.8 % of the cases.
_MIN_ROUNDS = 8
# Of 10 000 resamples, 50 lie beyond each end of a 99 % interval: the ends repeat within a few percent
# of the interval's width.
_RESAMPLES = 10_000


@dataclasses.dataclass(frozen=True)
class LatencyComparison:
    """Two files that took turns in one run, and the ratio of their latencies.

    Attributes:
        a: the latency of the first file, the one before.
        b: the latency of the second file, the one after.
        ratio: how many times faster ``b`` is than ``a``: the median over the rounds of
            (median of ``a``) / (median of ``b``); 2 means that ``b`` takes half the time.
        low: lower end of the interval of ``ratio``.
        high: upper end of the interval of ``ratio``.
        confidence: of the interval, such as 0.99.
    """

    a: LatencyStats
    b: LatencyStats
    ratio: float
    low: float
    high: float
    confidence: float

    MIN_ROUNDS: typing.ClassVar[int] = _MIN_ROUNDS

    @classmethod
    def from_stats(
        cls, a: LatencyStats, b: LatencyStats, *, confidence: float = 0.99, seed: int = 0
    ) -> "LatencyComparison":
        """Returns the comparison of two results of one interleaved run.

        The interval is a percentile bootstrap (Efron and Tibshirani, 1993, ch. 13) over the rounds,
        which are resampled as pairs: runs within a round share the machine's state and one loaded
        copy of each file, so they are not independent, and rounds nearly are.

        Args:
            a: the latency of the file before.
            b: the latency of the file after.
            confidence: of the interval, in (0, 1).
            seed: seed of the resampling.

        Raises:
            InputError: if the two did not take turns in one run, or in too few rounds.

        Example:
            ``LatencyComparison.from_stats(stats["dense"], stats["small"]).ratio``
        """
        _check_confidence(confidence)
        rounds = len(a.round_medians)
        if a.session != b.session or rounds != len(b.round_medians):
            raise InputError(
                f"Expected two results of one interleaved run. Received: a={a.name!r} and "
                f"b={b.name!r} of different runs. Measure them with compare_latency(a, b)."
            )
        _check_rounds(rounds)
        ratios = np.divide(a.round_medians, b.round_medians)
        low, high = bootstrap_interval(ratios, confidence=confidence, seed=seed)
        return cls(a, b, float(np.median(ratios)), low, high, confidence)

    @property
    def differs(self) -> bool:
        """Whether a difference may be claimed: the interval does not contain 1, and nothing was throttled."""
        return not self.low <= 1 <= self.high and not self.throttled

    @property
    def throttled(self) -> bool:
        """Whether the machine slowed down too far to claim anything (``LatencyStats.throttled``)."""
        return self.a.throttled or self.b.throttled

    @property
    def speedup_text(self) -> str:
        """One line that claims a speed-up, a slow-down, or neither if ``differs`` is false."""
        percent = f"{100 * self.confidence:.4g}"
        a, b = self.a.name, self.b.name
        if not self.differs:
            text = (
                f"no difference between {a} and {b} can be claimed "
                f"(ratio {self.low:.3f}-{self.high:.3f}, {percent} % interval)"
            )
        elif self.ratio > 1:
            text = (
                f"{b} is {self.ratio:.2f}x faster than {a} "
                f"({self.low:.2f}-{self.high:.2f}, {percent} % interval)"
            )
        else:
            text = (
                f"{b} is {1 / self.ratio:.2f}x slower than {a} "
                f"({1 / self.high:.2f}-{1 / self.low:.2f}, {percent} % interval)"
            )
        return text + self.caveat

    @property
    def caveat(self) -> str:
        """What every report of this must say (``LatencyStats.caveat``), of the file that it struck most."""
        return max(self.a, self.b, key=lambda one: (bool(one.slowdown), one.drift)).caveat

    def to_dict(self, *, samples: bool = False) -> dict:
        """Returns the values as plain Python, ready for JSON.

        Args:
            samples: whether to add all timed runs of both files.

        Example:
            ``json.dumps(comparison.to_dict())``
        """
        return {
            "ratio": self.ratio,
            "low": self.low,
            "high": self.high,
            "confidence": self.confidence,
            "differs": self.differs,
            "throttled": self.throttled,
            "text": self.speedup_text,
            "a": self.a.to_dict(samples=samples),
            "b": self.b.to_dict(samples=samples),
        }

    @classmethod
    def from_dict(cls, values: dict) -> "LatencyComparison":
        """Returns the comparison that ``to_dict`` wrote.

        Args:
            values: what ``to_dict`` returned.

        Raises:
            InputError: if a value is missing.

        Example:
            ``LatencyComparison.from_dict(json.loads(text))``
        """
        names = ("a", "b", "ratio", "low", "high", "confidence")
        missing = [name for name in names if name not in values]
        if missing:
            raise InputError(
                f"Expected what LatencyComparison.to_dict() wrote. Received: missing values "
                f"{missing}. Compare the files again."
            )
        plain = {name: values[name] for name in names[2:]}
        a, b = (LatencyStats.from_dict(values[name]) for name in ("a", "b"))
        return cls(a=a, b=b, **plain)

    def __str__(self):
        return self.speedup_text


def compare_latency(
    a: bytes | str | os.PathLike,
    b: bytes | str | os.PathLike,
    *,
    names: tuple[str, str] | None = None,
    target: str | Target = "local",
    preset: str = "normal",
    threads: int = SamplingPlan.threads,
    min_runs: int | None = None,
    min_seconds: float | None = None,
    warmup_seconds: float | None = None,
    rounds: int | None = None,
    seed: int = SamplingPlan.seed,
    operators: bool = False,
    confidence: float = 0.99,
    progress: Callable[[float], None] | None = None,
) -> LatencyComparison:
    """Returns how many times faster ``b`` is than ``a``; both take turns in one run (A-B-B-A).

    Args:
        a: the bytes or path of the file before.
        b: the bytes or path of the file after.
        names: what reports call the two; by default the file names of two paths if they differ, else a and b.
        target: where to run them; "local" is this machine, "ssh://user@host" a board,
            or a ``Target``.
        preset: "quick", "normal" or "mlperf", as in ``SamplingPlan.from_preset``; what is passed below
            replaces the preset's setting, None keeps it.
        threads: threads that the runtime may use.
        min_runs: the least number of timed runs of each file.
        min_seconds: seconds that each file's timing loop takes at least.
        warmup_seconds: seconds of untimed runs of each file at the start.
        rounds: how often the files take turns, at least 8; each is loaded afresh in each round.
        seed: seed of the random inputs and of the bootstrap.
        operators: as in ``measure``.
        confidence: of the interval of the ratio, in (0, 1).
        progress: called with the share done, in [0, 1].

    Raises:
        InputError: if an argument or a file is not what was expected.
        MeasurementError: if a file cannot be run.

    Example:
        ``print(compare_latency("dense.tflite", "small.tflite"))``
    """
    _check_confidence(confidence)
    names = _names_of(a, b) if names is None else names
    _check_names(names)
    plan = SamplingPlan.from_preset(
        preset,
        threads=threads,
        min_runs=min_runs,
        min_seconds=min_seconds,
        warmup_seconds=warmup_seconds,
        rounds=rounds,
        seed=seed,
        operators=operators,
    )
    _check_rounds(plan.rounds)
    stats = measure_interleaved(
        dict(zip(names, (a, b), strict=True)),
        target=target,
        progress=progress,
        **dataclasses.asdict(plan),
    )
    first, second = (stats[name] for name in names)
    return LatencyComparison.from_stats(first, second, confidence=confidence, seed=seed)


def bootstrap_interval(values: Sequence[float], *, confidence: float, seed: int) -> tuple[float, float]:
    """Returns the percentile-bootstrap interval of the median of ``values``.

    Args:
        values: independent values, ``(n,)``.
        confidence: of the interval, in (0, 1).
        seed: seed of the resampling.

    Returns:
        The lower and the upper end.

    Example:
        ``bootstrap_interval([1.9, 2.0, 2.1], confidence=0.95, seed=0)``
    """
    values = np.asarray(values, dtype="float64")
    rng = np.random.default_rng(seed)
    picks = rng.integers(0, values.size, (_RESAMPLES, values.size))
    medians = np.median(values[picks], axis=1)
    low, high = np.quantile(medians, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _check_confidence(confidence):
    if isinstance(confidence, bool) or not isinstance(confidence, float) or not 0 < confidence < 1:
        raise InputError(f"Expected `confidence` in (0, 1). Received: confidence={confidence!r}. Pass 0.99.")


def _check_rounds(rounds):
    if rounds < _MIN_ROUNDS:
        raise InputError(
            f"Expected at least {_MIN_ROUNDS} rounds, as the interval needs. Received: "
            f"rounds={rounds!r}. Pass rounds=30."
        )


def _names_of(a, b):
    if all(isinstance(one, str | os.PathLike) for one in (a, b)):
        names = (pathlib.Path(a).name, pathlib.Path(b).name)
        if names[0] != names[1]:
            return names
    return "a", "b"


def _check_names(names):
    if len(names) != 2 or names[0] == names[1]:
        raise InputError(
            f'Expected two different `names`. Received: names={names!r}. Pass ("dense", "small").'
        )
