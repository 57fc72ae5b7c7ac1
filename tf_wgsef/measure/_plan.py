"""How long and how often files are run: the settings of one measurement."""

import dataclasses
import numbers

from tf_wgsef.errors import InputError
from tf_wgsef.validation import check_non_negative, check_positive_int

PRESETS = {
    # Enough for a glance: the interval of a comparison needs 8 rounds.
    "quick": {"min_runs": 20, "min_seconds": 0.3, "warmup_seconds": 0.1, "rounds": 10},
    "normal": {},
    # MLPerf Mobile's single stream: at least 1 024 samples and 60 s, judged by the 90th percentile.
    "mlperf": {"min_runs": 1024, "min_seconds": 60.0, "warmup_seconds": 2.0},
}


@dataclasses.dataclass(frozen=True)
class SamplingPlan:
    """How long one measurement runs: each file gets both ``min_runs`` and ``min_seconds``.

    The defaults are tuned on LeNet-5 files of 8 to 45 microseconds on two shared x86 cores: about
    2 s per file, and a median that repeats within 3 %.

    Attributes:
        threads: threads that the runtime may use.
        min_runs: the least number of timed runs of each file, over all rounds.
        min_seconds: seconds that each file's timing loop takes at least, over all rounds.
        warmup_seconds: seconds of untimed runs of each file before the first round.
        rounds: how often the files take turns; each is loaded afresh in each round.
        seed: seed of the random inputs.
        operators: whether to ask for times per operator, from runs of their own.

    Raises:
        InputError: if a number is out of range.

    Example:
        ``SamplingPlan(threads=2, min_seconds=10)``
    """

    threads: int = 1
    min_runs: int = 100
    min_seconds: float = 1.5
    warmup_seconds: float = 0.3
    rounds: int = 30
    seed: int = 0
    operators: bool = False

    def __post_init__(self):
        for name in ("threads", "min_runs", "rounds"):
            check_positive_int(name, getattr(self, name))
        for name in ("min_seconds", "warmup_seconds"):
            check_non_negative(name, getattr(self, name))
        if not isinstance(self.operators, bool):
            raise InputError(
                f"Expected `operators` as True or False. Received: operators={self.operators!r}."
            )
        whole = isinstance(self.seed, numbers.Integral) and not isinstance(self.seed, bool)
        if not whole or self.seed < 0:
            raise InputError(
                f"Expected `seed` to be a whole number of at least 0. Received: seed={self.seed!r}."
            )
        if self.min_seconds == 0:
            raise InputError(
                f"Expected `min_seconds` above 0. Received: min_seconds={self.min_seconds!r}. "
                f"Pass 1.5, or more for steadier percentiles."
            )

    @classmethod
    def from_preset(cls, preset: str = "normal", **given) -> "SamplingPlan":
        """Returns the plan of this name, with the settings that are given instead of its own.

        Args:
            preset: "quick" (a glance: 0.3 s per file, 10 rounds), "normal" (the defaults), or "mlperf" (at
                least 1 024 runs and 60 s per file, as MLPerf Mobile asks for its 90th percentile; not its
                rules for temperature, batteries and data, so no MLPerf result).
            **given: settings of the plan; None leaves the preset's.

        Raises:
            InputError: if there is no such preset, or a number is out of range.

        Example:
            >>> SamplingPlan.from_preset("mlperf", rounds=10, threads=None).runs_per_round
            103
        """
        if not isinstance(preset, str) or preset not in PRESETS:
            raise InputError(
                f"Expected `preset` to be one of {', '.join(PRESETS)}. Received: preset={preset!r}."
            )
        return cls(**PRESETS[preset] | {name: value for name, value in given.items() if value is not None})

    @property
    def runs_per_round(self) -> int:
        """The least number of timed runs of a file in one round."""
        return -(-self.min_runs // self.rounds)

    @property
    def seconds_per_round(self) -> float:
        """Seconds that a file's timing loop takes at least in one round."""
        return self.min_seconds / self.rounds
