"""How long and how often files are run: the settings of one measurement."""

import dataclasses
import numbers

from tf_wgsef.errors import InputError
from tf_wgsef.validation import check_non_negative, check_positive_int


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

    def __post_init__(self):
        for name in ("threads", "min_runs", "rounds"):
            check_positive_int(name, getattr(self, name))
        for name in ("min_seconds", "warmup_seconds"):
            check_non_negative(name, getattr(self, name))
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

    @property
    def runs_per_round(self) -> int:
        """The least number of timed runs of a file in one round."""
        return -(-self.min_runs // self.rounds)

    @property
    def seconds_per_round(self) -> float:
        """Seconds that a file's timing loop takes at least in one round."""
        return self.min_seconds / self.rounds
