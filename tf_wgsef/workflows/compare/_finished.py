"""The runs of a results file that are done, whoever wrote the file."""

import dataclasses
import json
import pathlib

from tf_wgsef.report import FIGURES
from tf_wgsef.validation import is_finite_number
from tf_wgsef.workflows.compare._results_file import read_rows
from tf_wgsef.workflows.compare._run import Run

# What lines of earlier versions lack.
_SINCE = {
    field.name: field.default for field in dataclasses.fields(Run) if field.default is not dataclasses.MISSING
}


def finished_runs(file: pathlib.Path) -> dict[Run, dict]:
    """Returns {run: its row} of the file; a row that is no finished run of ours is passed over."""
    names = [field.name for field in dataclasses.fields(Run)]
    rows = [row for row in ({**_SINCE, **row} for row in read_rows(file)) if _is_finished(row)]
    return {Run(**{name: row[name] for name in names}): row for row in rows}


def _is_finished(row: dict) -> bool:
    """Whether the row has all settings of a run, says how accurate it was, and its figures are numbers."""
    try:
        json.dumps(row, allow_nan=False)  # NaN and infinity, which Python reads, are no JSON
    except ValueError:
        return False
    settings = all(_is_of(row.get(field.name), field.type) for field in dataclasses.fields(Run))
    measured = {name: row[name] for name in FIGURES if row.get(name) is not None}
    numbers = all(is_finite_number(value) and value >= 0 for value in measured.values())
    if not (settings and numbers and "accuracy" in measured and isinstance(row.get("data"), str)):
        return False
    shares = [value for name, value in measured.items() if name.startswith("accuracy")]
    level = row["level"]  # a shape may take all that it names
    return (0 <= level < 1 or (level == 1 and row["shape"] is not None)) and max(shares) <= 1


def _is_of(value, kind) -> bool:
    """Whether a value of JSON is of an attribute's type: true is no number, 1 not true, 3 a float too."""
    if isinstance(value, bool):
        return kind is bool
    if isinstance(value, int) and not isinstance(value, kind):
        return is_finite_number(value) and isinstance(float(value), kind)
    return isinstance(value, kind)
