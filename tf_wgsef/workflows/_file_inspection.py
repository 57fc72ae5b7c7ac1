"""What a ``.tflite`` file holds, for people."""

import json

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tf_wgsef.convert import FileContents, read_contents
from tf_wgsef.terminal_text import clean

_WEIGHTS = 20


def inspect_file(path: str) -> FileContents:
    """Reads what a ``.tflite`` file holds; nothing in it is run.

    Args:
        path: the file.

    Raises:
        InputError: if it is no ``.tflite`` file, or a damaged one.

    Example:
        >>> inspect_file(path).integer_only
        False
    """
    return read_contents(path)


def contents_view(contents: FileContents) -> Group:
    """Returns what ``rich`` prints of a file.

    Args:
        contents: from ``inspect_file``.
    """
    arena = "unknown" if contents.arena_bytes is None else f"{contents.arena_bytes:,} bytes at least"
    sections = ", ".join(f"{size:,} {name}" for name, size in contents.sections.items())
    lines = [
        f"{contents.bytes:,} bytes ({sections}); computes with {contents.numbers}",
        f"sha256 {contents.sha256}",
        *(f"input {one}" for one in contents.inputs),
        *(f"output {one}" for one in contents.outputs),
        f"activations on a microcontroller (arena): {arena}",
    ]
    if contents.custom:
        lines.append(f"not built into the runtime: {', '.join(contents.custom)}")
    lines += [f"{clean(name)}: {_short(value)}" for name, value in sorted((contents.metadata or {}).items())]
    return Group(Text("\n".join(lines)), _operators(contents), _weights(contents))


def _operators(contents: FileContents) -> Table:
    table = Table("Operator", box=box.SIMPLE_HEAD)
    table.add_column("Count", justify="right")
    table.add_column("Weights, bytes", justify="right")
    for kind, count in contents.operators.items():
        size = sum(one.bytes for one in contents.weights if one.operator == kind)
        table.add_row(escape(kind), str(count), f"{size:,}")
    return table


def _weights(contents: FileContents) -> Table:
    rest = contents.weights[_WEIGHTS:]
    note = f"and {len(rest)} more of {sum(one.bytes for one in rest):,} bytes" if rest else None
    table = Table(box=box.SIMPLE_HEAD, caption=note)
    table.add_column("Largest weights", overflow="fold")
    table.add_column("Shape")
    table.add_column("Type")
    table.add_column("Bytes", justify="right")
    for one in contents.weights[:_WEIGHTS]:
        kind = f"{one.dtype}, sparse" if one.sparse else one.dtype
        shape = " × ".join(map(str, one.shape))
        table.add_row(escape(one.name.partition(";")[0]), shape, kind, f"{one.bytes:,}")
    return table


def _short(value) -> str:
    """Returns a value from a file in one line, without control characters."""
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 300 else f"{text[:300]}…"
