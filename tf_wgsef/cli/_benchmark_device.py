"""What ``tf-wgsef benchmark`` knows of one device, as a table, as JSON, and as the pages take it."""

import dataclasses

_COLUMNS = ("p50", "p90", "p99", "min", "load", "first_invoke", "runs")


@dataclasses.dataclass(eq=False)
class DeviceResult:
    """The files that took turns on one device.

    Attributes:
        target: the device's name.
        stats: a ``LatencyStats`` per file; empty if nothing was measured.
        error: why it stopped early; "" if it did not.
        bound: how much slower the second file may be; None if nobody asked.
        accuracies: the share of right answers per file, None where it could not be computed; () for none.
        accuracies_on: the target where they were computed.
        operators: whether times per operator were asked for.
    """

    target: str
    stats: list
    error: str = ""
    bound: float | None = None
    accuracies: tuple[float | None, ...] = ()
    accuracies_on: str = ""
    operators: bool = False

    def __post_init__(self):
        from tf_wgsef.measure import LatencyComparison, judge_slower

        self.comparison = self.verdict = None
        # Of a comparison that was cut short there may be too few rounds for an interval.
        if len(self.stats) == 2 and len(self.stats[0].round_medians) >= LatencyComparison.MIN_ROUNDS:
            self.comparison = LatencyComparison.from_stats(*self.stats)
            self.verdict = None if self.bound is None else judge_slower(self.comparison, self.bound)

    @property
    def failed(self) -> str:
        """Why the command must end with status 1; "" if it need not."""
        too_slow = self.verdict is not None and self.verdict.verdict == "failed"
        return " ".join(
            part for part in (self.error, f"{self.target}: {self.verdict.text}." if too_slow else "") if part
        )

    @property
    def device(self) -> str:
        """The device, its runtime and its warnings in one line."""
        first = self.stats[0]
        threads = f"{first.threads} thread{'s' if first.threads > 1 else ''}"
        caveat = max(self.stats, key=lambda one: (bool(one.slowdown), one.drift)).caveat
        machine = f"{first.machine.cpu}, {first.machine.architecture}, {first.runtime}"
        return f"{machine}, {threads}{caveat}"

    def notes(self) -> list[str]:
        """The lines below the table."""
        lines = [self.comparison.speedup_text] if self.comparison else []
        lines += [self.verdict.text] if self.verdict else []
        if self.accuracies and self.target != "local":
            lines.append(
                "accuracy was computed on the board, by its runtime"
                if self.accuracies_on == self.target
                else "accuracy was computed on this machine's runtime, not on the device: only "
                "benchmark_model runs there"
            )
        if self.operators and not any(one.operators for one in self.stats):
            why = self.stats[0].operators_by.removeprefix("none: ") or "this target tells none"
            lines.append(f"no times per operator: {why}; tf-wgsef latency-table measures layers on their own")
        elif self.operators:
            lines.append(f"operators by {next(one.operators_by for one in self.stats if one.operators)}")
        return lines

    def print_table(self, out) -> None:
        """Prints the table and the lines below it; nothing if nothing was measured."""
        from rich.table import Table
        from rich.text import Text

        from tf_wgsef.measure import one_line

        if not self.stats:
            return
        table = Table(title=Text(one_line(f"{self.target}: {self.device}", limit=500)), title_justify="left")
        table.add_column("microseconds")
        for name in _COLUMNS:
            table.add_column(name.replace("_", " "), justify="right")
        if self.accuracies:
            table.add_column("accuracy", justify="right")
        for index, one in enumerate(self.stats):
            cells = [_number(getattr(one, name)) for name in _COLUMNS]
            cells += [_share(self.accuracies[index])] if self.accuracies else []
            table.add_row(Text(one_line(one.name)), *cells)
        out.print(table)
        for one in self.stats:
            if one.operators:
                out.print(_operator_table(one))
        facts = "; ".join(f"{name} {text}" for name, text in self._facts().items())
        for line in (facts, *self.notes()):
            if line:
                out.print(Text(one_line(line, limit=1000)), soft_wrap=True)

    def _facts(self) -> dict[str, str]:
        """What else is known, in words."""
        delegates = {one_file.delegate: one_file.name for one_file in self.stats}
        told = next(iter(delegates)) if len(delegates) == 1 else None
        told = told or ", ".join(f"{delegate} ({name})" for delegate, name in delegates.items())
        return {"delegate": told, "governor": self.stats[0].machine.governor} | self.stats[0].conditions.facts

    def to_dict(self) -> dict:
        """Returns the values as plain Python, as docs/benchmark_schema.json describes them."""
        values = {"error": self.error} if self.error else {}
        if self.comparison:
            values |= self.comparison.to_dict()
        elif len(self.stats) == 2:
            values |= {"a": self.stats[0].to_dict(), "b": self.stats[1].to_dict()}
        elif self.stats:
            values |= self.stats[0].to_dict()
        if self.verdict:
            values["fail_above"] = dataclasses.asdict(self.verdict)
        if self.accuracies:
            values |= {"accuracies": list(self.accuracies), "accuracies_on": self.accuracies_on}
        return values

    def shown(self):
        """Returns the values as pages, pictures and files of samples take them."""
        from tf_wgsef.report import DeviceLatency, FileLatency

        accuracies = self.accuracies or (None,) * len(self.stats)
        pair = self.comparison
        return DeviceLatency(
            target=self.target,
            device=self.device,
            files=tuple(
                FileLatency(
                    name=one.name,
                    latency=one.to_dict(),
                    samples=one.samples,
                    accuracy=accuracy,
                    accuracy_on=self.accuracies_on,
                    operators=tuple(dataclasses.astuple(operator) for operator in one.operators),
                )
                for one, accuracy in zip(self.stats, accuracies, strict=True)
            ),
            interval=(pair.low, pair.ratio, pair.high) if pair else None,
            claimed=bool(pair and pair.differs),
            notes=tuple([*self.notes(), *([self.error] if self.error else [])]),
            facts=self.stats[0].conditions.facts,
        )


def _operator_table(stats):
    from rich.table import Table
    from rich.text import Text

    from tf_wgsef.measure import one_line

    table = Table(title=Text(one_line(f"operators of {stats.name}")), title_justify="left")
    for name in ("operator", "name", "microseconds", "share"):
        table.add_column(name, justify="left" if name in ("operator", "name") else "right")
    for one in stats.operators:
        words = (Text(one_line(text, limit=60)) for text in (one.kind, one.name))
        table.add_row(*words, f"{one.microseconds:.1f}", f"{one.share:.1%}")
    return table


def _share(value):
    return "-" if value is None else f"{value:.2%}"


def _number(value):
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.1f}"
