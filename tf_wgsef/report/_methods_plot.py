"""The comparison of methods as a picture: accuracy against MACs and against latency."""

import io
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
"""Names beside each other under a plot."""


def render_methods_png(rows: Sequence[MethodRow], *, dark: bool = False, dpi: int = 130) -> bytes:
    """Returns the picture as the bytes of a PNG file: means, with bars of one standard deviation.

    Args:
        rows: as ``method_rows`` makes them.
        dark: for a dark page.
        dpi: dots per inch.
    """
    theme = Theme.of(dark)
    costs = [cost for cost in _COSTS if any(cost[0] in row.figures for row in rows)] or [_COSTS[0]]
    with matplotlib.rc_context(style(theme)):
        figure = Figure(figsize=(5.6 * len(costs), 4.2), layout="constrained")
        FigureCanvasAgg(figure)
        for number, (name, label, show) in enumerate(costs):
            axes = figure.add_subplot(1, len(costs), number + 1)
            _draw(axes, rows, name, theme)
            axes.set_title(f"Accuracy against {label}")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _, show=show: show(value)))
            axes.set_xlabel(label)
        _draw_legend(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def _draw(axes: Axes, rows: Sequence[MethodRow], cost: str, theme: Theme) -> None:
    shown = [row for row in rows if cost in row.figures and "accuracy" in row.figures]
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g} %"))
    axes.set_ylabel("Test accuracy")
    axes.set_xscale("log", base=2)
    axes.grid(True, axis="y")
    axes.minorticks_off()
    methods = list(dict.fromkeys(row.method for row in shown if row.level))
    for index, method in enumerate(methods):
        some = sorted((row for row in shown if row.method == method), key=lambda row: row.figures[cost].mean)
        axes.errorbar(
            [row.figures[cost].mean for row in some],
            [100 * row.figures["accuracy"].mean for row in some],
            [100 * row.figures["accuracy"].deviation for row in some],
            label=_name(method), color=colour(index + 1, theme), marker=_MARKERS[index % len(_MARKERS)],
            markersize=5, linewidth=1.5, capsize=3,
        )  # fmt: skip
    for row in shown:
        if not row.level:
            axes.axhline(
                100 * row.figures["accuracy"].mean, color=BASELINE, ls="--", lw=1, label=_name(row.method)
            )
    if not shown:
        axes.text(0.5, 0.5, "no run yet", transform=axes.transAxes, ha="center", color=theme.soft)


def _draw_legend(figure: Figure) -> None:
    """The methods' names under all plots: with many of them no place inside is free."""
    named = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    if named:
        columns = _COLUMNS * len(figure.axes)
        figure.legend(
            named.values(),
            named.keys(),
            loc="outside lower center",
            ncols=columns,
            frameon=False,
            fontsize=8.5,
        )


def _name(method: str) -> str:
    return _format.clean(method).replace("$", r"\$")[:40]
