"""The channel graph as a picture: what hangs together, what goes, and why the rest stays.

Drawn on a ``Figure`` of its own, as the report's picture is; one unit of its axes is one point on paper.
"""

import io
import os
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tf_wgsef.errors import InputError
from tf_wgsef.output_files import check_new_file, new_file
from tf_wgsef.report._channel_graph_boxes import Diagram, read_diagram
from tf_wgsef.report._channel_graph_card import drawable, make_cards, shorten
from tf_wgsef.report._channel_graph_layout import Layout, load_library, place_boxes
from tf_wgsef.report._channel_graph_legend import draw_legend, legend_entries, legend_height
from tf_wgsef.report._channel_graph_shapes import Pen, draw_card, draw_edge
from tf_wgsef.report._theme import Theme, style

if TYPE_CHECKING:
    from tf_wgsef.graph import ChannelGraph
    from tf_wgsef.rules import TensorKey

SUFFIXES = (".svg", ".png", ".pdf")
_MARGIN = 24.0
_NARROWEST = 330.0
_TITLE_SIZE, _SUBTITLE_SIZE = 13.0, 8.0
_DPI = 130
# Agg draws no picture with more dots than this on a side.
_MOST_DOTS = 60_000


def plot_channel_graph(
    graph: "ChannelGraph",
    path: str | os.PathLike,
    *,
    keeps: "Mapping[TensorKey, np.ndarray] | None" = None,
    reasons: Mapping[int, str] | None = None,
    overwrite: bool = False,
) -> None:
    """Draws a channel graph into a file.

    Args:
        graph: the channels of a model.
        path: the file to write; its suffix says how: .svg, .png or .pdf.
        keeps: per tensor, which of its channels stay, bool of shape (channels,); without it, the picture
            shows no removal.
        reasons: {channel id: why it stays}, beside the graph's own pins.
        overwrite: whether an existing file may be replaced.

    Raises:
        InputError: if the file cannot be written, or the library that lays out graphs is missing.

    Example:
        >>> import tf_wgsef.graph
        >>> plot_channel_graph(tf_wgsef.graph.build_channel_graph(model), "graph.svg")
    """
    check_graph_file(path, overwrite=overwrite)
    diagram = read_diagram(graph, keeps, reasons)
    with matplotlib.rc_context(_style()):
        data = _render(_draw(diagram), pathlib.Path(path).suffix.lower())
    with new_file(path, overwrite=overwrite) as file:
        file.write_bytes(data)


def check_graph_file(path: str | os.PathLike, *, overwrite: bool = False) -> None:
    """Checks early, before long work, that ``plot_channel_graph`` will be able to write ``path``.

    Args:
        path: the file to write.
        overwrite: whether an existing file may be replaced.

    Raises:
        InputError: as ``plot_channel_graph``.
    """
    if not isinstance(path, str | os.PathLike) or "\0" in os.fspath(path):
        raise InputError(f"Expected the path of a file for the graph. Received: {path!r}.")
    if pathlib.Path(path).suffix.lower() not in SUFFIXES:
        raise InputError(
            f"Expected a file for the graph that ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}. "
            f"Received: {os.fspath(path)!r}."
        )
    check_new_file(path, overwrite=overwrite)
    load_library()


def _draw(diagram: Diagram) -> Figure:
    pen = Pen(Theme.of(False))
    cards = make_cards(diagram.boxes)
    layout = place_boxes([(card.width, card.height) for card in cards], diagram.edges)
    inside = max(layout.width, _NARROWEST)
    entries = legend_entries(diagram)
    top = _MARGIN + 38 + legend_height(entries, inside) + 22
    figure, axes = _sheet(inside + 2 * _MARGIN, top + layout.height + _MARGIN, pen.theme)
    _write_title(axes, diagram, inside, pen)
    draw_legend(axes, entries, _MARGIN, _MARGIN + 38, inside, pen)
    left = _MARGIN + (inside - layout.width) / 2
    _draw_diagram(axes, diagram, cards, layout.moved(left, top), pen)
    return figure


def _draw_diagram(axes: Axes, diagram: Diagram, cards, layout: Layout, pen: Pen) -> None:
    for (source, _), route in zip(diagram.edges, layout.routes, strict=True):
        draw_edge(axes, route, diagram.boxes[source], pen)
    for card, place in zip(cards, layout.boxes, strict=True):
        draw_card(axes, card, place, pen)


def _write_title(axes: Axes, diagram: Diagram, width: float, pen: Pen) -> None:
    title = shorten(drawable(diagram.title), _TITLE_SIZE, width, bold=True, end=True)
    pen.write(axes, _MARGIN, _MARGIN + 7, title, size=_TITLE_SIZE, bold=True)
    boxes, calls = len(diagram.boxes), diagram.calls
    text = f"{calls} layers" if boxes == calls else f"{calls} layers in {boxes} boxes"
    sets = f"{diagram.sets} sets of tied channels" if diagram.sets != 1 else "1 set of tied channels"
    pen.write(axes, _MARGIN, _MARGIN + 23, f"{text}, {sets}", size=_SUBTITLE_SIZE, color=pen.theme.soft)


def _sheet(width: float, height: float, theme: Theme) -> tuple[Figure, Axes]:
    """Returns an empty sheet whose axes count points from its upper left corner."""
    figure = Figure(figsize=(width / 72, height / 72), facecolor=theme.page)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    return figure, axes


def _style() -> dict:
    # Text as text, so that a viewer finds layers by name; the salt makes equal pictures equal files.
    extra = {"svg.fonttype": "none", "svg.hashsalt": "tf_wgsef", "pdf.fonttype": 42, "hatch.linewidth": 0.6}
    return {**style(Theme.of(False)), **extra}


def _render(figure: Figure, suffix: str) -> bytes:
    buffer = io.BytesIO()
    kind = suffix[1:]
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}[kind]
    dpi = min(_DPI, _MOST_DOTS / max(figure.get_size_inches()))
    figure.savefig(buffer, format=kind, dpi=dpi, metadata=undated)
    if kind == "svg":
        # Verdana is as wide: text stays in its box on computers that lack the font.
        return buffer.getvalue().replace(b"'DejaVu Sans'", b"'DejaVu Sans', Verdana, sans-serif")
    return buffer.getvalue()
