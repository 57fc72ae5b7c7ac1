"""The report in a terminal, wide or narrow, with or without Unicode."""

from collections.abc import Iterator

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from tf_wgsef.report import _rows
from tf_wgsef.report._format import ascii_text, clean
from tf_wgsef.report._rows import Cell, Row
from tf_wgsef.report._values import Report

# Columns that the model table needs, and those at which layers have room for their changes too.
_WIDE = 78
_ROOMY = 110
_COLOURS = {"good": "green", "bad": "yellow", "": "dim"}


def render_table(report: Report) -> RenderableType:
    """Returns the report as tables that ``rich`` prints, fitted to the console's width.

    Names that came from a file show literally: neither markup nor control characters act. On a
    console without Unicode the same text comes in ASCII.

    Args:
        report: the values.

    Example:
        >>> rich.print(render_table(report), file=sys.stderr)
    """
    return _ReportTable(report)


class _ReportTable:
    """Builds the tables when the console's width and encoding are known."""

    def __init__(self, report: Report):
        self._report = report

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        writer = _Writer(width=options.max_width, ascii_only=options.ascii_only)
        report = self._report
        yield writer.text(clean(report.title), "bold")
        yield writer.variants(report)
        if report.layers:
            yield writer.layers(report)
        yield from writer.sentences(report)


class _Writer:
    """Turns rows into ``rich`` tables for one kind of console."""

    def __init__(self, *, width: int, ascii_only: bool):
        self._wide = width >= _WIDE
        self._roomy = width >= _ROOMY
        self._ascii = ascii_only

    def text(self, text: str, style: str = "") -> Text:
        """Returns text in which nothing is markup."""
        return Text(ascii_text(text) if self._ascii else text, style)

    def variants(self, report: Report) -> Table:
        """Returns one row per variant or, where that is too wide, one block per variant."""
        rows = _rows.variant_rows(report)
        if not self._wide:
            return self._blocks(rows)
        table = self._table("Model", _rows.VARIANT_HEADERS)
        for row in rows:
            table.add_row(self.text(row.name), *(self._cell(cell) for cell in row.cells))
        return table

    def layers(self, report: Report) -> Table:
        """Returns one row per layer, the total last."""
        rows = _rows.layer_rows(report)
        table = self._table("Layer", _rows.layer_headers(report))
        for index, row in enumerate(rows):
            last = index == len(rows) - 1
            if last:
                table.add_section()
            name = self.text(row.name, "bold" if last else "")
            if row.detail and self._wide:
                name = Text.assemble(name, self.text(f"  {row.detail}", "dim"))
            table.add_row(name, *(self._layer_cell(cell) for cell in row.cells))
        return table

    def sentences(self, report: Report) -> Iterator[Text]:
        """Yields what the tables cannot say: reasons, proof, notes, comparisons."""
        for pair in _rows.comparison_rows(report):
            result, ratio, interval, confidence = (cell.value for cell in pair.cells)
            yield self.text(
                f"{pair.name}: {result} (ratio {ratio}, {confidence} interval {interval})"
                + (f". {pair.detail}" if pair.detail else "")
            )
        for sentence in (*map(clean, report.explanation), _rows.proof(report)):
            if sentence:
                yield self.text(sentence)
        for row in _rows.layer_rows(report):
            if row.note:
                yield self.text(f"{row.name}: {row.note}", "dim")
        for name in _rows.accuracy_data(report):
            yield self.text(f"Accuracy on: {name}", "dim")
        for note in report.notes:
            yield self.text(clean(note), "dim")

    def _table(self, first: str, headers: tuple[str, ...], *, first_width: int = 0) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, safe_box=True)
        table.add_column(first, overflow="fold", min_width=first_width)
        for header in headers:
            table.add_column(header, justify="right", no_wrap=self._wide, overflow="fold")
        return table

    def _blocks(self, rows: list[Row]) -> Table:
        table = self._table("Model", ("", ""), first_width=12)
        for row in rows:
            table.add_section()
            table.add_row(self.text(row.name, "bold"), "", "")
            for header, cell in zip(_rows.VARIANT_HEADERS, row.cells, strict=True):
                change = self.text(cell.change, _COLOURS[cell.tone])
                table.add_row(self.text(f" {header}"), self.text(cell.value), change)
        return table

    def _cell(self, cell: Cell) -> Text:
        text = self.text(cell.value)
        if cell.change:
            text = Text.assemble(text, "\n", self.text(cell.change, _COLOURS[cell.tone]))
        return text

    def _layer_cell(self, cell: Cell) -> Text:
        if not self._wide and cell.change:
            return self.text(cell.change, _COLOURS[cell.tone])
        if self._roomy and cell.change:
            change = self.text(f"  {cell.change}", _COLOURS[cell.tone])
            return Text.assemble(self.text(cell.value), change)
        return self.text(cell.value)
