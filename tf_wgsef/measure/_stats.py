"""A measured latency as a value: percentiles, and everything that says what they are worth."""

import dataclasses
import datetime

import numpy as np

from tf_wgsef.errors import InputError

from ._conditions import Conditions
from ._machine import Machine
from ._model_file import ModelFile
from ._sampling import FileSamples
from ._tool_profile import Operator

_PERCENTILES = (50, 90, 95, 99)
# What may be missing: raw samples take much room, and earlier versions did not know the others.
_NOT_ALWAYS = {"samples", "conditions", "round_runs", "operators", "operators_by"}
# The rounds of an otherwise idle machine stay within a few percent; a busy one moves by ten and more, which
# the pairing of rounds cancels. Beyond a quarter the two files met different machines.
_NOTED, _CLAIMED = 1.1, 1.25
_MACHINE_FIELDS = {field.name for field in dataclasses.fields(Machine)}


@dataclasses.dataclass(frozen=True)
class LatencyStats:
    """The latency of one file on one target; every time is in microseconds.

    A run is timed from Python, so each contains the call itself: about 0.3 microseconds on x86. What a
    native tool times and does not tell run by run is None.

    Attributes:
        name: what reports call the file.
        p50: the median of all timed runs; ``p90``, ``p95`` and ``p99`` likewise.
        min: the fastest run.
        max: the slowest run.
        mean: the mean of all runs.
        std: their standard deviation (of the runs themselves, not of the mean).
        runs: the number of timed runs.
        load: the time to load the file and allocate its tensors, median over the rounds.
        first_invoke: the first run after loading, median over the rounds; not among the timed runs.
        threads: threads that the runtime could use.
        target: where it ran, such as "local".
        runtime: the runtime's name and version.
        delegate: what ran the operators, as far as the runtime tells.
        machine: the machine.
        sha256: of the file's content.
        file_bytes: the file's size.
        date: when the measurement ended, UTC, ISO 8601.
        session: one random name for all files that took turns in one run.
        round_medians: the median of each round, ``(rounds,)``.
        conditions: temperature, clock, cores and memory, before and after, where the system shows them.
        operators: the ten operators that took most time, if they were asked for and something tells.
        operators_by: what told them and from which runs, or why there are none; "" if nobody asked.
        round_runs: the runs of each round in ``samples``, ``(rounds,)``; empty where they are not told.
        samples: all timed runs in order, ``(runs,)``; empty when read back without them.
    """

    name: str
    p50: float
    p90: float | None
    p95: float | None
    p99: float | None
    min: float | None
    max: float | None
    mean: float
    std: float | None
    runs: int | None
    load: float | None
    first_invoke: float | None
    threads: int
    target: str
    runtime: str
    delegate: str
    machine: Machine
    sha256: str
    file_bytes: int
    date: str
    session: str
    round_medians: tuple[float, ...] = dataclasses.field(repr=False)
    conditions: Conditions = Conditions()
    operators: tuple[Operator, ...] = dataclasses.field(default=(), repr=False)
    operators_by: str = dataclasses.field(default="", repr=False)
    round_runs: tuple[int, ...] = dataclasses.field(default=(), repr=False)
    samples: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0), repr=False, compare=False)

    @classmethod
    def from_samples(cls, file: ModelFile, timed: FileSamples, **context) -> "LatencyStats":
        """Returns the statistics of ``timed``.

        Args:
            file: the file that ran.
            timed: its runs, at least one.
            **context: ``threads``, ``target``, ``runtime``, ``delegate``, ``machine``, ``session``,
                ``conditions``.

        Example:
            ``LatencyStats.from_samples(file, timed, threads=1, target="local", ...)``
        """
        samples = np.concatenate(timed.rounds)
        percentiles = np.percentile(samples, _PERCENTILES)
        return cls(
            **_identity(file),
            **{f"p{q}": float(v) for q, v in zip(_PERCENTILES, percentiles, strict=True)},
            min=float(samples.min()),
            max=float(samples.max()),
            mean=float(samples.mean()),
            std=float(samples.std()),
            runs=samples.size,
            load=float(np.median(timed.loads)),
            first_invoke=float(np.median(timed.first_invokes)),
            round_medians=tuple(float(np.median(one)) for one in timed.rounds),
            round_runs=tuple(one.size for one in timed.rounds),
            samples=samples,
            **context,
        )

    @classmethod
    def from_summary(cls, file: ModelFile, **values) -> "LatencyStats":
        """Returns statistics that something else has summed up; p90, p95 and p99 are unknown.

        Args:
            file: the file that ran.
            **values: all other fields but ``samples`` and those that follow from the file and the clock.
        """
        unknown = {f"p{q}": None for q in _PERCENTILES}
        return cls(**(unknown | _identity(file) | values))

    @property
    def drift(self) -> float:
        """Median of the last third of the rounds over that of the first third.

        Above 1 the machine slowed down meanwhile (heat, other work): percentiles mix two speeds.
        """
        third = max(1, len(self.round_medians) // 3)
        return float(np.median(self.round_medians[-third:]) / np.median(self.round_medians[:third]))

    @property
    def slowdown(self) -> str:
        """What the reader must know of a machine that slowed down while it measured; "" if it did not.

        It is said from a ``drift`` of 1.1 on, and where the system itself says that it was too hot.
        """
        if self.conditions.throttled:
            return "the system slowed its processor for heat"
        return f"the machine slowed down by {self.drift - 1:.0%} meanwhile" if self.drift > _NOTED else ""

    @property
    def throttled(self) -> bool:
        """Whether it slowed down so far that no speed-up may be claimed: ``drift`` above 1.25, or by heat."""
        return self.conditions.throttled or self.drift > _CLAIMED

    @property
    def caveat(self) -> str:
        """What every report of this must say: "", that the machine was emulated, or that it slowed down."""
        emulated = "; emulated: proves function, not speed" if self.machine.emulated else ""
        return emulated + (f"; {self.slowdown}" if self.slowdown else "")

    def to_dict(self, *, samples: bool = False) -> dict:
        """Returns the values as plain Python, ready for JSON.

        Args:
            samples: whether to add all timed runs (a LeNet-5 has tens of thousands).

        Example:
            ``json.dumps(stats.to_dict())``
        """
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        values["machine"] = dataclasses.asdict(self.machine)
        values["conditions"] = dataclasses.asdict(self.conditions)
        values["round_medians"] = list(self.round_medians)
        values["round_runs"] = list(self.round_runs)
        values["operators"] = [dataclasses.asdict(one) for one in self.operators]
        values["samples"] = self.samples.tolist()
        if not samples:
            del values["samples"]
        return {"unit": "microseconds", **values}

    @classmethod
    def from_dict(cls, values: dict) -> "LatencyStats":
        """Returns the statistics that ``to_dict`` wrote.

        Args:
            values: what ``to_dict`` returned.

        Raises:
            InputError: if a value is missing, unknown or of another unit.

        Example:
            ``LatencyStats.from_dict(json.loads(text))``
        """
        known = {field.name for field in dataclasses.fields(cls)}
        wrong = sorted((set(values) ^ (known | {"unit"})) - _NOT_ALWAYS)
        wrong += [f"machine.{name}" for name in set(values.get("machine", ())) - _MACHINE_FIELDS]
        if wrong or values.get("unit") != "microseconds":
            raise InputError(
                f"Expected what LatencyStats.to_dict() wrote. Received: "
                f"unit={values.get('unit')!r}, missing or unknown values {wrong}. Measure again."
            )
        values = {name: value for name, value in values.items() if name in known}
        values["machine"] = Machine(**values["machine"])
        if "conditions" in values:  # measurements of earlier versions have none
            values["conditions"] = Conditions.from_dict(values["conditions"])
        values["round_medians"] = tuple(values["round_medians"])
        values["round_runs"] = tuple(values.get("round_runs", ()))
        values["operators"] = tuple(Operator.from_dict(one) for one in values.get("operators", ()))
        values["samples"] = np.array(values.get("samples", ()), dtype="float64")
        return cls(**values)

    def __str__(self):
        known = [(f"p{q}", getattr(self, f"p{q}")) for q in (50, 90, 99)]
        figures = ", ".join(f"{name} {value:.1f} us" for name, value in known if value is not None)
        runs = f"{self.runs} runs, " if self.runs else ""
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.name}: {figures} ({runs}{threads}, {self.target}, {self.runtime}){self.caveat}"


def _identity(file):
    return {
        "name": file.name,
        "sha256": file.sha256,
        "file_bytes": len(file.content),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }
