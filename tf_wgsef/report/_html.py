"""The report as one HTML page that needs nothing else: no network, no script, no second file."""

from tf_wgsef.report import _format, _rows
from tf_wgsef.report._page import data_address, render_page
from tf_wgsef.report._plot import render_png
from tf_wgsef.report._rows import Cell
from tf_wgsef.report._values import Report

_TEMPLATE = "report.html"


def render_html(report: Report) -> str:
    """Returns the page as text.

    Whatever came from a file (names, notes, versions) is escaped; the page forbids itself scripts
    and requests. The picture comes four times, for wide and narrow, light and dark screens.

    Args:
        report: the values.

    Example:
        >>> "LeNet-5" in render_html(report)
        True
    """
    return render_page(
        _TEMPLATE,
        title=_format.clean(report.title),
        report=report,
        rows=_rows,
        cards=_cards(report),
        subtitle=_subtitle(report),
        pictures=_pictures(report),
        measured=[_format.clean(item.name) for item in _rows.measured_variants(report)],
    )


def _cards(report: Report) -> list[tuple[str, str, Cell]]:
    """Returns label, value before and cell after of what the page opens with."""
    rows = _rows.variant_rows(report)
    small = report.headline
    if small is None:
        return [(label, "", cell) for label, cell in zip(_rows.VARIANT_HEADERS, rows[0].cells, strict=True)]
    after = rows[report.variants.index(small)].cells
    return [
        (label, before.value, cell)
        for label, before, cell in zip(_rows.VARIANT_HEADERS, rows[0].cells, after, strict=True)
        if cell.value != _format.MISSING or before.value != _format.MISSING
    ]


def _subtitle(report: Report) -> str:
    found = (report.environment.get(key) for key in ("machine", "date"))
    return " · ".join(_format.plain(value) for value in found if value)


def _pictures(report: Report) -> list[tuple[str, str]]:
    """Returns (media query, data address) of each picture; the last is for all other screens."""
    kinds = (
        ("(max-width: 640px) and (prefers-color-scheme: dark)", {"tall": True, "dark": True}),
        ("(max-width: 640px)", {"tall": True}),
        ("(prefers-color-scheme: dark)", {"dark": True}),
        ("", {}),
    )
    return [(media, data_address(render_png(report, **options))) for media, options in kinds]
