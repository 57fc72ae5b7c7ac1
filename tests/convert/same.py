"""What two files of one model must have in common."""

import numpy as np

from tf_wgsef.convert._schema import read_buffer, read_graph


def assert_same_files(mine, theirs) -> None:
    """The same operations on the same tensors: names, types, quantization and what is stored."""
    one, other = read_graph(mine), read_graph(theirs)
    assert_same_operations(one, other)
    for a, b in zip(one.operations, other.operations, strict=True):
        for x, y in zip((*a.inputs, *a.outputs), (*b.inputs, *b.outputs), strict=True):
            assert (x < 0) == (y < 0)
            if x >= 0:
                _assert_same_tensors((mine, one.tensors[x]), (theirs, other.tensors[y]))


def assert_same_operations(one, other) -> None:
    """The same operations in the same order, and ends of the same names; both as ``read_graph`` reads."""
    assert [a.kind for a in one.operations] == [b.kind for b in other.operations]
    assert list(one.inputs) == list(other.inputs)
    assert list(one.outputs) == list(other.outputs)


def _assert_same_tensors(mine, theirs):
    (_, a), (_, b) = mine, theirs
    assert (a.name, a.shape, a.dtype, a.stored) == (b.name, b.shape, b.dtype, b.stored)
    assert a.zero_points == b.zero_points
    np.testing.assert_allclose(a.scales, b.scales, rtol=1e-5)
    if a.stored:
        values = [np.frombuffer(read_buffer(file, one.buffer), one.dtype) for file, one in (mine, theirs)]
        # A bias of int64 is counted in products of scales, and those of activations differ by 2e-7.
        np.testing.assert_allclose(*values, rtol=1e-6 if a.dtype == "int64" else 0, atol=a.dtype == "int64")
