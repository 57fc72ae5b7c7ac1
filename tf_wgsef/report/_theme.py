"""Colours and settings of the picture, light and dark."""

import dataclasses
from typing import Any

BASELINE = "#8a919c"
# Okabe and Ito's colours, in an order that keeps like ones apart.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")


@dataclasses.dataclass(frozen=True)
class Theme:
    """Colours of one kind of page.

    Attributes:
        page: background.
        ink: text.
        soft: secondary text and lines.
        track: what a bar runs in.
        grid: grid lines.
    """

    page: str
    ink: str
    soft: str
    track: str
    grid: str

    @classmethod
    def of(cls, dark: bool) -> "Theme":
        """Returns the dark or the light theme."""
        if dark:
            return cls("#171b22", "#e8ebf0", "#a4adba", "#2b323d", "#2b323d")
        return cls("#ffffff", "#1c2430", "#5b6675", "#e6e9ee", "#e6e9ee")


def colour(index: int, theme: Theme) -> str:
    """Returns the colour of the variant or curve at ``index``; the first, the baseline, is grey."""
    if index == 0:
        return BASELINE
    chosen = _COLOURS[(index - 1) % len(_COLOURS)]
    # The darkest blue is too dark for small shapes on a dark page.
    return "#2b8fd0" if chosen == "#0072B2" and theme == Theme.of(True) else chosen


def style(theme: Theme) -> dict[str, Any]:
    """Returns the matplotlib settings that the picture is drawn with, whatever the user's are."""
    return {
        "font.family": ["DejaVu Sans"],
        "font.size": 9,
        "text.usetex": False,
        "text.color": theme.ink,
        "axes.facecolor": theme.page,
        "axes.edgecolor": theme.grid,
        "axes.labelcolor": theme.soft,
        "axes.titlecolor": theme.ink,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlepad": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.grid": True,
        "axes.grid.axis": "x",
        "axes.axisbelow": True,
        "axes.formatter.use_mathtext": False,
        "axes.unicode_minus": True,
        "grid.color": theme.grid,
        "grid.linewidth": 0.8,
        "xtick.color": theme.soft,
        "ytick.color": theme.soft,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 9,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "savefig.facecolor": theme.page,
        "savefig.bbox": None,
        "figure.constrained_layout.h_pad": 0.12,
        "figure.constrained_layout.w_pad": 0.12,
    }
