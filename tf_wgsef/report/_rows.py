"""Values → the cells that the terminal table and the page both show, each with its change."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

from tf_wgsef.report import _format
from tf_wgsef.report._values import Comparison, LayerRow, Report, Variant

NO_CLAIM = "no difference shown"
# Entries of a latency that are microseconds without saying so in their name.
_TIMES = {"p50", "p90", "p95", "p99", "min", "max", "mean", "std", "load", "first_invoke"}
_SAID_ELSEWHERE = {"name", "unit", "file_bytes"}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One number as text.

    Attributes:
        value: the number with its unit, "–" if unknown.
        change: what became of it, compared with the baseline; may be empty.
        tone: "good", "bad" or "", for its colour.
    """

    value: str
    change: str = ""
    tone: str = ""


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a table: clean name, clean detail in small letters, and its cells."""

    name: str
    detail: str
    cells: tuple[Cell, ...]
    note: str = ""


VARIANT_HEADERS = ("Parameters", "MACs", "File", "Latency p50", "Accuracy")


def variant_rows(report: Report) -> list[Row]:
    """Returns one row per variant, its cells under :data:`VARIANT_HEADERS`."""
    base = report.baseline
    return [
        Row(
            _format.clean(variant.name),
            _format.clean(variant.accuracy_on),
            (
                _cost(_format.count, base.parameters, variant.parameters, variant is base),
                _cost(_format.count, base.macs, variant.macs, variant is base),
                _cost(_format.size, base.file_bytes, variant.file_bytes, variant is base),
                _latency(report, variant),
                _accuracy(base.accuracy, variant.accuracy, variant is base),
            ),
        )
        for variant in report.variants
    ]


def accuracy_data(report: Report) -> tuple[str, ...]:
    """Returns what the accuracies were taken on, each name of data once."""
    known = [item.accuracy_on for item in report.variants if item.accuracy is not None]
    return tuple(dict.fromkeys(_format.clean(name) for name in known if name))


def layer_headers(report: Report) -> tuple[str, ...]:
    """Returns the headers of :func:`layer_rows`; latency only where a layer was profiled."""
    profiled = any(_profiled(layer) for layer in report.layers)
    return ("Channels", "Parameters", "MACs") + (("Latency",) if profiled else ())


def layer_rows(report: Report) -> list[Row]:
    """Returns one row per layer and, last, their total; cells under :func:`layer_headers`."""
    if not report.layers:
        return []
    profiled = len(layer_headers(report)) > 3
    return [_layer_row(layer, profiled) for layer in (*report.layers, _total(report.layers))]


def comparison_rows(report: Report) -> list[Row]:
    """Returns one row per comparison: ratio with its interval, and what may be said of it."""
    return [
        Row(
            f"{_format.clean(pair.b)} vs {_format.clean(pair.a)}",
            _format.clean(pair.note),
            (
                Cell(claim(pair), tone=_claim_tone(pair)),
                Cell(f"{pair.ratio:.3f}"),
                Cell(f"{pair.low:.3f} – {pair.high:.3f}"),
                Cell(f"{100 * pair.confidence:.4g} %"),
            ),
        )
        for pair in report.comparisons
    ]


COMPARISON_HEADERS = ("Result", "Ratio of latencies", "Interval", "Confidence")


def latency_rows(report: Report) -> list[Row]:
    """Returns one row per figure of the latencies, one cell per variant that was measured."""
    latencies = [_flat(variant.latency) for variant in measured_variants(report)]
    keys = dict.fromkeys(key for latency in latencies for key in latency)
    return [
        Row(_latency_label(key), "", tuple(_latency_cell(key, item.get(key)) for item in latencies))
        for key in keys
    ]


def measured_variants(report: Report) -> list[Variant]:
    """Returns the variants that have a latency."""
    return [variant for variant in report.variants if variant.latency]


def environment_rows(report: Report) -> list[Row]:
    """Returns one row per entry of the environment."""
    return [
        Row(_format.clean(key).replace("_", " "), "", (Cell(_format.plain(value)),))
        for key, value in report.environment.items()
    ]


def proof(report: Report) -> str:
    """Returns what stripping did to the outputs in one sentence, empty if it was not recorded."""
    if report.max_abs_diff is None:
        return ""
    if not report.output_range:
        return f"Largest output difference after stripping: {report.max_abs_diff:.2g}."
    part = report.max_abs_diff / report.output_range
    return (
        f"Largest output difference after stripping: {report.max_abs_diff:.2g}, "
        f"that is {part:.1e} of the output range {report.output_range:.3g}."
    )


def claim(pair: Comparison) -> str:
    """Returns "5.2× faster", or that no difference was shown where none may be claimed."""
    return _format.speed_up(pair.ratio) if pair.differs else NO_CLAIM


def _claim_tone(pair: Comparison) -> str:
    if not pair.differs:
        return ""
    return "good" if pair.ratio > 1 else "bad"


def _cost(
    show: Callable[[float | None], str],
    before: float | None,
    after: float | None,
    is_base: bool = False,
) -> Cell:
    if is_base or before is None or after is None:
        return Cell(show(after))
    tone = "good" if after < before else "bad" if after > before else ""
    return Cell(show(after), _format.change(before, after), tone)


def _latency(report: Report, variant: Variant) -> Cell:
    value = _format.duration(variant.p50_us)
    pair = report.comparison(report.baseline.name, variant.name)
    if pair is None:
        return Cell(value)
    return Cell(value, claim(pair), _claim_tone(pair))


def _accuracy(before: float | None, after: float | None, is_base: bool) -> Cell:
    if is_base or before is None or after is None:
        return Cell(_format.percent(after))
    tone = "good" if after > before else "bad" if after < before else ""
    return Cell(_format.percent(after), _format.points(before, after), tone)


def _profiled(layer: LayerRow) -> bool:
    return layer.latency_us_before is not None or layer.latency_us_after is not None


def _layer_row(layer: LayerRow, profiled: bool) -> Row:
    cells = [
        _before_after(_exact, layer.channels_before, layer.channels_after),
        _before_after(_format.count, layer.parameters_before, layer.parameters_after),
        _before_after(_format.count, layer.macs_before, layer.macs_after),
    ]
    if profiled:
        times = layer.latency_us_before, layer.latency_us_after
        cells.append(dataclasses.replace(_before_after(_format.duration, *times), change=""))
    name, kind, note = (_format.clean(text) for text in (layer.name, layer.kind, layer.note))
    return Row(name, kind, tuple(cells), note)


def _before_after(show: Callable[[float | None], str], before: float | None, after: float | None) -> Cell:
    if before is None and after is None:
        return Cell(_format.MISSING)
    if before == after:
        return Cell(show(after))
    cell = _cost(show, before, after)
    return dataclasses.replace(cell, value=f"{show(before)} → {show(after)}")


def _exact(value: float | None) -> str:
    return _format.MISSING if value is None else f"{value:.0f}"


def _total(layers: Iterable[LayerRow]) -> LayerRow:
    layers = list(layers)
    known = all(
        layer.latency_us_before is not None and layer.latency_us_after is not None for layer in layers
    )
    names = ["parameters_before", "parameters_after", "macs_before", "macs_after"]
    names += ["latency_us_before", "latency_us_after"] if known else []
    sums = {name: sum(getattr(layer, name) for layer in layers) for name in names}
    return LayerRow(name="Total", kind="", **sums)


def _flat(latency: dict[str, Any]) -> dict[str, Any]:
    """Returns the latency with what it nests (the machine) beside the rest, and no repetitions."""
    flat = {}
    for key, value in latency.items():
        if isinstance(value, dict):
            flat.update({f"{key} {name}": item for name, item in value.items()})
        elif key not in _SAID_ELSEWHERE:
            flat[key] = value
    return flat


def _latency_label(key: str) -> str:
    label = _format.clean(key)
    return label.removesuffix("_us").replace("_", " ")


def _latency_cell(key: str, value: Any) -> Cell:
    is_number = isinstance(value, float | int) and not isinstance(value, bool)
    is_time = key in _TIMES or key.endswith("_us")
    if is_time and is_number and value >= 0:
        return Cell(_format.duration(value))
    if isinstance(value, list) and len(value) > 8:
        return Cell(f"{len(value)} values, see report.json")
    return Cell(_format.plain(value))
