"""Run with Keras 2 alone: rebuilds every described model and compares it. Prints one JSON object."""

import json
import pathlib
import sys

import numpy as np

from tf_wgsef.keras2._bridge import build, check
from tf_wgsef.keras2._quantize import check_quantizable
from tf_wgsef.keras2._refusal import Refusal
from tf_wgsef.keras2._rewrite import rewrite


def look_at(folder: pathlib.Path) -> dict:
    """What becomes of one model: its difference, that of its rewritten form, and who cannot be quantized."""
    description = json.loads((folder / "description.json").read_text())
    with np.load(folder / "arrays.npz", allow_pickle=False) as loaded:
        arrays = dict(loaded)
    counts = [entry["weights"] for entry in description["layers"]]
    weights = [[arrays[f"{i}.{k}"] for k in range(count)] for i, count in enumerate(counts)]
    samples, expected = ([arrays[n] for n in sorted(arrays) if n[0] == letter] for letter in "xy")
    found = {"difference": None, "rewritten": None, "refused": []}
    try:
        found["difference"] = check(build(description, weights), samples, expected)
        bridge = build(*rewrite(description, weights))
        found["rewritten"] = check(bridge, samples, expected)
        check_quantizable(bridge)
    except Refusal as error:
        found["refused"] = error.problems
    return found


if __name__ == "__main__":
    print(json.dumps({path.name: look_at(path) for path in map(pathlib.Path, sys.argv[1:])}))
