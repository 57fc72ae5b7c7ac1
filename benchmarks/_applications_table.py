"""The page of benchmarks/strip_applications.py: a table of the models, and why channels stayed."""

from _applications import LARGE_FILE, LATENCY, LATENCY_LARGE, SAMPLES, fails

HEAD = (
    "model",
    "input",
    "parameters",
    "MACs",
    "file (float32)",
    "latency p50",
    "faster",
    "strip",
    "peak / model",
    "difference / range",
    "one-ulp nudge",
    "zero groups left",
    "channels in groups",
    "layers with a reason",
)
LEGEND = f"""\
Every weight is random, and batch norm statistics are those of random inputs, so that no depth drowns the
signal; then half of the groups are zeroed at random.

- **parameters, MACs, file, latency**: before → after; MACs of one sample, files in float32.
- **latency**: one thread, batch 1, both files in turns: {LATENCY["rounds"]} rounds, at least
  {LATENCY["min_runs"]} runs and {LATENCY["min_seconds"]:g} s of each; of files above
  {LARGE_FILE / 1e6:.0f} MB {LATENCY_LARGE["rounds"]} rounds and {LATENCY_LARGE["min_runs"]} runs.
  **faster**: median ratio over the rounds and its 99 % bootstrap interval ([how](measuring.md)).
- **strip**: seconds of `tf_wgsef.strip`, its proof included. **peak / model**: weights of the model plus the
  highest rise of resident memory during strip, over the weights of the model.
- **difference / range**: the largest output difference over the output range, the worse of strip's own proof
  (40 random inputs) and of {SAMPLES} other inputs. **one-ulp nudge**: the same figure of the model before the
  strip when its inputs move to the next float32: what rounding alone can do.
- **zero groups left**: channels that are still there though their group is zero. **channels in groups**: the
  share of the channels of convolutions and dense layers (the last one aside) that groups hold.
  **layers with a reason**: layers that kept channels that could not go, for whatever reason; see below.
"""


def render(rows: dict[str, dict], names: list[str], command: str) -> str:
    """The page in Markdown.

    Args:
        rows: {model: what was found}.
        names: all models, in the order of the table.
        command: how the page is made.
    """
    found = [rows[name] for name in names if name in rows]
    parts = ["# Strip on keras.applications", header(found, len(names), command), LEGEND, _table(found)]
    parts += [text for text in (_verdict(found), _failures(found), _left(found), _reasons(found)) if text]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def header(found, total: int, command: str) -> str:
    """When, where and with what the rows were made."""
    machines = dict.fromkeys(row["machine"] for row in found if "machine" in row)
    versions = dict.fromkeys(row["versions"] for row in found if "versions" in row)
    dates = sorted(row["date"] for row in found if "date" in row) or ["no date"]
    when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    seconds = sum(row.get("seconds", 0) for row in found)
    return (
        f"`{command}`: {len(found)} of {total} models, {seconds / 60:.0f} minutes in all. "
        f"Machine: {'; '.join(machines) or 'unknown'}. "
        f"Versions: {'; '.join(versions) or 'unknown'}. {when}.\n"
    )


def _table(found) -> str:
    lines = [HEAD, ("---",) * len(HEAD), *(_cells(row) for row in found)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _cells(row) -> list[str]:
    if "parameters" not in row:
        return [row["model"], *["–"] * (len(HEAD) - 2), "failed"]
    total, covered = row["channels"]
    return [
        row["model"],
        "×".join(map(str, row["input"])),
        " → ".join(f"{one:,}" for one in row["parameters"]),
        " → ".join(f"{one / 1e6:.1f} M" for one in row["macs"]),
        " → ".join(f"{one / 1e6:.2f} MB" for one in row["file"]) if "file" in row else "–",
        " → ".join(_milliseconds(one) for one in row["latency_us"]) if "file" in row else "–",
        "{:.2f}× ({:.2f}–{:.2f})".format(*row["faster"]) if "file" in row else "–",
        f"{row['strip_seconds']:.1f} s",
        f"{row['strip_peak']:.1f}",
        f"{row['difference']:.1e}",
        f"{row['rounding']:.1e}",
        str(sum(row["left"].values())),
        f"{covered / total:.0%}",
        str(len(row["skipped"])),
    ]


def _milliseconds(microseconds: float) -> str:
    return f"{microseconds / 1000:.3g} ms"


def _verdict(found) -> str:
    done = [row for row in found if "parameters" in row]
    if not done:
        return ""
    worst = max(done, key=lambda row: row["difference"])
    left = sum(bool(row["left"]) for row in done)
    slowest = max(row["strip_seconds"] for row in done)
    outside = sum(row["channels"][1] < row["channels"][0] for row in done)
    return (
        f"{len(done)} of {len(found)} models stripped. Largest difference: {worst['difference']:.1e} of the "
        f"range ({worst['model']}). Models with channels of zero groups left: {left}; "
        f"with channels outside groups: {outside}. Slowest strip: {slowest:.1f} s.\n"
    )


def _failures(found) -> str:
    lines = [f"- {row['model']}: {fails(row)}" for row in found if fails(row)]
    return "## What falls short\n\n" + "\n".join(lines) if lines else ""


def _left(found) -> str:
    lines = [
        f"- {row['model']}: {', '.join(f'{name} {count}' for name, count in row['left'].items())}"
        for row in found
        if row.get("left")
    ]
    return "## Channels of zero groups left, by layer\n\n" + "\n".join(lines) if lines else ""


def _some(names: list[str], shown: int = 2) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _reasons(found) -> str:
    lines = []
    for row in found:
        layers: dict[str, list[str]] = {}
        for name, reason in row.get("skipped", {}).items():
            layers.setdefault(reason, []).append(name)
        lines += [
            f"- {row['model']}, {len(names)} layers: {reason} ({_some(names)})"
            for reason, names in layers.items()
        ]
    return "## Layers that kept channels, and why\n\n" + "\n".join(lines) if lines else ""
