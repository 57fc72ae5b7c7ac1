"""Devices as a picture: how the runs spread, what may be claimed, and accuracy against milliseconds."""

import functools
import io
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from tf_wgsef.report import _format
from tf_wgsef.report._device_latency import DeviceLatency, FileLatency
from tf_wgsef.report._theme import BASELINE, Theme, colour, style

_COLUMNS = 2
_MARKERS = "osD^vPX*"
# The slowest runs are what else the machine did; beyond this share they would squeeze all others.
_SHOWN = 0.99
_WIDEST = 3
"""On a busy machine even these reach far: the axis ends at so many times the largest median."""


def render_devices_png(devices: Sequence[DeviceLatency], *, dark: bool = False, dpi: int = 130) -> bytes:
    """Returns the picture as the bytes of a PNG file.

    Args:
        devices: what was measured, at least one.
        dark: for a dark page.
        dpi: dots per inch.

    Example:
        ``pathlib.Path("runs.png").write_bytes(render_devices_png(devices))``
    """
    theme = Theme.of(dark)
    draw = [functools.partial(_draw_runs, device=device) for device in devices]
    if any(device.interval for device in devices):
        draw.append(functools.partial(_draw_intervals, devices=devices))
    if any(file.accuracy is not None for device in devices for file in device.files):
        draw.append(functools.partial(_draw_accuracy, devices=devices))
    draw += [
        functools.partial(_draw_operators, device=device, file=file, index=index)
        for device in devices
        for index, file in enumerate(device.files)
        if file.operators
    ]
    columns = min(_COLUMNS, len(draw))
    rows = -(-len(draw) // columns)
    with matplotlib.rc_context(style(theme)):
        figure = Figure(figsize=(5.6 * columns, 3.8 * rows), layout="constrained")
        FigureCanvasAgg(figure)
        for number, one in enumerate(draw):
            one(figure.add_subplot(rows, columns, number + 1), theme=theme)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def _draw_runs(axes: Axes, *, device: DeviceLatency, theme: Theme) -> None:
    """The empirical distribution of each file's runs, its median marked."""
    shares = np.linspace(0, _SHOWN, 200)
    of = "runs"
    for index, file in enumerate(device.files):
        values = file.samples
        if not values.size:  # the native tool tells no single runs
            values, of = np.array(file.latency["round_medians"]), "rounds"
        tint = _colour(index, device, theme)
        axes.plot(
            np.quantile(values, shares), 100 * shares, color=tint, linewidth=1.6, label=_text(file.name)
        )
        axes.plot([file.latency["p50"]], [50], "o", color=tint, markersize=5)
    axes.set_title(f"Share of {of} within a time\n{_text(device.target)}", fontsize=9)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _format.duration(value)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} %"))
    axes.set_ylim(0, 100)
    end = _WIDEST * max(file.latency["p50"] for file in device.files)
    if 0 < end < axes.get_xlim()[1]:
        axes.set_xlim(0, end)
    axes.set_xlabel("Time of a run (dots: medians)")
    axes.grid(True, axis="y")
    axes.legend(frameon=False, fontsize=8, loc="lower right")


def _draw_intervals(axes: Axes, *, devices: Sequence[DeviceLatency], theme: Theme) -> None:
    """How many times faster the second file is on each device; grey where nothing may be claimed."""
    shown = [device for device in devices if device.interval]
    for place, device in enumerate(shown):
        low, ratio, high = device.interval
        tint = colour(1, theme) if device.claimed else BASELINE
        ends = [[max(0, ratio - low)], [max(0, high - ratio)]]
        axes.errorbar([ratio], [place], xerr=ends, fmt="o", color=tint, capsize=4, markersize=5)
    axes.axvline(1, color=BASELINE, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(shown)), [_text(device.target) for device in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}×"))
    axes.set_xlabel("Time of the first file over that of the second (grey: not claimed)")
    axes.set_title("Speed-up, with its interval")


def _draw_accuracy(axes: Axes, *, devices: Sequence[DeviceLatency], theme: Theme) -> None:
    """Accuracy against milliseconds: left and up is better."""
    for number, device in enumerate(devices):
        marker = _MARKERS[number % len(_MARKERS)]
        for index, file in enumerate(device.files):
            if file.accuracy is not None:
                here = "" if file.accuracy_on in ("", device.target) else " (accuracy: here)"
                label = f"{_text(file.name)}, {_text(device.target)}{here}"
                axes.plot(
                    [file.latency["p50"] / 1e3], [100 * file.accuracy], marker, markersize=7,
                    color=_colour(index, device, theme), label=label,
                )  # fmt: skip
    axes.set_title("Accuracy against latency")
    axes.set_xlabel("Milliseconds (p50)")
    axes.set_ylabel("Accuracy")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g} %"))
    axes.margins(0.15)
    axes.grid(True, axis="both")
    axes.legend(loc="lower right", frameon=False, fontsize=8)


def _draw_operators(
    axes: Axes, *, device: DeviceLatency, file: FileLatency, index: int, theme: Theme
) -> None:
    """The operators that took most time, the dearest on top."""
    names = [_text(f"{kind} {name}" if name else kind) for kind, name, _, _ in file.operators]
    places = range(len(names))
    axes.barh(places, [one[2] for one in file.operators], color=_colour(index, device, theme), height=0.7)
    axes.set_yticks(places, names, fontsize=7.5)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _format.duration(value)))
    axes.set_title(f"Operators, {_text(device.target)}\n{_text(file.name)}", fontsize=9)


def _colour(index: int, device: DeviceLatency, theme: Theme) -> str:
    """Of two files the first, the one before, is grey."""
    return colour(index if len(device.files) > 1 else 1, theme)


def _text(name: str) -> str:
    """A name's end, which tells files in long folders apart, safe for matplotlib's formulas."""
    text = _format.clean(name)
    return (text if len(text) <= 36 else f"...{text[-33:]}").replace("$", r"\$")
