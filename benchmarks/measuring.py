"""How far a measured latency can be trusted: its spread, false claims, and the runtime's own benchmark tool.

    python benchmarks/measuring.py

1. spread: LeNet-5 measured 10 times; (largest − smallest) / median of the medians. Bar: 3 %.
2. A/A: a file compared with itself 50 times; how often a difference is claimed. Bar: at most 3.
3. tool: LeNet-5 with a batch of 64 (the tool rounds to 10 µs) here and in litert-benchmark, in turns; the
   ratio of the medians. Bar: within 5 %.

Run it on a machine that does nothing else.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

import tf_wgsef as wgsef
from tf_wgsef.workflows.networks import lenet5


def spread(file: bytes, times: int) -> float:
    """Returns the range of the medians of several calls, as a share of their median."""
    medians = [wgsef.measure(file).p50 for _ in track(range(times), "spread", transient=True)]
    return float(np.ptp(medians) / np.median(medians))


def false_claims(file: bytes, times: int, seconds: float) -> int:
    """Returns how often a file is said to differ from itself."""
    return sum(
        wgsef.compare_latency(file, file, names=("a", "b"), min_seconds=seconds, seed=number).differs
        for number in track(range(times), "A/A", transient=True)
    )


def against_the_tool(file: bytes, times: int) -> list[float]:
    """Returns ours / the tool's, medians, in turns; empty where the tool is not installed."""
    tool = pathlib.Path(sys.executable).with_name("litert-benchmark")
    command = str(tool) if tool.is_file() else shutil.which("litert-benchmark")
    if command is None:
        return []
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        path, result = pathlib.Path(folder) / "lenet5.tflite", pathlib.Path(folder) / "result.json"
        path.write_bytes(file)
        for _ in track(range(times), "tool", transient=True):
            ours = wgsef.measure(path).p50
            arguments = ["--model", path, "--num_runs", "1000", "--warmup_runs", "200", "--num_threads", "1"]
            subprocess.run(  # noqa: S603 - a list of our own words
                [command, *map(str, arguments), "--result_json", str(result)], check=True, capture_output=True
            )
            ratios.append(ours / (1e3 * json.loads(result.read_text())["latency"]["median_ms"]))
    return ratios


def main() -> None:
    """Runs the three and prints them beside their bars."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="example: python benchmarks/measuring.py --pairs 50"
    )
    parser.add_argument("--calls", type=int, default=10, help="measurements of one file")
    parser.add_argument("--pairs", type=int, default=50, help="comparisons of a file with itself")
    parser.add_argument("--seconds", type=float, default=1.5, help="seconds per file of a comparison")
    parser.add_argument("--turns", type=int, default=5, help="measurements in turns with the tool")
    arguments = parser.parse_args()
    one, many = wgsef.convert(lenet5()), wgsef.convert(lenet5(), batch_size=64)
    table = Table("what", "found", "bar")
    table.add_row("spread of the median", f"{spread(one, arguments.calls):.1%}", "3 %")
    claims = false_claims(one, arguments.pairs, arguments.seconds)
    table.add_row("differences claimed, A/A", f"{claims} of {arguments.pairs}", "at most 3 of 50")
    ratios = against_the_tool(many, arguments.turns)
    shown = ", ".join(f"{ratio:.3f}" for ratio in ratios) or "the tool is not installed"
    middle = f"{np.median(ratios):.3f} ({shown})" if ratios else shown
    table.add_row("ours / litert-benchmark", middle, "0.95 to 1.05")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
