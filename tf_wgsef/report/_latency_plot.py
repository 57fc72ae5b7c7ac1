"""A latency table as a picture: the staircase of each layer, and predictions beside measurements."""

import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tf_wgsef.groups import LatencyTable
from tf_wgsef.report import _format
from tf_wgsef.report._theme import BASELINE, Theme, colour, style

_CURVES = 6
"""Layers with a curve of their own: the dearest ones."""


def render_latency_png(
    table: LatencyTable,
    predicted: Sequence[float] = (),
    measured: Sequence[float] = (),
    *,
    dark: bool = False,
    dpi: int = 130,
) -> bytes:
    """Returns the picture as the bytes of a PNG file.

    Args:
        table: the latencies of a model on a device.
        predicted: microseconds of stripped models by the table; none leaves the second plot out.
        measured: what they took.
        dark: for a dark page.
        dpi: dots per inch.
    """
    theme = Theme.of(dark)
    both = len(predicted) > 0
    with matplotlib.rc_context(style(theme)):
        figure = Figure(figsize=(10.4 if both else 6.4, 4.4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(1, 2 if both else 1, squeeze=False)[0]
        _draw_layers(axes[0], table, theme)
        if both:
            _draw_predictions(axes[1], predicted, measured, theme)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def _draw_layers(axes: Axes, table: LatencyTable, theme: Theme) -> None:
    """Microseconds against output channels, all inputs there, layers alike as one curve."""
    curves: dict[tuple, list[str]] = {}
    for name, row in table.layers.items():
        counts = np.arange(1, row.outputs[-1] + 1)
        times = tuple(round(row.microseconds_of(row.inputs[-1], int(count)), 9) for count in counts)
        curves.setdefault(times, []).append(name)
    dearest = sorted(curves, key=lambda times: times[-1] * len(curves[times]), reverse=True)[:_CURVES]
    for index, times in enumerate(dearest):
        names = curves[times]
        label = _format.clean(names[0]) + (f" and {len(names) - 1} like it" if len(names) > 1 else "")
        axes.plot(range(1, len(times) + 1), times, label=label, color=colour(index + 1, theme), linewidth=1.6)
    axes.set_title("What output channels cost")
    axes.set_xlabel("Output channels that stay (all inputs there)")
    axes.set_ylabel("Microseconds")
    axes.set_ylim(bottom=0)
    axes.grid(True, axis="y")
    if dearest:
        axes.legend(loc="upper left", frameon=False, fontsize=8)


def _draw_predictions(axes: Axes, predicted, measured, theme: Theme) -> None:
    low, high = 0.9 * min(*predicted, *measured), 1.1 * max(*predicted, *measured)
    axes.plot([low, high], [low, high], color=BASELINE, linewidth=1, label="as predicted")
    axes.fill_between([low, high], [0.9 * low, 0.9 * high], [1.1 * low, 1.1 * high],
                      color=BASELINE, alpha=0.15, linewidth=0, label="within 10 %")  # fmt: skip
    axes.plot(predicted, measured, "o", color=colour(1, theme), markersize=5, label="stripped models")
    axes.set_title("Predicted and measured")
    axes.set_xlabel("Predicted, microseconds")
    axes.set_ylabel("Measured, microseconds")
    axes.grid(True, axis="both")
    axes.legend(loc="upper left", frameon=False, fontsize=8)
