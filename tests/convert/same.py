"""What two files of one model must have in common."""


def assert_same_operations(one, other) -> None:
    """The same operations in the same order, and ends of the same names; both as ``read_graph`` reads."""
    assert [a.kind for a in one.operations] == [b.kind for b in other.operations]
    assert list(one.inputs) == list(other.inputs)
    assert list(one.outputs) == list(other.outputs)
