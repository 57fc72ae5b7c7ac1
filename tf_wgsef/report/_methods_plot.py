"""The comparison of methods as a picture: accuracy against MACs and against latency."""

import io
import math
from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from tf_wgsef.report import _format
from tf_wgsef.report._methods import MethodRow
from tf_wgsef.report._theme import BASELINE, Theme, colour, style

_COSTS = (("macs", "MACs", _format.count), ("latency_us", "Latency p50", _format.duration))
_MARKERS = "osD^vPX*"
_COLUMNS = 3
"""Names beside each other under a plot, where they are short."""

_WIDTH, _HEIGHT, _ROWS = 5.6, 4.2, 3
"""Inches of a plot with so many rows of names under it; with more it is taller."""

_LETTER, _LINE, _SIGN = 0.075, 0.2, 0.7
"""Inches of the legend: a letter's width, a row's height, a marker's width with the space around it."""

_LONGEST = 40


def render_methods_png(rows: Sequence[MethodRow], *, dark: bool = False, dpi: int = 130) -> bytes:
    """Returns the picture as the bytes of a PNG file: means, with bars of one standard deviation.

    Args:
        rows: as ``method_rows`` makes them.
        dark: for a dark page.
        dpi: dots per inch.
    """
    theme = Theme.of(dark)
    with matplotlib.rc_context(style(theme)):
        figure, buffer = methods_figure(rows, theme), io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def methods_figure(rows: Sequence[MethodRow], theme: Theme) -> Figure:
    """Returns the picture as a figure of matplotlib.

    Args:
        rows: as ``method_rows`` makes them.
        theme: its colours.
    """
    costs = [cost for cost in _COSTS if any(cost[0] in row.figures for row in rows)] or [_COSTS[0]]
    methods = list(dict.fromkeys(row.method for row in rows if row.level))
    figure = Figure(figsize=(_WIDTH * len(costs), _HEIGHT), layout="constrained")
    FigureCanvasAgg(figure)
    named: dict = {}
    for number, (name, label, show) in enumerate(costs):
        axes = figure.add_subplot(1, len(costs), number + 1)
        for method, sign in _draw(axes, rows, name, methods, theme).items():
            named.setdefault(method, sign)
        axes.set_title(f"Accuracy against {label}")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _, show=show: show(value)))
        axes.set_xlabel(label)
    _draw_legend(figure, named)
    return figure


def _draw(axes: Axes, rows: Sequence[MethodRow], cost: str, methods: list[str], theme: Theme) -> dict:
    """Draws what can stand on an axis of logarithms; returns {method: what the legend shows of it}."""
    shown = [row for row in rows if _can_be_drawn(row, cost)]
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g} %"))
    axes.set_ylabel("Test accuracy")
    axes.set_xscale("log", base=2)
    axes.grid(True, axis="y")
    axes.minorticks_off()
    named: dict = {}
    for index, method in enumerate(methods):
        some = [row for row in shown if row.method == method and row.level]
        if not some:
            continue
        some.sort(key=lambda row: row.figures[cost].mean)
        named[method] = axes.errorbar(
            [row.figures[cost].mean for row in some],
            [100 * row.figures["accuracy"].mean for row in some],
            [100 * row.figures["accuracy"].deviation for row in some],
            color=colour(index + 1, theme), marker=_MARKERS[index % len(_MARKERS)],
            markersize=5, linewidth=1.5, capsize=3,
        )  # fmt: skip
    _widen(axes, [row.figures[cost].mean for row in shown if row.level])
    for row in shown:
        if not row.level:
            line = axes.axhline(100 * row.figures["accuracy"].mean, color=BASELINE, ls="--", lw=1)
            named.setdefault(row.method, line)
    if not shown:
        axes.text(0.5, 0.5, "no run yet", transform=axes.transAxes, ha="center", color=theme.soft)
    return named


def _can_be_drawn(row: MethodRow, cost: str) -> bool:
    if cost not in row.figures or "accuracy" not in row.figures:
        return False
    amount, accuracy = row.figures[cost].mean, row.figures["accuracy"].mean
    return math.isfinite(amount) and amount > 0 and math.isfinite(accuracy)


def _widen(axes: Axes, costs: list[float]) -> None:
    """Leaves room for a power of 2 where there is none in the axis, so that there is a number at it."""
    least, most = axes.get_xlim()
    if costs and math.ceil(math.log2(least)) > math.log2(most):
        middle = math.sqrt(min(costs) * max(costs))
        axes.set_xlim(middle / 1.6, middle * 1.6)


def _draw_legend(figure: Figure, named: dict) -> None:
    """The methods' names under all plots: with many of them no place inside is free."""
    if not named:
        return
    labels = [_name(method) for method in named]
    width, height = figure.get_size_inches()
    fit = int(width / (_SIGN + _LETTER * max(map(len, labels))))
    columns = max(min(fit, _COLUMNS * len(figure.axes), len(labels)), 1)
    lines = math.ceil(len(labels) / columns)
    figure.set_size_inches(width, height + _LINE * max(lines - _ROWS, 0))
    figure.legend(
        named.values(), labels, loc="outside lower center", ncols=columns, frameon=False, fontsize=8.5
    )


def _name(method: str) -> str:
    """The name as the legend shows it, which knows formulas and leaves out what begins with a _."""
    name = _format.clean(method) or _format.MISSING
    if len(name) > _LONGEST:  # the end says the strength
        name = f"{name[: _LONGEST - 13]}…{name[-12:]}"
    name = name.replace("$", r"\$")
    return f" {name}" if name.startswith("_") else name
