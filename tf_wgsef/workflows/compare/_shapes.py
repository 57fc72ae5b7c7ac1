"""Shapes: how many groups stay of each layer, by name pattern, such as SSL's 3 and 12 filters of LeNet-5."""

from collections.abc import Mapping

import keras

from tf_wgsef.errors import InputError
from tf_wgsef.groups import build_groups
from tf_wgsef.training import preset_level
from tf_wgsef.validation import check_count
from tf_wgsef.workflows.compare._pairs import pairs_text, read_pairs


def read_shape(shape: str | Mapping) -> str:
    """Returns a shape as text, ``"conv1=3,conv2=12"``, the form in which runs are told apart.

    Args:
        shape: {pattern of layer names: number of groups that stay}, or that text.

    Raises:
        InputError: for anything else.

    Example:
        >>> read_shape({"conv1": 3, "conv2": 12})
        'conv1=3,conv2=12'
    """
    pairs = read_pairs(shape)
    if pairs is None:
        raise _no_shape(shape)
    try:
        return pairs_text([(name, check_count("shapes", _number(count))) for name, count in pairs])
    except InputError as error:
        raise _no_shape(shape) from error


def shape_counts(shape: str) -> dict[str, int]:
    """Returns {pattern of layer names: number of groups that stay}.

    Args:
        shape: of ``read_shape``.
    """
    return {name: int(count) for name, count in read_pairs(shape)}


def share_removed(shape: str, model: keras.Model, kinds: str | dict[str, str]) -> float:
    """Returns the share of the groups that goes, of the layers that the shape names.

    Args:
        shape: of ``read_shape``.
        model: the network.
        kinds: of the groups, as ``build_groups`` takes them.

    Raises:
        InputError: if the network has no such layer, or fewer groups, or none would go.
    """
    pools = preset_level(build_groups(model, kind=kinds), k=shape_counts(shape)).pools
    share = 1 - sum(pool.k for pool in pools) / sum(len(pool.groups) for pool in pools)
    if not share:
        raise InputError(f"Expected a shape that removes something. Received: {shape!r}, which keeps all.")
    return share


def _number(count):
    """Of text the number, or -1; anything else as it is."""
    if not isinstance(count, str):
        return count
    return int(count) if count.isdecimal() and len(count) < 10 else -1


def _no_shape(shape) -> InputError:
    return InputError(
        f"Expected `shapes` to be tables {{layer name or pattern: number of groups that stay}}, such as "
        f'{{ conv1 = 3, conv2 = 12 }}, or "conv1=3,conv2=12". Received: {shape!r}.'
    )
