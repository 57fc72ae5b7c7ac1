"""The page of benchmarks/deploy_applications.py: the files of each model, and why some are not right."""

import statistics

from _applications import CLASSES
from _applications_table import header
from _deployed import CALIBRATION, DIFFERENCE, TEST, fails

HEAD = (
    "model",
    "input",
    "parameters",
    "float file",
    "difference / range",
    "int8 file",
    "integers only",
    "top-1 as float",
    "difference / range, mean (largest)",
    "classes",
)
LEGEND = f"""\
Every weight is random, batch norm statistics are those of random inputs, half of the groups are zeroed at
random and stripped ([the same models](applications.md)). Inputs are random images: normal, or of 0 to 255
where the model rescales them itself. {CALIBRATION} of them calibrate int8; what is compared are the scores
(logits) of {TEST} others, on LiteRT. The last bias is set so that each class has a mean score of 0.

- **float file**: bytes; **difference / range**: the largest difference to the stripped Keras model over the
  range of its scores (bar: {DIFFERENCE:g}).
- **int8 file**: weights, activations, inputs and outputs; calibrated after training. **integers only**: no
  float operation is left in the file.
- **top-1 as float**: share of the inputs with the same highest score in the int8 as in the float file.
  **difference / range** of int8 is to the float file. **classes**: how many of the {CLASSES} win on these
  inputs in the float file.

Nothing was trained: the scores of random weights lie closer together than those of a trained network, and
noise has no classes. The agreement says what int8 does to such a network, not what it costs a trained one
([results](results.md) has those).
"""


def render(rows: dict[str, dict], names: list[str], command: str) -> str:
    """The page in Markdown.

    Args:
        rows: {model: what was found}.
        names: all models, in the order of the table.
        command: how the page is made.
    """
    found = [rows[name] for name in names if name in rows]
    parts = ["# Files of keras.applications", header(found, len(names), command), LEGEND, _table(found)]
    parts += [text for text in (_verdict(found), _list("What falls short", found, fails)) if text]
    parts.append(_list("Where int8 is refused", found, lambda row: row.get("int8_reason", "")))
    return "\n".join(part.rstrip() + "\n" for part in parts if part)


def _table(found) -> str:
    lines = [HEAD, ("---",) * len(HEAD), *(_cells(row) for row in found)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(row) -> list[str]:
    if "float_difference" not in row:
        return [row["model"], *["–"] * (len(HEAD) - 2), "failed"]
    cells = [
        row["model"],
        "×".join(map(str, row["input"])),
        f"{row['parameters']:,}",
        f"{row['float_bytes'] / 1e6:.2f} MB",
        f"{row['float_difference']:.1e}",
    ]
    if "int8_bytes" not in row:
        return [*cells, "–", "–", "–", "–", str(row["classes"])]
    return [
        *cells,
        f"{row['int8_bytes'] / 1e6:.2f} MB",
        "yes" if row["integer_only"] else "no",
        f"{row['int8_agreement']:.1%}",
        f"{row['int8_mean_difference']:.1%} ({row['int8_difference']:.0%})",
        str(row["classes"]),
    ]


def _verdict(found) -> str:
    done = [row for row in found if "float_difference" in row]
    if not done:
        return ""
    worst = max(done, key=lambda row: row["float_difference"])
    text = (
        f"{len(done)} of {len(found)} models: float file on LiteRT. Largest difference: "
        f"{worst['float_difference']:.1e} of the range ({worst['model']}). "
    )
    int8 = [row["int8_agreement"] for row in done if "int8_bytes" in row and not row["int8_reason"]]
    if int8:
        text += (
            f"{len(int8)} of them: int8 file on LiteRT. Top-1 as float: median "
            f"{statistics.median(int8):.1%}, {min(int8):.1%} to {max(int8):.1%}."
        )
    return text


def _list(title: str, found, reason) -> str:
    lines = [f"- {row['model']}: {reason(row)}" for row in found if reason(row)]
    return f"## {title}\n\n" + "\n".join(lines) if lines else ""
