"""Text that came from a device or from a file's name, made safe to print."""

import unicodedata


def one_line(text: object, *, limit: int = 300) -> str:
    r"""Returns ``text`` in one line without control characters, cut to ``limit`` characters.

    A board's output may hold anything, such as sequences that move the cursor of a terminal.

    Args:
        text: anything.
        limit: the most characters that are kept.

    Example:
        >>> one_line("no\x1b[2J such\nfile")
        'no [2J such file'
    """
    # The categories C*: control, format (writing from right to left), surrogate, private, unassigned.
    plain = (" " if unicodedata.category(one)[0] == "C" else one for one in str(text)[: 4 * limit])
    line = " ".join("".join(plain).split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


def is_plain_word(text: object, *, limit: int = 255) -> bool:
    """Returns whether ``text`` may be an argument: not empty, no option, and printed as it is.

    Args:
        text: anything.
        limit: the most characters.

    Example:
        >>> is_plain_word("/home/pi/my venv/bin/python"), is_plain_word("-oProxyCommand=x")
        (True, False)
    """
    if not isinstance(text, str) or not 0 < len(text) <= limit or text.startswith("-"):
        return False
    return all(unicodedata.category(one)[0] != "C" for one in text)
