"""The training curves of the picture: accuracy or loss, and under it how many groups are alive."""

import math

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from tf_wgsef.report import _format
from tf_wgsef.report._theme import Theme, colour
from tf_wgsef.report._values import Report

_LARGEST_CURVES = 4


def has_curves(report: Report) -> bool:
    """Returns whether the history holds anything to draw."""
    return bool(_chosen(report, "acc") or _chosen(report, "loss") or _chosen(report, "live"))


def draw_curves(axes: Axes, report: Report, theme: Theme) -> None:
    """Draws accuracies (or, without them, losses) and, in a panel under them, the live groups.

    Args:
        axes: where to draw; it is split if both kinds are there.
        report: the values.
        theme: colours.
    """
    accuracies = _chosen(report, "acc")
    upper = accuracies or _chosen(report, "loss")
    live = _chosen(report, "live")
    panels = [axes]
    if upper and live:
        lower = axes.inset_axes((0, -0.06, 1, 0.36))
        axes.set_axis_off()
        top = axes.inset_axes((0, 0.44, 1, 0.56))
        top.sharex(lower)
        top.tick_params(labelbottom=False)
        panels = [top, lower]
    axes.set_title("Training, by epoch", pad=22 if report.phases else None)
    curves = [upper, live] if len(panels) == 2 else [upper or live]
    for panel, chosen in zip(panels, curves, strict=True):
        percent = chosen is accuracies and _is_share(chosen)
        _draw(panel, chosen, theme, first=1 if chosen is upper else 3, percent=percent)
        # By how such curves run: Matplotlib's own search for a free place is slow with many points.
        place = "lower right" if chosen is accuracies else "upper right"
        panel.legend(loc=place, frameon=False, fontsize=8.5, handlelength=1.6)
        _mark_phases(panel, report, theme, named=panel is panels[0])
    panels[-1].xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))


def _chosen(report: Report, word: str) -> dict[str, list[float]]:
    found = {
        name: values
        for name, values in report.history.items()
        if word in name.lower() and any(math.isfinite(value) for value in values)
    }
    return dict(list(found.items())[:_LARGEST_CURVES])


def _is_share(curves: dict[str, list[float]]) -> bool:
    return all(value <= 1 for values in curves.values() for value in values if value == value)


def _draw(axes: Axes, curves: dict[str, list[float]], theme: Theme, *, first: int, percent: bool) -> None:
    for index, (name, values) in enumerate(curves.items()):
        epochs = range(1, len(values) + 1)
        label = _format.clean(name).replace("_", " ").replace("$", r"\$")[:40]
        # A single point has no line: it gets a marker.
        axes.plot(
            epochs, values, lw=2, color=colour(first + index, theme), label=label,
            ls="-" if index % 2 == 0 else (0, (5, 1.5)), marker="o" if len(values) == 1 else None,
        )  # fmt: skip
    if percent:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.4g} %"))
    elif all(min(values) >= 0 for values in curves.values()):
        axes.set_ylim(bottom=0)
    axes.grid(True, axis="y")
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))


def _mark_phases(axes: Axes, report: Report, theme: Theme, *, named: bool) -> None:
    start = 0.5
    for index, (name, epochs) in enumerate(report.phases.items()):
        if index:
            axes.axvline(start, color=theme.soft, lw=1, ls=(0, (2, 2)))
        if named:
            axes.annotate(
                _format.clean(name).replace("$", r"\$")[:30], (start, 1.0), (3, 2),
                xycoords=("data", "axes fraction"), textcoords="offset points",
                fontsize=8, color=theme.soft, annotation_clip=False,
            )  # fmt: skip
        start += epochs
