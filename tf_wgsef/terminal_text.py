"""Text that came from a file, a device or another library, fit for a terminal."""

import unicodedata


def clean(name: str) -> str:
    r"""Returns ``name`` without characters that could steer a terminal or reorder a line.

    Line breaks and tabs become spaces; other control, format (such as right-to-left overrides) and
    surrogate characters become their escape, so that they show and do nothing.

    Args:
        name: text that came from a file.

    Example:
        >>> clean("conv\x1b[2J")
        'conv\\x1b[2J'
    """
    text = " ".join(name.split()) if any(char in name for char in "\n\r\t") else name
    return "".join(
        char.encode("unicode_escape").decode("ascii")
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else char
        for char in text
    )


def first_line(error: Exception, limit: int = 300) -> str:
    r"""Returns the first line of what another library's error says; the error's class if it says nothing.

    Args:
        error: the error.
        limit: at most so many characters.

    Example:
        >>> first_line(ValueError("no such layer\n\nArguments received: …"))
        'no such layer'
    """
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:limit]
