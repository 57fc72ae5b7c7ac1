"""Numbers and names as people read them; the one place that decides on units and digits."""

from tf_wgsef.terminal_text import clean

MISSING = "–"
_ASCII = str.maketrans(
    {"–": "-", "−": "-", "×": "x", "µ": "u", "→": "->", "±": "+-", "…": "...", "·": "-", "█": "#"}
)


def ascii_text(text: str) -> str:
    """Returns ``text`` for terminals that know no Unicode."""
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")


def count(value: float | None) -> str:
    """Returns a number of things: "431", "4.31 k", "2.29 M".

    Args:
        value: the number, None if unknown.
    """
    if value is not None and value < 1000:
        return f"{value:.0f}"
    return _scaled(value, ("", " k", " M", " G", " T"))


def size(value: float | None) -> str:
    """Returns a size in bytes in steps of 1000: "812 B", "1.73 MB".

    Args:
        value: bytes, None if unknown.
    """
    if value is not None and value < 1000:
        return f"{value:.0f} B"
    return _scaled(value, (" B", " kB", " MB", " GB", " TB"))


def duration(value: float | None) -> str:
    """Returns a time: "5.30 µs", "1.24 ms", "2.00 s".

    Args:
        value: microseconds, None if unknown.
    """
    return _scaled(value, (" µs", " ms", " s"))


def percent(value: float | None, digits: int = 2) -> str:
    """Returns a share in [0, 1] as "97.78 %".

    Args:
        value: the share, None if unknown.
        digits: after the point.
    """
    return MISSING if value is None else f"{100 * value:.{digits}f} %"


def change(before: float | None, after: float | None) -> str:
    """Returns the change from ``before`` to ``after`` as "−91.6 %", with a true minus sign.

    A change that is not total never reads as −100.0 %. Without a number above 0 to compare with,
    it is empty.
    """
    if before is None or after is None or before <= 0:
        return ""
    value = 100 * (after - before) / before
    if after > 0 and value <= -99.95:
        return f"−{min(-value, 99.99):.2f} %"
    return _signed(value, 1, " %")


def points(before: float | None, after: float | None) -> str:
    """Returns the change of a share in percentage points: "−0.28 points"."""
    if before is None or after is None:
        return ""
    return _signed(100 * (after - before), 2, " points")


def times(ratio: float) -> str:
    """Returns a ratio as "1.04×", "5.2×", "120×": the digits that matter at its size."""
    digits = 2 if ratio < 2 else 1 if ratio < 100 else 0
    return f"{ratio:.{digits}f}×"


def speed_up(ratio: float) -> str:
    """Returns "5.2× faster" or "1.30× slower" for a ratio of time before to time after."""
    return f"{times(ratio)} faster" if ratio >= 1 else f"{times(1 / ratio)} slower"


def plain(value: object) -> str:
    """Returns a value of the environment or of the latency, whatever its type, as clean text."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{clean(key)} {plain(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(plain(item) for item in value)
    return clean(str(value))


def _signed(value: float, digits: int, unit: str) -> str:
    text = f"{abs(value):.{digits}f}"
    sign = "±" if float(text) == 0 else "+" if value > 0 else "−"
    return f"{sign}{text}{unit}"


def _scaled(value: float | None, units: tuple[str, ...]) -> str:
    if value is None:
        return MISSING
    rounded = float(f"{value:.3g}")
    for unit in units[:-1]:
        if rounded < 1000:
            return _three_digits(rounded) + unit
        value /= 1000
        rounded = float(f"{value:.3g}")
    return _three_digits(rounded) + units[-1]


def _three_digits(rounded: float) -> str:
    digits = 0 if rounded >= 100 else 1 if rounded >= 10 else 2
    return f"{rounded:.{digits}f}"
