"""The comparison of methods as a table: in a terminal, in Markdown, on a page."""

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from tf_wgsef.report import _format
from tf_wgsef.report._methods import MethodRow, Spread, best_methods, shape_label

HEADERS = (
    "Removed", "Method", "Before the cut", "After the cut", "Accuracy",
    "Parameters", "MACs", "File", "Latency p50",
)  # fmt: skip

EXPLANATION = (
    "Before the cut: as the method has trained it, at full size. After the cut: the stripped network. "
    "Accuracy: when that has trained on. Bold: within one standard deviation of the most accurate method of "
    "its level, where there are several seeds. “to 3-12”: so many groups stay of each layer "
    "that a shape names."
)


def methods_cells(rows: Sequence[MethodRow]) -> list[tuple[list[str], bool]]:
    """Returns the cells of each row, under ``HEADERS``, and whether its method is among the best.

    Args:
        rows: as ``method_rows`` makes them.
    """
    best = {level: best_methods(rows, *level) for level in {(row.level, row.shape) for row in rows}}
    return [
        (_cells(row), row.level > 0 and len(row.seeds) > 1 and row.method in best[row.level, row.shape])
        for row in rows
    ]


def render_methods_table(rows: Sequence[MethodRow], title: str = "") -> Table:
    """Returns the table for ``rich``; the best methods of each level are bold.

    Args:
        rows: as ``method_rows`` makes them.
        title: above the table.
    """
    table = Table(title=Text(_format.clean(title)), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, header in enumerate(HEADERS):
        table.add_column(header, justify="left" if number == 1 else "right")
    level = None
    for row, (cells, best) in zip(rows, methods_cells(rows), strict=True):
        if level is not None and (row.level, row.shape) != level:
            table.add_section()
        level = row.level, row.shape
        table.add_row(*(Text(cell) for cell in cells), style="bold" if best else "")
    return table


def render_methods_markdown(
    rows: Sequence[MethodRow], *, title: str = "", facts: Mapping[str, object] | None = None
) -> str:
    """Returns the table in Markdown, with each seed's accuracy.

    Args:
        rows: as ``method_rows`` makes them.
        title: above the table.
        facts: what the reader must know to trust it, below the table.
    """
    lines = [f"# {_format.clean(title)}", ""] if title else []
    lines += ["| " + " | ".join((*HEADERS, "Each seed")) + " |", "|" + " --- |" * (len(HEADERS) + 1)]
    for row, (cells, best) in zip(rows, methods_cells(rows), strict=True):
        each = row.figures.get("accuracy")
        seeds = ", ".join(f"{100 * value:.2f}" for value in each.values) if each else "–"
        cells = [cell.replace("|", "\\|") for cell in cells]
        cells[1] = f"**{cells[1]}**" if best else cells[1]
        lines.append("| " + " | ".join((*cells, seeds)) + " |")
    lines += ["", EXPLANATION, ""]
    lines += [f"- {_format.clean(key)}: {_format.plain(value)}" for key, value in (facts or {}).items()]
    return "\n".join(lines) + "\n"


def _cells(row: MethodRow) -> list[str]:
    def shown(name, show):
        spread = row.figures.get(name)
        return _format.MISSING if spread is None else show(spread)

    removed = f"{100 * row.level:.4g} %" if row.level else f"{row.level:.4g}"
    return [
        _format.clean(f"to {shape_label(row.shape)}" if row.shape else removed),
        _format.clean(row.method),
        shown("accuracy_before_cut", _percent) if row.level else _format.MISSING,
        shown("accuracy_after_cut", _percent) if row.level else _format.MISSING,
        shown("accuracy", _percent),
        shown("parameters", lambda spread: _format.count(spread.mean)),
        shown("macs", lambda spread: _format.count(spread.mean)),
        shown("file_bytes", lambda spread: _format.size(spread.mean)),
        shown("latency_us", lambda spread: _format.duration(spread.mean)),
    ]


def _percent(spread: Spread) -> str:
    if len(spread.values) == 1:
        return f"{100 * spread.mean:.2f} %"
    return f"{100 * spread.mean:.2f} ± {100 * spread.deviation:.2f} %"
