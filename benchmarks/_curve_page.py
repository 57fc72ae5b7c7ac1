"""The table and the picture of benchmarks/accuracy_curve.py."""

import pathlib

import matplotlib.pyplot as plt
import numpy as np

LABELS = {
    "debiased": "debiased WGSEF",
    "plain": "plain WGSEF",
    "magnitude": "magnitude cut",
    "dense": "nothing removed",
}
_COLOURS = {"debiased": "#0072B2", "plain": "#E69F00", "magnitude": "#009E73", "dense": "#8a919c"}
_MARKERS = {"debiased": "o", "plain": "s", "magnitude": "^"}


def series(rows: list[dict]) -> dict[str, dict[float, tuple[float, float, list[float]]]]:
    """{label of a method: {sparsity: (mean, standard deviation, accuracy of each seed)}}, in percent."""
    found: dict[str, dict[float, list]] = {}
    several = len({row["strength"] for row in rows if row["method"] == "plain"}) > 1
    for row in rows:
        name = row["method"]
        label = f"{name} {row['strength']:g}" if several and name == "plain" else name
        found.setdefault(label, {}).setdefault(row["sparsity"], []).append(100 * row["accuracy"])
    return {
        label: {
            level: (np.mean(values), np.std(values, ddof=min(1, len(values) - 1)), values)
            for level, values in levels.items()
        }
        for label, levels in found.items()
    }


def table(rows: list[dict]) -> str:
    """One line per level, one column per method: mean ± standard deviation, and each seed."""
    found = series(rows)
    methods = [label for label in found if label != "dense"]
    kept = {row["sparsity"]: row for row in rows}
    head = ["removed", "groups kept", "parameters", *(LABELS.get(label, label) for label in methods)]
    lines = [head, ["---"] * len(head)]
    for level in sorted({row["sparsity"] for row in rows if row["method"] != "dense"}):
        cells = [f"{level:.2%}", f"{kept[level]['kept']:.1%}", f"{kept[level]['parameters']:,}"]
        lines.append(cells + [_cell(found[label].get(level)) for label in methods])
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    if "dense" in found:
        text += f"\n\nNothing removed: {_cell(found['dense'][0.0])}."
    return text


def _cell(entry) -> str:
    if entry is None:
        return "–"
    mean, deviation, values = entry
    return f"{mean:.2f} ± {deviation:.2f} ({', '.join(f'{value:.2f}' for value in values)})"


def draw(rows: list[dict], path: pathlib.Path) -> None:
    """Mean accuracy against the share of groups kept, bars of one standard deviation."""
    kept = {row["sparsity"]: 100 * row["kept"] for row in rows}
    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    found = series(rows)
    # Side by side, so that no bar hides another.
    apart = dict(
        zip((label for label in found if label != "dense"), 1.03 ** np.arange(-1.0, 9.0), strict=False)
    )
    for label, levels in found.items():
        method = label.split()[0]
        mean = np.array([levels[level][0] for level in levels])
        deviation = np.array([levels[level][1] for level in levels])
        if method == "dense":
            axes.axhline(mean[0], color=_COLOURS[method], linestyle="--", linewidth=1, label=LABELS[method])
            continue
        x = [apart[label] * kept[level] for level in levels]
        axes.errorbar(
            x, mean, deviation, label=LABELS.get(label, label), capsize=3,
            color=_COLOURS[method], marker=_MARKERS[method], markersize=5, linewidth=1.5,
        )  # fmt: skip
    axes.set_xscale("log", base=2)
    ticks = sorted({kept[row["sparsity"]] for row in rows if row["method"] != "dense"})
    axes.set_xticks(ticks, [f"{tick:.3g} %" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("groups kept")
    axes.set_ylabel("test accuracy, %")
    axes.grid(color="#e6e9ee")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
