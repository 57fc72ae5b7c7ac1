"""Runs of several methods → means and deviations over the seeds."""

import dataclasses
import statistics
from collections.abc import Sequence

FIGURES = (
    "accuracy_before_cut",
    "accuracy_after_cut",
    "accuracy",
    "parameters",
    "macs",
    "file_bytes",
    "latency_us",
)
"""What a run may hold beside its settings; None or missing where it was not measured."""

REFERENCE = "dense"
"""The method that removes nothing."""


@dataclasses.dataclass(frozen=True)
class Spread:
    """A figure over the seeds.

    Attributes:
        mean: of the runs.
        deviation: the sample standard deviation; 0 for one run.
        values: each run's figure.
    """

    mean: float
    deviation: float
    values: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class MethodRow:
    """A method at one level, over its seeds.

    Attributes:
        method: its label, with the strength where several were run.
        level: share removed; 0 for the reference.
        seeds: of the runs.
        figures: {name of ``FIGURES``: Spread}, what was measured in all runs.
        shape: how many groups stay of each layer, ``"conv1=3,conv2=12"``; None where the level says it.
    """

    method: str
    level: float
    seeds: tuple[int, ...]
    figures: dict[str, Spread]
    shape: str | None = None


def method_rows(runs: Sequence[dict], labels: dict[str, str] | None = None) -> list[MethodRow]:
    """Puts the runs of each method and level together.

    Args:
        runs: rows with ``method``, ``level``, ``shape``, ``seed``, ``strength`` and ``FIGURES``.
        labels: {method: what tables call it}.

    Returns:
        A row per method and level or shape, levels ascending, methods in the order of the runs.

    Example:
        >>> run = {"method": "a", "level": 0.5}
        >>> row, = method_rows([{**run, "seed": seed, "accuracy": 0.9 + seed / 100} for seed in (0, 2)])
        >>> round(row.figures["accuracy"].mean, 3), row.seeds
        (0.91, (0, 2))
    """
    together: dict[tuple, list[dict]] = {}
    for run in runs:
        key = (run["level"], run.get("shape"), _label(run, runs, labels or {}))
        together.setdefault(key, []).append(run)
    order = list(dict.fromkeys(label for *_, label in together))
    return [
        MethodRow(label, level, tuple(run["seed"] for run in some), _figures(some), shape)
        for (level, shape, label), some in sorted(
            together.items(), key=lambda item: (item[0][0], item[0][1] or "", order.index(item[0][2]))
        )
    ]


def shape_label(shape: str | None) -> str:
    """What a table calls a shape: its numbers alone.

    Args:
        shape: such as ``"conv1=3,conv2=12"``, or None.

    Example:
        >>> shape_label("conv1=3,conv2=12")
        '3-12'
    """
    return "-".join(part.rpartition("=")[2] for part in (shape or "").split(","))


def best_methods(rows: Sequence[MethodRow], level: float, shape: str | None = None) -> list[str]:
    """Returns the methods within one standard deviation of the most accurate one at ``level``, it first.

    The deviation is the larger one of the two that are compared.

    Args:
        rows: as ``method_rows`` makes them.
        level: share removed.
        shape: that of the rows in question.
    """
    some = [row for row in rows if (row.level, row.shape) == (level, shape) and row.method != REFERENCE]
    some = sorted((row for row in some if "accuracy" in row.figures), key=_accuracy, reverse=True)
    if not some:
        return []
    first = some[0].figures["accuracy"]
    return [
        row.method
        for row in some
        if first.mean - _accuracy(row) <= max(first.deviation, row.figures["accuracy"].deviation)
    ]


def _accuracy(row: MethodRow) -> float:
    return row.figures["accuracy"].mean


def _label(run: dict, runs: Sequence[dict], labels: dict[str, str]) -> str:
    name = labels.get(run["method"], run["method"])
    strengths = {one.get("strength") for one in runs if one["method"] == run["method"]}
    strength = run.get("strength")
    return name if len(strengths) < 2 or strength is None else f"{name}, λ={strength:g}"


def _figures(runs: list[dict]) -> dict[str, Spread]:
    found = {}
    for name in FIGURES:
        values = [run.get(name) for run in runs]
        if None not in values:
            deviation = statistics.stdev(values) if len(values) > 1 else 0.0
            found[name] = Spread(statistics.fmean(values), deviation, tuple(values))
    return found
