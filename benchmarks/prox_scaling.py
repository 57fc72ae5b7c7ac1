"""How the prox of WGSEF scales: time per group at n = 1e5 to 1e7, beside modopt and a copy.

Example:
    python benchmarks/prox_scaling.py --repeats 9
    python benchmarks/prox_scaling.py --json > prox.json

Singleton groups, float32, k = n/10, s = 0.5. One prox is |x|, the factors and the product with x,
compiled by XLA. Every size works on the same 1e7 numbers: 100 vectors of 1e5 after each other in
one compiled program, 10 of 1e6, one of 1e7, as a prox sits inside a compiled training step; so all
sizes pay the call from Python (about 0.2 ms) and the cache misses alike. "one call" is a call from
Python for one vector, with that cost. The copy is numpy's, of the same vectors. Repeats are
interleaved over all sizes and rivals, and the medians are compared, so that another load on the
machine meets all of them alike.
"""

import argparse
import json
import os
import statistics
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np
import tensorflow as tf
from keras import ops

from tf_wgsef.penalties import WGSEF

SIZES = (100_000, 1_000_000, 10_000_000)
MODOPT_UP_TO = 1_000_000  # beyond it one call takes half a minute
FLAT, FASTER = 2.0, 10.0  # the bars of issue 2


def ours(n, x, step, *, vectors):
    penalty = WGSEF(max(1, n // 10), debias=True)

    def one(x, s):
        return x * penalty.factors(ops.abs(x), s)

    def each(x, s):
        return ops.map(lambda row: one(row, s), x)

    vectors = vectors and len(x) > 1
    prox = tf.function(each if vectors else one, jit_compile=True, autograph=False)
    tensor, step = tf.constant(x if vectors else x[0]), tf.constant(step, tf.float32)

    def call():
        # A zero-copy view of the result: waits for it without another pass over it.
        return prox(tensor, step).numpy()[-1]

    return call


def modopt(n, x):
    from modopt.opt.proximity import KSupportNorm

    rival = KSupportNorm(1.0, max(1, n // 10))
    return lambda: rival.op(x, extra_factor=1.0)


def contestants(step):
    rng = np.random.default_rng(0)
    calls = {}
    for n in SIZES:
        x = rng.standard_normal((SIZES[-1] // n, n)).astype("float32")
        calls["wgsef", n] = ours(n, x, step, vectors=True)
        calls["copy", n] = x.copy
        calls["one call", n] = ours(n, x, step, vectors=False)
        if n <= MODOPT_UP_TO:
            calls["modopt", n] = modopt(n, x[0])
    return calls


def measure(calls, repeats):
    """Returns the median seconds per vector of each contestant, by (name, n)."""
    times = {key: [] for key in calls}
    for call in calls.values():
        call()
    for round_ in range(repeats):
        for (name, n), call in calls.items():
            if name == "modopt" and round_ >= 3:
                continue
            vectors = SIZES[-1] // n if name in ("wgsef", "copy") else 1
            start = time.perf_counter()
            call()
            times[name, n].append((time.perf_counter() - start) / vectors)
    return {key: statistics.median(values) for key, values in times.items()}


def summary(median):
    rows = []
    for n in SIZES:
        t, copy = median["wgsef", n], median["copy", n]
        row = {"n": n, "wgsef_us": t * 1e6, "wgsef_ns_per_group": t / n * 1e9}
        row |= {"copy_ns_per_group": copy / n * 1e9, "ratio_to_copy": t / copy}
        row["one_call_ns_per_group"] = median["one call", n] / n * 1e9
        if ("modopt", n) in median:
            row["modopt_ns_per_group"] = median["modopt", n] / n * 1e9
            row["times_faster_than_modopt"] = median["modopt", n] / median["one call", n]
        rows.append(row)
    per_group = [row["wgsef_ns_per_group"] for row in rows]
    spread = max(per_group) / min(per_group)
    faster = median["modopt", MODOPT_UP_TO] / median["one call", MODOPT_UP_TO]
    return {
        "rows": rows,
        "spread_of_time_per_group": spread,
        "times_faster_than_modopt_at_1e6": faster,
        "flat": spread <= FLAT,
        "faster": faster >= FASTER,
    }


def show(result):
    heads = ("n", "ours ns/n", "copy ns/n", "ours/copy", "one call", "modopt", "faster")
    print("".join(f"{head:>12}" for head in heads))
    names = ("wgsef_ns_per_group", "copy_ns_per_group", "ratio_to_copy", "one_call_ns_per_group")
    names += ("modopt_ns_per_group", "times_faster_than_modopt")
    for row in result["rows"]:
        cells = (f"{row[name]:12.2f}" if name in row else f"{'-':>12}" for name in names)
        print(f"{row['n']:12d}" + "".join(cells))
    verdict = {True: "met", False: "MISSED"}
    flat, faster = verdict[result["flat"]], verdict[result["faster"]]
    spread, times = result["spread_of_time_per_group"], result["times_faster_than_modopt_at_1e6"]
    print(f"time/n constant within {spread:.2f}x (bar {FLAT:g}x): {flat}")
    print(f"one call {times:.0f}x faster than modopt at n = 1e6 (bar {FASTER:g}x): {faster}")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=9, help="interleaved rounds (default 9)")
    parser.add_argument("--step", type=float, default=0.5, help="s in [0, 1] (default 0.5)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    args = parser.parse_args()
    if args.repeats < 1 or not 0 <= args.step <= 1:
        parser.error(
            f"Expected --repeats >= 1 and --step in [0, 1]. Received: --repeats={args.repeats}, "
            f"--step={args.step}."
        )
    result = summary(measure(contestants(args.step), args.repeats)) | {"step": args.step}
    if args.json:
        print(json.dumps(result))
    else:
        show(result)
    return 0 if result["flat"] and result["faster"] else 1


if __name__ == "__main__":
    sys.exit(main())
