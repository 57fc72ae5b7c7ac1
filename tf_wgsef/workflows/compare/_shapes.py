"""Shapes: how many groups stay of each layer, by name pattern, such as SSL's 3 and 12 filters of LeNet-5."""

from collections.abc import Mapping

import keras

from tf_wgsef.errors import InputError
from tf_wgsef.groups import build_groups
from tf_wgsef.training import preset_level
from tf_wgsef.validation import check_positive_int


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
    if isinstance(shape, str):
        parts = [part.strip().rpartition("=") for part in shape.split(",")]
        pairs = [(name.strip(), _number(count.strip())) for name, _, count in parts]
    else:
        pairs = list(shape.items()) if isinstance(shape, Mapping) else []
    names = [name for name, _ in pairs if isinstance(name, str) and name and not set(name) & set(",=")]
    if not pairs or len(names) < len(pairs) or len(set(names)) < len(names):
        raise _no_shape(shape)
    try:
        return ",".join(f"{name}={check_positive_int('shapes', count)}" for name, count in pairs)
    except InputError as error:
        raise _no_shape(shape) from error


def shape_counts(shape: str) -> dict[str, int]:
    """Returns {pattern of layer names: number of groups that stay}.

    Args:
        shape: of ``read_shape``.
    """
    return {name: int(count) for name, _, count in (part.rpartition("=") for part in shape.split(","))}


def share_removed(shape: str, model: keras.Model, kind: str) -> float:
    """Returns the share of the groups that goes, of the layers that the shape names.

    Args:
        shape: of ``read_shape``.
        model: the network.
        kind: of the groups.

    Raises:
        InputError: if the network has no such layer, or fewer groups, or none would go.
    """
    pools = preset_level(build_groups(model, kind=kind), k=shape_counts(shape)).pools
    share = 1 - sum(pool.k for pool in pools) / sum(len(pool.groups) for pool in pools)
    if not share:
        raise InputError(f"Expected a shape that removes something. Received: {shape!r}, which keeps all.")
    return share


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _no_shape(shape) -> InputError:
    return InputError(
        f"Expected `shapes` to be tables {{layer name or pattern: number of groups that stay}}, such as "
        f'{{ conv1 = 3, conv2 = 12 }}, or "conv1=3,conv2=12". Received: {shape!r}.'
    )
