"""Kinds of groups of a comparison: one for all layers, or one for each pattern of layer names."""

from collections.abc import Mapping

from tf_wgsef.errors import InputError
from tf_wgsef.groups import KINDS
from tf_wgsef.workflows.compare._pairs import pairs_text, read_pairs


def read_kinds(groups: str | Mapping[str, str]) -> str:
    """Returns the kinds as text, ``"filter"`` or ``"stage1*=depth,*=filter"``, by which runs are told apart.

    Args:
        groups: a kind, {pattern of layer names: kind}, or that text.

    Raises:
        InputError: for anything else.

    Example:
        >>> read_kinds({"stage1*": "depth", "*": "filter"})
        'stage1*=depth,*=filter'
    """
    if isinstance(groups, str) and groups in KINDS:
        return groups
    pairs = read_pairs(groups)
    if pairs is None or any(kind not in tuple(KINDS) for _, kind in pairs):
        raise InputError(
            f"Expected `groups` to be of: {', '.join(KINDS)}; or a table {{layer name or pattern: kind}}, "
            f'such as {{ "block1*" = "depth", "*" = "filter" }}. Received: {groups!r}.'
        )
    return pairs_text(pairs)


def kinds_of(text: str) -> str | dict[str, str]:
    """Returns the kinds as ``build_groups`` takes them.

    Args:
        text: of ``read_kinds``.
    """
    return text if text in KINDS else dict(read_pairs(text))
