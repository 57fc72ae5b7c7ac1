"""Groups inside kernels: filter shapes, spatial positions, blocks of the lowered matrix, single weights."""

import numpy as np

from tf_wgsef.graph import ChannelGraph
from tf_wgsef.groups._draft import Draft, Slices


def filter_shape_groups(graph: ChannelGraph, layers: set[str]) -> Draft:
    """kernel[i, j, c, :] over all filters c reads from one position (Wen et al. 2016, eq. 5, shape-wise).

    In the lowered matrix of a convolution that is one row; of a dense layer too.
    """
    return _of_kernels(graph, layers, "filter_shape", lambda shape: (len(shape) - 1, _numbered(shape[:-1])))


def spatial_groups(graph: ChannelGraph, layers: set[str]) -> Draft:
    """kernel[i, j, :, :]: one position of the window for all channels; rows and columns at the border go."""

    def window(shape):
        return (len(shape) - 2, _numbered(shape[:-2])) if len(shape) > 2 else None

    return _of_kernels(graph, layers, "spatial", window)


def block_groups(graph: ChannelGraph, layers: set[str], block: tuple[int, int]) -> Draft:
    """Blocks of (rows, columns) of the lowered matrix: inputs · window by filters.

    What remains at the edges forms smaller blocks.
    """
    height, width = block

    def blocks(shape):
        rows, columns = int(np.prod(shape[:-1])), shape[-1]
        across = -(-columns // width)
        ids = np.arange(rows)[:, None] // height * across + np.arange(columns) // width
        return len(shape), ids.reshape(shape).astype(np.int32)

    return _of_kernels(graph, layers, "block", blocks)


def element_groups(graph: ChannelGraph, layers: set[str]) -> Draft:
    """Every single weight of a kernel."""
    return _of_kernels(graph, layers, "element", lambda shape: (len(shape), _numbered(shape)))


def kernels(graph: ChannelGraph) -> dict[str, list]:
    """{layer name: its kernels}: variables of two axes or more with channels, in order of execution."""
    found: dict[str, list] = {}
    for call, axes in zip(graph.calls, graph.parameters, strict=True):
        for axis in axes:
            known = found.setdefault(call.name, [])
            is_kernel = len(axis.variable.shape) > 1 and "bias" not in axis.variable.name
            if is_kernel and axis.role != "state" and not any(axis.variable is one for one in known):
                known.append(axis.variable)
    return {name: variables for name, variables in found.items() if variables}


def _of_kernels(graph: ChannelGraph, layers: set[str], kind: str, cut) -> Draft:
    """One draft over all kernels; ``cut(shape)`` returns (number of leading axes, ids along them) or None."""
    sizes: dict[str, int] = {}
    slices, seen = [], set()
    for name, variables in kernels(graph).items():
        for variable in variables if name in layers else ():
            found = cut(tuple(variable.shape)) if id(variable) not in seen else None
            if found is None:
                continue
            seen.add(id(variable))
            rank, ids = found
            slices.append(Slices(variable, tuple(range(rank)), ids + np.int32(sum(sizes.values()))))
            sizes[name] = sizes.get(name, 0) + int(ids.max()) + 1
    return Draft(kind, sizes, tuple(slices))


def _numbered(shape) -> np.ndarray:
    return np.arange(int(np.prod(shape)), dtype=np.int32).reshape(shape)
