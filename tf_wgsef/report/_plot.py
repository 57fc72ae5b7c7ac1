"""The report as one picture: what each variant costs, what each layer keeps, how training went.

Drawn on a ``Figure`` of its own with the Agg canvas: ``pyplot`` and the user's settings are not
touched. Colours are those of Okabe and Ito, which colour-blind readers tell apart.
"""

import io
import math
from collections.abc import Callable

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation

from tf_wgsef.report import _format
from tf_wgsef.report._curves import draw_curves, has_curves
from tf_wgsef.report._theme import BASELINE, Theme, colour, style
from tf_wgsef.report._values import LayerRow, Report, Variant

_METRICS: tuple[tuple[str, Callable[[Variant], float | None], Callable[[float], str]], ...] = (
    ("Parameters", lambda variant: variant.parameters, _format.count),
    ("MACs", lambda variant: variant.macs, _format.count),
    ("File", lambda variant: variant.file_bytes, _format.size),
    ("Latency p50", lambda variant: variant.p50_us, _format.duration),
)
# With more layers than this their names no longer fit: the bars then stand in the model's order.
_NAMED_LAYERS = 24
_LEGEND_LETTERS = 48
_TICK_LETTERS = 18


def render_figure(report: Report, *, dark: bool = False, tall: bool = False) -> Figure:
    """Returns the picture.

    Args:
        report: the values.
        dark: for a dark page.
        tall: panels under each other, for a phone.

    Example:
        >>> render_figure(report).savefig("report.svg")
    """
    theme = Theme.of(dark)
    panels = [_draw_costs] if _shown_metrics(report) else []
    panels += [_draw_accuracy] if any(v.accuracy is not None for v in report.variants) else []
    panels += [_draw_layers] if _shown_layers(report) else []
    panels += [draw_curves] if has_curves(report) else []
    panels = panels or [_draw_nothing]
    with matplotlib.rc_context(style(theme)):
        figure = Figure(layout="constrained", facecolor=theme.page)
        FigureCanvasAgg(figure)
        for draw, axes in zip(panels, _layout(figure, panels, report, tall), strict=True):
            draw(axes, report, theme)
        figure.draw_without_rendering()  # settles ticks and layout under these settings
    return figure


def render_png(report: Report, *, dark: bool = False, tall: bool = False, dpi: int = 130) -> bytes:
    """Returns the picture as the bytes of a PNG file.

    Args:
        report: the values.
        dark: for a dark page.
        tall: panels under each other, for a phone.
        dpi: dots per inch.
    """
    figure = render_figure(report, dark=dark, tall=tall)
    with matplotlib.rc_context(style(Theme.of(dark))):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def _layout(figure: Figure, panels: list[Callable], report: Report, tall: bool) -> list[Axes]:
    """Returns one axes per panel: in two columns, or under each other if ``tall``."""
    heights = [_height(draw, report) for draw in panels]
    if tall or len(panels) == 1:
        figure.set_size_inches(4.3 if tall else 9.0, sum(heights))
        grid = figure.add_gridspec(len(panels), 1, height_ratios=heights)
        return [figure.add_subplot(grid[index, 0]) for index in range(len(panels))]
    left, right = _columns(heights)
    size = max(sum(heights[index] for index in column) for column in (left, right))
    figure.set_size_inches(11.5, size)
    outer = figure.add_gridspec(1, 2, width_ratios=(1, 1), wspace=0.06)
    axes = {}
    for place, column in enumerate((left, right)):
        inner = outer[place].subgridspec(len(column), 1, height_ratios=[heights[index] for index in column])
        for line, index in enumerate(column):
            axes[index] = figure.add_subplot(inner[line, 0])
    return [axes[index] for index in range(len(panels))]


def _columns(heights: list[float]) -> tuple[list[int], list[int]]:
    """Returns the panels of the left and of the right column, split where they are most even."""
    cut = min(range(1, len(heights)), key=lambda at: abs(sum(heights[:at]) - sum(heights[at:])))
    return list(range(cut)), list(range(cut, len(heights)))


def _height(draw: Callable, report: Report) -> float:
    variants = len(report.variants)
    if draw is _draw_costs:
        legend = 0.19 * math.ceil(variants / _legend_columns(report))
        return 0.9 + legend + len(_shown_metrics(report)) * (0.17 * variants + 0.12)
    if draw is _draw_accuracy:
        return 1.2 + 0.26 * variants
    if draw is _draw_layers:
        return 1.1 + 0.27 * min(len(_shown_layers(report)), _NAMED_LAYERS)
    return 3.4


def _shown_metrics(report: Report) -> list[tuple[str, Callable, Callable]]:
    """Returns the costs that the baseline has, so that the others can be put beside them."""
    return [metric for metric in _METRICS if metric[1](report.baseline)]


def _draw_nothing(axes: Axes, report: Report, theme: Theme) -> None:
    """Says that there is nothing to draw, so that the picture is not an empty sheet."""
    axes.set_axis_off()
    text = "The report holds nothing to draw."
    axes.text(0.5, 0.5, text, ha="center", va="center", color=theme.soft)


def _draw_costs(axes: Axes, report: Report, theme: Theme) -> None:
    """Draws the costs of each variant in per cent of the baseline's, absolute values beside."""
    shown = _shown_metrics(report)
    thickness = 0.84 / len(report.variants)
    longest = 0.0
    for place, (label, value, show) in enumerate(shown):
        base = value(report.baseline)
        for index, variant in enumerate(report.variants):
            amount = value(variant)
            if amount is None:
                continue
            y = place + (index - (len(report.variants) - 1) / 2) * thickness
            longest = max(longest, 100 * amount / base)
            axes.barh(y, 100 * amount / base, 0.86 * thickness, color=colour(index, theme))
            text = _cost_label(report, variant, label, base, amount, show)
            axes.annotate(
                text, (100 * amount / base, y), (4, 0), textcoords="offset points",
                va="center", fontsize=8, color=theme.ink,
            )  # fmt: skip
    axes.set_yticks(range(len(shown)), [label for label, _, _ in shown])
    axes.tick_params(axis="y", labelsize=10, labelcolor=theme.ink)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(0, max(longest, 1) * 1.3)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.set_title(f"Cost, {_label(report.baseline.name)} = 100 %")
    _legend(axes, report, theme)


def _cost_label(
    report: Report, variant: Variant, label: str, base: float, amount: float, show: Callable
) -> str:
    text = show(amount)
    if variant is report.baseline:
        return text
    pair = report.comparison(report.baseline.name, variant.name)
    if label == "Latency p50":
        return f"{text}  {_format.speed_up(pair.ratio)}" if pair and pair.differs else text
    return f"{text}  {_format.change(base, amount)}"


def _legend(axes: Axes, report: Report, theme: Theme) -> None:
    handles = [
        Patch(color=colour(index, theme), label=_label(variant.name))
        for index, variant in enumerate(report.variants)
    ]
    below_ticks = ScaledTranslation(-6 / 72, -22 / 72, axes.figure.dpi_scale_trans)
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0, 0),
        bbox_transform=axes.transAxes + below_ticks,
        ncols=_legend_columns(report), frameon=False, fontsize=8.5,
        handlelength=1.0, columnspacing=1.2, borderaxespad=0.2, handleheight=0.9,
    )  # fmt: skip


def _legend_columns(report: Report) -> int:
    """Returns how many names fit beside each other in the narrowest layout."""
    longest = max(len(_label(variant.name)) for variant in report.variants)
    fitting = max(1, _LEGEND_LETTERS // (longest + 4))
    # Rows that are all full look tidy: four names as 2 + 2, not 3 + 1.
    rows = math.ceil(len(report.variants) / fitting)
    return math.ceil(len(report.variants) / rows)


def _draw_accuracy(axes: Axes, report: Report, theme: Theme) -> None:
    """Draws accuracies as points: their axis does not start at 0, as that of bars must."""
    known = [(index, item) for index, item in enumerate(report.variants) if item.accuracy is not None]
    values = [100 * item.accuracy for _, item in known]
    margin = max(0.35 * (max(values) - min(values)), 0.5)
    for line, (index, _) in enumerate(known):
        value = values[line]
        axes.plot(value, line, "o", ms=9, color=colour(index, theme), clip_on=False)
        axes.annotate(
            f"{value:.2f} %", (value, line), (9, 0), textcoords="offset points",
            va="center", fontsize=8.5, color=theme.ink, annotation_clip=False,
            bbox={"facecolor": theme.page, "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip
    if known[0][1] is report.baseline:
        axes.axvline(values[0], color=BASELINE, lw=1, ls=(0, (4, 3)), zorder=0)
    axes.set_yticks(range(len(known)), [_label(item.name, _TICK_LETTERS) for _, item in known])
    axes.set_ylim(len(known) - 0.5, -0.5)
    axes.set_xlim(min(values) - margin, max(values) + 2.2 * margin)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %" if value <= 100 else ""))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    data = {item.accuracy_on for _, item in known if item.accuracy_on}
    axes.set_title("Accuracy")
    if len(data) == 1:
        axes.set_xlabel(_label(f"on {data.pop()}", 40), fontsize=8.5)


def _shown_layers(report: Report) -> list[LayerRow]:
    """Returns the layers that have channels of their own to keep or to lose."""
    with_channels = [row for row in report.layers if row.channels_before]
    return [row for row in with_channels if row.macs_before] or with_channels


def _draw_layers(axes: Axes, report: Report, theme: Theme) -> None:
    """Draws the share of its channels that each layer keeps."""
    layers = _shown_layers(report)
    named = len(layers) <= _NAMED_LAYERS
    kept = [100 * (row.channels_after or 0) / row.channels_before for row in layers]
    places = range(len(layers))
    axes.barh(places, [100] * len(layers), 0.72 if named else 1.0, color=theme.track)
    axes.barh(places, kept, 0.72 if named else 1.0, color=colour(1, theme))
    if named:
        for place, row, share in zip(places, layers, kept, strict=True):
            inside = share > 80
            axes.annotate(
                f"{row.channels_after or 0} of {row.channels_before}", (share, place),
                (-5 if inside else 5, 0), textcoords="offset points", va="center", fontsize=8,
                ha="right" if inside else "left", color="white" if inside else theme.ink,
            )  # fmt: skip
        axes.set_yticks(places, [_label(row.name, _TICK_LETTERS) for row in layers])
    else:
        axes.set_yticks([])
        axes.set_ylabel(f"{len(layers)} layers, in the model's order", color=theme.soft)
    axes.set_ylim(len(layers) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.grid(False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
    axes.set_title("Channels kept per layer")


def _label(name: str, length: int = 26) -> str:
    """Returns a name as plain text for matplotlib: no control characters, no formulas, not long.

    Characters that the font lacks become a box, of which matplotlib would otherwise warn.
    """
    name = _format.clean(name)
    name = name if len(name) <= length else f"{name[: length - 1]}…"
    known = get_font(findfont(FontProperties(family="DejaVu Sans"))).get_charmap()
    name = "".join(char if ord(char) in known else "□" for char in name)
    return name.replace("$", r"\$")
