"""The comparison of methods on one page."""

from collections.abc import Mapping, Sequence

from tf_wgsef.report import _format
from tf_wgsef.report._methods import MethodRow
from tf_wgsef.report._methods_plot import render_methods_png
from tf_wgsef.report._methods_table import EXPLANATION, HEADERS, methods_cells
from tf_wgsef.report._page import data_address, render_page


def render_methods_html(rows: Sequence[MethodRow], *, title: str, facts: Mapping[str, object]) -> str:
    """Returns the page as text, with its pictures inside.

    Args:
        rows: as ``method_rows`` makes them.
        title: of the page.
        facts: what the reader must know to trust it: command, machine, date, data.

    Example:
        >>> "<h1>LeNet-5</h1>" in render_methods_html([], title="LeNet-5", facts={})
        True
    """
    pictures = [
        ("(prefers-color-scheme: dark)", data_address(render_methods_png(rows, dark=True))),
        ("", data_address(render_methods_png(rows))),
    ]
    return render_page(
        "methods.html",
        title=_format.clean(title),
        headers=HEADERS,
        explanation=EXPLANATION,
        rows=methods_cells(rows),
        seeds=sorted({seed for row in rows for seed in row.seeds}),
        pictures=pictures,
        facts={_format.clean(key).replace("_", " "): _format.plain(value) for key, value in facts.items()},
    )
