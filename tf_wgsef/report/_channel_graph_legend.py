"""What the colours and marks of a diagram mean; only those that it has."""

import dataclasses
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes

from tf_wgsef.report._channel_graph_boxes import Box, Diagram
from tf_wgsef.report._channel_graph_card import Tag, wrap
from tf_wgsef.report._channel_graph_layout import Rectangle
from tf_wgsef.report._channel_graph_shapes import Pen, draw_bar, draw_frame, draw_tag

_SIZE, _ROW, _GAP = 7.5, 10.0, 6.0
_SAMPLE, _COLUMN, _MOST_COLUMNS = 34.0, 300.0, 3
_PLAIN = Box("", "", (), 10, None, ((None, 10),), None, (), False, False)

Draw = Callable[[Axes, Rectangle, Pen], None]


@dataclasses.dataclass(frozen=True)
class Entry:
    """One line of the legend.

    Attributes:
        text: what the sample means.
        draw: draws the sample into a rectangle.
    """

    text: str
    draw: Draw


def legend_entries(diagram: Diagram) -> list[Entry]:
    """Returns what a reader of ``diagram`` has to know.

    Args:
        diagram: what is drawn.
    """
    boxes = diagram.boxes
    alone = any(index is None for box in boxes for index, _ in box.sets if not box.is_input)
    every = [
        (diagram.sets, "one colour and letter: the same channels; they stay or go together", _tied),
        (any(len(box.sets) > 1 for box in boxes), "several colours: the channels of several sets", _mixed),
        (alone, "grey: channels that no other box carries", _frame()),
        (any(box.kept is not None for box in boxes), "channels that stay; hatched, −6: those that go", _bar),
        (any(box.goes for box in boxes), "dotted: goes as a whole", _frame(kept=0)),
        (any(box.folded for box in boxes), "element-wise layers, in the box of the layer before", _folded),
        (
            any(box.barrier for box in boxes),
            "dashed, a barrier: all that it touches stays",
            _frame(barrier=" "),
        ),
        (True, "input of the model", _frame(is_input=True)),
        (True, "output of the model: all its channels stay", _frame(is_output=True)),
    ]
    return [Entry(text, draw) for wanted, text, draw in every if wanted]


def legend_height(entries: Sequence[Entry], width: float) -> float:
    """Returns the height of the legend.

    Args:
        entries: its lines.
        width: of the picture.
    """
    return sum(_row_heights(entries, width))


def draw_legend(axes: Axes, entries: Sequence[Entry], x: float, y: float, width: float, pen: Pen) -> None:
    """Draws the legend, in as many columns as fit.

    Args:
        axes: where.
        entries: its lines.
        x: left border.
        y: upper border.
        width: of the picture.
        pen: colours.
    """
    columns, column = _columns(width)
    for row, height in enumerate(_row_heights(entries, width)):
        for place, entry in enumerate(entries[row * columns : (row + 1) * columns]):
            left = x + place * column
            entry.draw(axes, Rectangle(left, y, _SAMPLE - 8, 12), pen)
            for number, line in enumerate(_lines(entry, column)):
                pen.write(axes, left + _SAMPLE, y + 6 + number * _ROW, line, size=_SIZE, color=pen.theme.soft)
        y += height


def _row_heights(entries: Sequence[Entry], width: float) -> list[float]:
    columns, column = _columns(width)
    rows = [entries[start : start + columns] for start in range(0, len(entries), columns)]
    return [max(12, _ROW * max(len(_lines(entry, column)) for entry in row)) + _GAP for row in rows]


def _columns(width: float) -> tuple[int, float]:
    number = min(max(1, int(width // _COLUMN)), _MOST_COLUMNS)
    return number, min(width / number, 1.2 * _COLUMN)


def _lines(entry: Entry, column: float) -> tuple[str, ...]:
    return wrap(entry.text, _SIZE, column - _SAMPLE - 6, lines=3)


def _frame(**changes) -> Draw:
    box = dataclasses.replace(_PLAIN, **changes)
    return lambda axes, place, pen: draw_frame(axes, box, place, pen)


def _tied(axes: Axes, place: Rectangle, pen: Pen) -> None:
    draw_frame(axes, dataclasses.replace(_PLAIN, sets=((0, 10),)), place, pen)
    draw_tag(axes, Tag("A", 0, 11), place.x + 10.5, place.y + 6, pen)


def _mixed(axes: Axes, place: Rectangle, pen: Pen) -> None:
    draw_frame(axes, dataclasses.replace(_PLAIN, sets=((0, 5), (1, 5))), place, pen)


def _bar(axes: Axes, place: Rectangle, pen: Pen) -> None:
    draw_bar(
        axes, dataclasses.replace(_PLAIN, kept=4), Rectangle(place.x, place.y + 4, place.width, 4.5), pen
    )


def _folded(axes: Axes, place: Rectangle, pen: Pen) -> None:
    pen.write(axes, place.x, place.y + 6, "+ bn", size=6.5, color=pen.theme.soft)
