"""The shapes of a diagram: cards, edges, plates with a word; one unit is one point, y downwards."""

import colorsys
import dataclasses
import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.patches import Rectangle as Bar
from matplotlib.path import Path

from tf_wgsef.report import _channel_graph_card as card_text
from tf_wgsef.report._channel_graph_boxes import Box
from tf_wgsef.report._channel_graph_card import Card, Tag
from tf_wgsef.report._channel_graph_layout import Point, Rectangle
from tf_wgsef.report._theme import Theme, colour

BARRIER = "#c62828"
_ALONE = "#98a2b0"
_NIGHT, _MOON, _SHINE = "#2c3a4d", "#dfe5ee", "#c9d1dc"  # of inputs, which are dark
_NAMED_COLOURS = 6
_CORNER, _BEND, _ARROW = 4.0, 6.0, 5.0
_GOLDEN = (math.sqrt(5) - 1) / 2
_FIRST_HUE, _LAST_HUE = 0.07, 0.92  # all but red, which is for barriers


@dataclasses.dataclass(frozen=True)
class Pen:
    """Colours and text of one picture.

    Attributes:
        theme: the page's colours.
    """

    theme: Theme

    def set_colour(self, index: int | None) -> str:
        """Returns the colour of a set of tied channels; grey for channels of one box only."""
        if index is None:
            return _ALONE
        if index < _NAMED_COLOURS:
            return colour(index + 1, self.theme)
        # Steps of the golden ratio around the circle keep neighbours apart, however many there are.
        light, strong = ((0.38, 0.50), (0.58, 0.45), (0.48, 0.60))[index % 3]
        hue = _FIRST_HUE + (index * _GOLDEN) % 1 * (_LAST_HUE - _FIRST_HUE)
        return to_hex(colorsys.hls_to_rgb(hue, light, strong))

    def tint(self, shade: str, share: float = 0.09) -> str:
        """Returns a colour thinned with the page's."""
        pairs = zip(to_rgb(shade), to_rgb(self.theme.page), strict=True)
        return to_hex([share * one + (1 - share) * other for one, other in pairs])

    def write(self, axes: Axes, x: float, y: float, text: str, *, size: float, **how) -> None:
        """Writes one line, centred on ``y``; ``how``: color, bold, right (aligned to ``x``), centre."""
        bold, right, centre = (how.pop(key, False) for key in ("bold", "right", "centre"))
        axes.text(
            x, y, text, fontsize=size, color=how.pop("color", self.theme.ink), parse_math=False,
            fontweight="bold" if bold else "normal", va="center_baseline",
            ha="right" if right else "center" if centre else "left", zorder=4, **how,
        )  # fmt: skip


def draw_card(axes: Axes, card: Card, place: Rectangle, pen: Pen) -> None:
    """Draws a box with its text.

    Args:
        axes: where.
        card: what it says.
        place: where on the axes.
        pen: colours.
    """
    box = card.box
    ink, soft = (pen.theme.page, _SHINE) if box.is_input else (pen.theme.ink, pen.theme.soft)
    ink = pen.theme.soft if box.goes else ink
    place = draw_frame(axes, box, place, pen)
    left, right = place.x + card_text.STRIP + card_text.PAD, place.x + place.width - card_text.PAD
    y = place.y + card_text.PAD / 2 + card_text.ROW / 2
    pen.write(axes, left, y, card.name, size=card_text.NAME_SIZE, bold=True, color=ink)
    _draw_tags(axes, card.tags, right, y, box, pen)
    y += (card_text.ROW + card_text.SMALL_ROW) / 2
    for line in card.folded:
        pen.write(axes, left, y, line, size=card_text.SMALL_SIZE, color=soft)
        y += card_text.SMALL_ROW
    y += (card_text.ROW - card_text.SMALL_ROW) / 2
    _write_counts(axes, card, left, right, y, pen, ink, soft)
    y += card_text.ROW / 2
    if box.kept is not None:
        y += 2
        draw_bar(axes, box, Rectangle(left, y, right - left, card_text.BAR), pen)
        y += card_text.BAR + 2
    y += 0.4 * card_text.SMALL_ROW + card_text.SMALL_ROW / 2 - 1
    for line in card.reasons:
        shade = BARRIER if box.barrier is not None else soft
        pen.write(axes, left, y, line, size=card_text.SMALL_SIZE, color=shade)
        y += card_text.SMALL_ROW


def _write_counts(axes: Axes, card: Card, left, right, y, pen: Pen, ink: str, soft: str) -> None:
    room = right - left
    size = card_text.INFO_SIZE
    if card.removed:
        pen.write(axes, right, y, card.removed, size=size, bold=True, right=True, color=ink)
        right -= card_text.text_width(card.removed, size, bold=True) + 4
    pen.write(axes, right, y, card.channels, size=size, right=True, color=ink)
    used = card_text.text_width(card.channels + card.removed, size, bold=True) + 10
    kind = card_text.shorten(card_text.drawable(card.box.kind), card_text.SMALL_SIZE, room - used)
    pen.write(axes, left, y, kind, size=card_text.SMALL_SIZE, color=soft)


def draw_frame(axes: Axes, box: Box, place: Rectangle, pen: Pen) -> Rectangle:
    """Draws a box without its text: border, and at its left the colours of the sets it carries.

    Args:
        axes: where.
        box: whose.
        place: where on the axes.
        pen: colours.

    Returns:
        What is inside: an output has a second border around.
    """
    main = pen.set_colour(box.sets[0][0] if len(box.sets) == 1 else None)
    look = {"facecolor": pen.tint(main), "edgecolor": main, "linewidth": 0.9}
    if box.is_input:
        look = {"facecolor": _NIGHT, "edgecolor": _NIGHT, "linewidth": 0.9}
    if box.goes:
        look = {"facecolor": pen.theme.page, "edgecolor": main, "linewidth": 1.2, "linestyle": (0, (1, 1.6))}
    if box.barrier is not None:
        look = {"facecolor": pen.tint(BARRIER, 0.05), "edgecolor": BARRIER, "linewidth": 1.5}
        look["linestyle"] = (0, (4, 2.2))
    if box.is_output:
        _rounded(axes, place, _CORNER + card_text.RIM, facecolor="none", edgecolor=pen.theme.ink, zorder=2)
        place = place.inset(card_text.RIM)
    frame = _rounded(axes, place, _CORNER, zorder=2, **look)
    y, total = place.y, sum(number for _, number in box.sets) or 1
    for index, number in box.sets:
        height = place.height * number / total
        strip = Bar(
            (place.x, y), card_text.STRIP, height, facecolor=pen.set_colour(index), linewidth=0, zorder=3
        )
        axes.add_patch(strip)
        strip.set_clip_path(frame)
        y += height
    return place


def draw_bar(axes: Axes, box: Box, place: Rectangle, pen: Pen) -> None:
    """Draws the share of a box's channels that stays; what goes is hatched.

    Args:
        axes: where.
        box: whose.
        place: where on the axes.
        pen: colours.
    """
    stays = place.width * (box.kept or 0) / (box.channels or 1)
    shade = _MOON if box.is_input else "#5b6675"
    axes.add_patch(Bar((place.x, place.y), stays, place.height, facecolor=shade, linewidth=0, zorder=3))
    if stays < place.width:
        axes.add_patch(
            Bar(
                (place.x + stays, place.y), place.width - stays, place.height, facecolor=pen.theme.page,
                edgecolor=shade, linewidth=0.6, hatch="/" * 7, zorder=3,
            )
        )  # fmt: skip


def _draw_tags(axes: Axes, tags: Sequence[Tag], right: float, y: float, box: Box, pen: Pen) -> None:
    for tag in reversed(tags):
        draw_tag(axes, tag, right - tag.width, y, pen, inverted=box.is_input)
        right -= tag.width + 3


def draw_tag(axes: Axes, tag: Tag, x: float, y: float, pen: Pen, *, inverted: bool = False) -> None:
    """Draws a word in a plate.

    Args:
        axes: where.
        tag: the word.
        x: left border.
        y: middle.
        pen: colours.
        inverted: whether it stands on a dark box.
    """
    face = pen.theme.ink if tag.set is None else pen.set_colour(tag.set)
    face = _MOON if inverted and tag.set is None else face
    red, green, blue = to_rgb(face)
    dark = 0.3 * red + 0.59 * green + 0.11 * blue < 0.58
    _rounded(axes, Rectangle(x, y - 4.5, tag.width, 9), 2.5, facecolor=face, linewidth=0, zorder=3)
    shade = pen.theme.page if dark else "#1c2430"
    pen.write(
        axes, x + tag.width / 2, y, tag.text, size=card_text.TAG_SIZE, bold=True, centre=True, color=shade
    )


def draw_edge(axes: Axes, route: Sequence[Point], source: Box, pen: Pen) -> None:
    """Draws a line along ``route`` with rounded corners and an arrow at its end.

    Args:
        axes: where.
        route: its corners.
        source: the box that it comes from; the line has its colour.
        pen: colours.
    """
    index = source.sets[0][0] if len(source.sets) == 1 else None
    shade = pen.set_colour(index)
    (x0, y0), (x1, y1) = route[-2:]
    length = math.hypot(x1 - x0, y1 - y0) or 1.0
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    base = (x1 - _ARROW * dx, y1 - _ARROW * dy)
    axes.add_patch(
        PathPatch(
            _rounded_path([*route[:-1], base]), facecolor="none", edgecolor=shade,
            linewidth=1.0 if index is None else 1.5, capstyle="butt", zorder=1,
        )
    )  # fmt: skip
    side = (-dy * _ARROW / 2, dx * _ARROW / 2)
    tip = [(x1, y1), (base[0] + side[0], base[1] + side[1]), (base[0] - side[0], base[1] - side[1])]
    axes.add_patch(Polygon(tip, closed=True, facecolor=shade, linewidth=0, zorder=1))


def _rounded_path(points: Sequence[Point]) -> Path:
    vertices, codes = [points[0]], [Path.MOVETO]
    for before, at, after in zip(points, points[1:], points[2:], strict=False):
        reach = min(_BEND, math.dist(before, at) / 2, math.dist(at, after) / 2)
        vertices += [_towards(at, before, reach), at, _towards(at, after, reach)]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    return Path([*vertices, points[-1]], [*codes, Path.LINETO])


def _towards(start: Point, end: Point, distance: float) -> Point:
    share = distance / (math.dist(start, end) or 1.0)
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def _rounded(axes: Axes, place: Rectangle, corner: float, **look) -> FancyBboxPatch:
    patch = FancyBboxPatch(
        (place.x, place.y), place.width, place.height, boxstyle=f"round,pad=0,rounding_size={corner}", **look
    )
    axes.add_patch(patch)
    return patch
