"""A results file: one JSON object per line, added as soon as it is known, so that a stopped run goes on."""

import json
import pathlib


def read_rows(path: pathlib.Path) -> list[dict]:
    """The complete lines of a results file; a line cut off by a kill is passed over."""
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            rows.append(row)
    return rows


def append(path: pathlib.Path, row: dict) -> None:
    """Adds a line, on a line of its own even behind one that was cut off."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cut = path.exists() and not path.read_bytes().endswith(b"\n") and path.stat().st_size > 0
    with path.open("a", encoding="utf-8") as file:
        file.write(("\n" if cut else "") + json.dumps(row) + "\n")
