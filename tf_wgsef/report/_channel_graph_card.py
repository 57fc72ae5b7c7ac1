"""The text of a diagram's boxes, measured and wrapped, so that the layout knows the size of each box."""

import dataclasses
import functools
from collections.abc import Iterable, Iterator

from matplotlib.font_manager import FontProperties, findfont, get_font

from tf_wgsef.report import _format
from tf_wgsef.report._channel_graph_boxes import Box

NAME_SIZE, INFO_SIZE, SMALL_SIZE, TAG_SIZE = 8.5, 7.0, 6.5, 6.0
PAD, STRIP, ROW, SMALL_ROW, BAR = 8.0, 6.0, 12.0, 9.0, 4.5
RIM = 2.5  # between the two borders of an output
_NARROWEST, _WIDEST = 140.0, 230.0
_MOST_TAGS = 3
# Text is measured large, where letters are not fitted to dots; drawn small, it may be a little wider.
_MEASURED, _SLACK = 100.0, 1.03
_FOLDED_LINES, _REASON_LINES, _REASONS = 4, 3, 2


@dataclasses.dataclass(frozen=True)
class Tag:
    """A word in a small coloured plate.

    Attributes:
        text: the word.
        set: index of the set of tied channels that it names, None for another word.
        width: of the plate.
    """

    text: str
    set: int | None
    width: float


@dataclasses.dataclass(frozen=True)
class Card:
    """A box's text, ready to draw.

    Attributes:
        box: what it says.
        width: of the box.
        height: of the box.
        name: the layer's name, shortened to fit.
        tags: right of the name.
        folded: lines with the names of the layers behind it.
        channels: "64 channels" or "12 of 64".
        removed: "−52", or "".
        reasons: lines that say why channels stay.
    """

    box: Box
    width: float
    height: float
    name: str
    tags: tuple[Tag, ...]
    folded: tuple[str, ...]
    channels: str
    removed: str
    reasons: tuple[str, ...]


def make_cards(boxes: Iterable[Box]) -> tuple[Card, ...]:
    """Returns one card per box, all of the same width.

    Args:
        boxes: what they say.
    """
    boxes = tuple(boxes)
    width = min(max([_NARROWEST, *(_natural_width(box) for box in boxes)]), _WIDEST)
    return tuple(_make_card(box, width) for box in boxes)


def set_letters(index: int) -> str:
    """Returns the name of a set of tied channels: A to Z, then AA, AB and so on.

    Args:
        index: of the set, from 0.

    Example:
        >>> set_letters(0), set_letters(25), set_letters(26)
        ('A', 'Z', 'AA')
    """
    before, last = divmod(index, 26)
    return (set_letters(before - 1) if before else "") + chr(ord("A") + last)


@functools.lru_cache(maxsize=4096)
def text_width(text: str, size: float, *, bold: bool = False) -> float:
    """Returns the width of a line of text in points.

    Args:
        text: one line.
        size: of the font.
        bold: whether it is bold.
    """
    font = _font(bold)
    font.set_size(_MEASURED, 72)
    font.set_text(text)
    return _SLACK * size * font.get_width_height()[0] / 64 / _MEASURED


def wrap(text: str, size: float, width: float, *, lines: int) -> tuple[str, ...]:
    """Breaks a text into at most ``lines`` lines; what does not fit is cut.

    Args:
        text: any text.
        size: of the font.
        width: of a line, in points.
        lines: how many at most.
    """
    found: list[str] = []
    for word in text.split():
        word = shorten(word, size, width)
        if found and text_width(f"{found[-1]} {word}", size) <= width:
            found[-1] += f" {word}"
        else:
            found.append(word)
    if len(found) > lines:
        found[lines - 1 :] = [shorten(" ".join(found[lines - 1 :]), size, width, end=True)]
    return tuple(found)


def shorten(text: str, size: float, width: float, *, bold: bool = False, end: bool = False) -> str:
    """Returns ``text`` with "…" in its middle, or at its end, where it is wider than ``width``.

    Args:
        text: one line.
        size: of the font.
        width: in points.
        bold: whether it is bold.
        end: whether to cut its end.
    """
    for length in range(min(len(text), 300), 0, -1):
        tail = 0 if end else length // 2
        cut = text if length == len(text) else f"{text[: length - tail]}…{text[len(text) - tail :]}"
        if text_width(cut, size, bold=bold) <= width:
            return cut
    return ""


def drawable(text: str) -> str:
    """Returns text from a model without what steers a terminal or what the font lacks.

    Args:
        text: such as a layer's name.
    """
    known = _font(False).get_charmap()
    return "".join(char if ord(char) in known else "□" for char in _format.clean(text))


def _font(bold: bool):
    return get_font(findfont(FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")))


def _make_card(box: Box, width: float) -> Card:
    inside = width - STRIP - 2 * PAD
    tags = tuple(_tags(box))
    for_name = inside - sum(tag.width + 3 for tag in tags)
    folded = wrap(_folded_text(box), SMALL_SIZE, inside, lines=_FOLDED_LINES)
    reasons = tuple(
        line
        for text in _reason_texts(box)
        for line in wrap(drawable(text), SMALL_SIZE, inside, lines=_REASON_LINES)
    )
    small_rows = len(folded) + len(reasons) + (0.4 if reasons else 0)
    bar = BAR + 4 if box.kept is not None else 0
    rims = 2 * RIM if box.is_output else 0
    return Card(
        box=box,
        width=width + rims,
        height=2 * ROW + SMALL_ROW * small_rows + bar + PAD + rims,
        name=shorten(drawable(box.name), NAME_SIZE, for_name, bold=True),
        tags=tags,
        folded=folded,
        channels=_channels_text(box),
        removed=_removed_text(box),
        reasons=reasons,
    )


def _natural_width(box: Box) -> float:
    tags = sum(tag.width + 3 for tag in _tags(box))
    name = text_width(drawable(box.name), NAME_SIZE, bold=True) + tags
    count = text_width(_channels_text(box), INFO_SIZE)
    count += text_width(_removed_text(box), INFO_SIZE, bold=True)
    info = text_width(drawable(box.kind), SMALL_SIZE) + count + 16
    return STRIP + 2 * PAD + max(name, info) + 4


def _tags(box: Box) -> Iterator[Tag]:
    """Whether it is an input or an output, and the sets of tied channels that it carries."""
    words = [("input", None)] * box.is_input + [("output", None)] * box.is_output
    sets = [index for index, _ in box.sets if index is not None]
    words += [(set_letters(index), index) for index in sets[:_MOST_TAGS]]
    words += [(f"+{len(sets) - _MOST_TAGS}", None)] * (len(sets) > _MOST_TAGS)
    for word, index in words:
        yield Tag(word, index, text_width(word, TAG_SIZE, bold=True) + 7)


def _folded_text(box: Box) -> str:
    """The names of the folded layers, without what they share with the first one's: "+ …_bn + …_relu"."""
    start = box.name[: max(box.name.rfind("_"), box.name.rfind("/")) + 1]
    short = [
        f"…{name[len(start) - 1 :]}" if len(start) >= 4 and name.startswith(start) else name
        for name in box.folded
    ]
    return " ".join(f"+ {drawable(name)}" for name in short)


def _channels_text(box: Box) -> str:
    if box.kept is None:
        return f"{box.channels:,} channel{'s' if box.channels != 1 else ''}"
    return f"{box.kept:,} of {box.channels:,}"


def _removed_text(box: Box) -> str:
    gone = box.channels - box.kept if box.kept is not None else 0
    return f"−{gone:,}" if gone else ""


def _reason_texts(box: Box) -> list[str]:
    if box.barrier is not None:
        return [f"barrier: {box.barrier}"]
    texts = [
        f"{'all' if number == box.channels else f'{number:,}'} stay: {reason}"
        for number, reason in box.stays[:_REASONS]
    ]
    more = len(box.stays) - _REASONS
    return [*texts, f"and {more} reason{'s' if more > 1 else ''} more"] if more > 0 else texts
