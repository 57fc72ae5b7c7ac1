"""Under which conditions a latency was measured, and whether they changed meanwhile."""

import dataclasses

from tf_wgsef.errors import InputError

from ._reading import Reading

PYTHON_MEMORY = "the whole Python process: interpreter, libraries, inputs and every file it has loaded"
TOOL_MEMORY = "benchmark_model: what it grew by since it started"


@dataclasses.dataclass(frozen=True)
class Conditions:
    """What the system showed before the first and after the last round.

    Attributes:
        before: before the first round.
        after: after the last one; all unknown if the measurement was cut short.
        memory_of: whose ``peak_memory`` it is, in words; "" if it is unknown.
    """

    before: Reading = Reading()
    after: Reading = Reading()
    memory_of: str = ""

    @property
    def throttled(self) -> bool:
        """Whether the system says that it slowed the processor for its heat, before, after or meanwhile."""
        events = (self.before.throttle_events, self.after.throttle_events)
        more = None not in events and events[1] > events[0]
        return bool(self.before.throttled or self.after.throttled or more)

    @property
    def facts(self) -> dict[str, str]:
        """What is known, in words, for tables and pages."""
        first, last = self.before, self.after
        cores = " ".join(map(str, first.cores[:16])) + (" ..." if len(first.cores) > 16 else "")
        memory = last.peak_memory and f"{last.peak_memory / 1e6:.1f} MB ({self.memory_of})"
        shown = {
            "temperature": _change(first.temperature, last.temperature, "degrees C"),
            "frequency": _change(first.megahertz, last.megahertz, "MHz"),
            "throttled by the system": "yes" if self.throttled else first.throttled is False and "no",
            "cores": cores,
            "peak memory": memory,
        }
        return {name: text for name, text in shown.items() if text}

    @classmethod
    def from_dict(cls, values: dict) -> "Conditions":
        """Returns the conditions that ``dataclasses.asdict`` made.

        Args:
            values: the dict.

        Raises:
            InputError: if it is anything else.

        Example:
            >>> Conditions.from_dict(dataclasses.asdict(Conditions())) == Conditions()
            True
        """
        whole = isinstance(values, dict) and set(values) == {"before", "after", "memory_of"}
        readings = [Reading.from_dict(values[name]) for name in ("before", "after")] if whole else [None]
        if None in readings or not isinstance(values["memory_of"], str):
            raise InputError(
                "Expected the conditions that LatencyStats.to_dict() wrote. Received: other values. "
                "Measure again."
            )
        return cls(*readings, values["memory_of"])


def _change(before, after, unit):
    known = [f"{value:.0f}" for value in (before, after) if value is not None]
    return f"{' -> '.join(known)} {unit}" if known else ""
