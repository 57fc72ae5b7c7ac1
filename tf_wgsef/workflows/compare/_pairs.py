"""Tables {pattern of layer names: value}, and their text, by which runs are told apart."""

from collections.abc import Mapping


def read_pairs(table: str | Mapping) -> list[tuple[str, object]] | None:
    """Returns the pairs of a table or of its text, whose values are text then; None for anything else.

    Args:
        table: {pattern: value}, or its text. Patterns are not empty and hold neither ``,`` nor ``=``.

    Example:
        >>> read_pairs("conv1=3, conv2=12")
        [('conv1', '3'), ('conv2', '12')]
    """
    if isinstance(table, str):
        parts = [part.strip().rpartition("=") for part in table.split(",")]
        pairs = [(name.strip(), value.strip()) for name, _, value in parts]
    else:
        pairs = list(table.items()) if isinstance(table, Mapping) else []
    names = [name for name, _ in pairs if isinstance(name, str) and name and not set(name) & set(",=")]
    whole = pairs and len(names) == len(pairs) and len(set(names)) == len(names)
    return pairs if whole else None


def pairs_text(pairs: list[tuple[str, object]]) -> str:
    """Returns the text of pairs.

    Example:
        >>> pairs_text([("conv1", 3), ("conv2", 12)])
        'conv1=3,conv2=12'
    """
    return ",".join(f"{name}={value}" for name, value in pairs)
