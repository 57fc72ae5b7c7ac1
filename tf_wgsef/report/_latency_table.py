"""A latency table for people: what each layer costs, and how well the table predicts."""

from collections.abc import Sequence

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from tf_wgsef.groups import LatencyTable
from tf_wgsef.report import _format

_LARGE = 10
"""Median errors above so many percent are said to be too large."""


def render_latency_table(table: LatencyTable) -> Table:
    """Returns the table for ``rich``: the layers, dearest first, dense and at half of their channels.

    Args:
        table: the latencies of a model on a device.
    """
    shown = Table(
        title=Text(f"Latency by layer: {_format.clean(table.device)}"),
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for header in ("Layer", "Channels in → out", "Dense", "Share", "Half of the outputs", "Half of both"):
        shown.add_column(header, justify="left" if header == "Layer" else "right")
    dense = {name: row.microseconds_of(row.inputs[-1], row.outputs[-1]) for name, row in table.layers.items()}
    total = sum(dense.values()) + table.overhead
    for name in sorted(dense, key=dense.get, reverse=True):
        row = table.layers[name]
        inputs, outputs = row.inputs[-1], row.outputs[-1]
        halves = [(inputs, -(-outputs // 2)), (-(-inputs // 2), -(-outputs // 2))]
        shown.add_row(
            Text(_format.clean(name)),
            f"{inputs} → {outputs}",
            _format.duration(dense[name]),
            f"{dense[name] / total:.1%}" if total else _format.MISSING,
            *(_format.duration(row.microseconds_of(*half)) for half in halves),
        )
    share = f"{table.overhead / total:.1%}" if total else _format.MISSING
    shown.add_row(Text("all the rest"), "", _format.duration(table.overhead), share, "", "")
    return shown


def explain_prediction(predicted: Sequence[float], measured: Sequence[float]) -> str:
    """Says in one line how far predictions are from measurements.

    Args:
        predicted: microseconds, one per model.
        measured: the same.

    Example:
        >>> explain_prediction([10.0, 22.0], [10.0, 20.0])
        'Predicted against measured, 2 stripped models: median error 5.0 %, largest 10.0 %, mean ratio 1.050.'
    """
    ratios = np.divide(predicted, measured)
    errors = 100 * np.abs(ratios - 1)
    line = (
        f"Predicted against measured, {len(errors)} stripped models: median error {np.median(errors):.1f} %, "
        f"largest {errors.max():.1f} %, mean ratio {ratios.mean():.3f}."
    )
    if np.median(errors) > _LARGE:
        line += " That is far apart: measure again with larger --seconds, with nothing else running there."
    return line
