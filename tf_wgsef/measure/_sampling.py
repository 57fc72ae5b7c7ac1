"""The timing loop: rounds, turns and clocks. It knows no file and no runtime, only ``invoke``."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from ._plan import SamplingPlan

# Share of a round's slice that a freshly loaded file runs untimed, after its first run: caches and
# branch predictors still hold what ran before it. In the default slice of 50 ms that is 5 ms, about
# 100 runs of a LeNet-5.
_SETTLE_SHARE = 0.1


class Loaded(Protocol):
    """A file that is loaded and has its inputs: it can be run."""

    def invoke(self) -> None:
        """Runs the file once."""


@dataclasses.dataclass
class FileSamples:
    """What was timed of one file, in microseconds.

    Attributes:
        rounds: one array of durations per round.
        loads: the time to load the file, one per round.
        first_invokes: the first run after loading, one per round.
    """

    rounds: list[np.ndarray] = dataclasses.field(default_factory=list)
    loads: list[float] = dataclasses.field(default_factory=list)
    first_invokes: list[float] = dataclasses.field(default_factory=list)


def sample_interleaved(
    loaders: Sequence[Callable[[], Loaded]],
    plan: SamplingPlan,
    *,
    progress: Callable[[float], None] | None = None,
    on_round: Callable[[int, FileSamples], None] | None = None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> list[FileSamples]:
    """Returns the timed runs of several files that took turns.

    Args:
        loaders: one function per file, which loads it afresh.
        plan: how long and how often.
        progress: called with the share done, in [0, 1].
        on_round: called after each turn with the number of the file and what was timed of it so far.
        clock: returns a time in nanoseconds.

    Returns:
        One ``FileSamples`` per loader, in their order; round ``i`` of each ran next to round ``i``
        of the others.

    Example:
        ``sample_interleaved([load_a, load_b], SamplingPlan(rounds=10))``
    """
    report = progress or (lambda share: None)
    for load in loaders:
        _run_for(load().invoke, plan.warmup_seconds, clock)
    samples = [FileSamples() for _ in loaders]
    for turn in range(plan.rounds):
        order = range(len(loaders)) if turn % 2 == 0 else reversed(range(len(loaders)))
        for done, index in enumerate(order):
            _time_round(loaders[index], samples[index], plan, clock)
            if on_round:
                on_round(index, samples[index])
            report((turn + (done + 1) / len(loaders)) / plan.rounds)
    return samples


def _time_round(load, samples, plan, clock):
    """Loads a file and appends one round of it to ``samples``."""
    start = clock()
    loaded = load()
    samples.loads.append((clock() - start) / 1e3)
    start = clock()
    loaded.invoke()
    samples.first_invokes.append((clock() - start) / 1e3)
    _run_for(loaded.invoke, _SETTLE_SHARE * plan.seconds_per_round, clock)
    durations = _time_runs(loaded.invoke, plan.runs_per_round, plan.seconds_per_round, clock)
    samples.rounds.append(np.array(durations, dtype="float64") / 1e3)


def _run_for(invoke, seconds, clock):
    """Runs untimed until ``seconds`` have passed."""
    end = clock() + seconds * 1e9
    while clock() < end:
        invoke()


def _time_runs(invoke, runs, seconds, clock):
    """Returns durations in nanoseconds: at least ``runs`` of them, over at least ``seconds``."""
    durations = []
    end = clock() + seconds * 1e9
    after = 0
    while after < end or len(durations) < runs:
        before = clock()
        invoke()
        after = clock()
        durations.append(after - before)
    return durations
