"""What a whole proximal step costs beside a copy of the weights: norms, factors, scaling of all kernels.

    python benchmarks/prox_on_models.py
    python benchmarks/prox_on_models.py --case element-dense --scope layer --rounds 15

Cases, of 25 million weights each: filters of ResNet50, single weights of ResNet50 (54 layers), and single
weights of one dense kernel. The copy is numpy's (``array.copy()``) of every weight in a group, into new
memory, as a step makes new tensors too; ``warm`` is the same into memory that is there already. ``--linear``
takes single weights of dense kernels from 1e5 to 1e8 instead, each size working through 1e7 numbers or more
in one compiled program, so that all pay the call alike. Repeats are interleaved; medians are compared.
"""

import argparse
import json
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tf_wgsef import build_groups
from tf_wgsef.penalties import WGSEF
from tf_wgsef.training import GeometricRamp, ProximalState, ProximalStep, preset_level

SIZES = (100_000, 1_000_000, 10_000_000, 100_000_000)


def resnet50():
    return keras.applications.ResNet50(weights=None)


def dense(size: int = 25_000_000):
    return keras.Sequential([keras.Input((1000,)), keras.layers.Dense(size // 1000, use_bias=False)])


CASES = {"filter-resnet50": ("filter", resnet50), "element-resnet50": ("element", resnet50)}
CASES["element-dense"] = ("element", dense)


class Step:
    """The proximal step on the groups of a model, at half of the ramp or after the choice."""

    def __init__(self, model, kind: str, scope: str):
        self.groups = build_groups(model, kind=kind)
        level = preset_level(self.groups, sparsity=0.75, scope=scope)
        self._step = ProximalStep(self.groups, level, WGSEF(1), GeometricRamp())
        self.weights = [variable.numpy() for variable in self.groups.variables(model)]
        self._rate, self._updated = tf.constant(1e-3), tf.constant(True)

    def state(self, frozen: bool) -> list:
        """Every field of ``ProximalState`` as a tensor: epoch 1 of a ramp of 2."""
        count = self.groups.num_groups
        fields = {"epoch": 1, "batch": 0, "steps": 1, "ramp_start": 0, "ramp_epochs": 2, "frozen": frozen}
        fields |= {"kept": count, "live": count}
        return [*(tf.constant(float(value)) for value in fields.values()), tf.ones(count)]

    def run(self, values, state) -> list:
        return self._step(values, ProximalState(*state), self._rate, self._updated)[0]

    def call(self, *, xla: bool, frozen: bool):
        """A call of the compiled step on the model's weights, which waits for the result."""
        compiled = tf.function(self.run, jit_compile=xla, autograph=False)
        values, state = [tf.constant(weight) for weight in self.weights], self.state(frozen)
        return lambda: [value.numpy()[-1:] for value in compiled(values, state)]

    def call_on_many(self, times: int):
        """The same on ``times`` copies of a single kernel, one after the other in one program."""

        def each(many, state):
            return ops.map(lambda value: self.run([value], state)[0], many)

        compiled = tf.function(each, jit_compile=True, autograph=False)
        values, state = tf.constant(np.stack(self.weights * times)), self.state(False)
        return lambda: compiled(values, state).numpy()[-1]


def measure(calls: dict, rounds: int) -> dict:
    """Returns the median seconds of each call, and of its ratio to ``copy`` in the same round."""
    times = {name: [] for name in calls}
    for call in calls.values():
        call()
    for number in range(rounds):
        for name in list(calls)[:: 1 if number % 2 else -1]:
            start = time.perf_counter()
            calls[name]()
            times[name].append(time.perf_counter() - start)
    ratios = {name: statistics.median(map(np.divide, one, times["copy"])) for name, one in times.items()}
    return {
        name: {"ms": 1e3 * statistics.median(one), "ratio": float(ratios[name])}
        for name, one in times.items()
    }


def copies(weights: list) -> dict:
    there = [weight.copy() for weight in weights]
    return {
        "copy": lambda: [weight.copy() for weight in weights],
        "copy, warm": lambda: [np.copyto(to, weight) for to, weight in zip(there, weights, strict=True)],
    }


def case(name: str, scope: str, rounds: int) -> list[dict]:
    kind, build = CASES[name]
    step = Step(build(), kind, scope)
    calls = copies(step.weights)
    for xla in (True, False):
        for frozen in (False, True):
            label = f"{'XLA' if xla else 'graph'}, {'after the choice' if frozen else 'ramp'}"
            calls[label] = step.call(xla=xla, frozen=frozen)
    found = measure(calls, rounds)
    return [{"case": name, "scope": scope, "what": what, **values} for what, values in found.items()]


def linear(rounds: int) -> list[dict]:
    rows = []
    for size in SIZES:
        times = max(1, 10_000_000 // size)
        step = Step(dense(size), "element", "layer")
        stack = np.stack(step.weights * times)
        found = measure({"copy": stack.copy, "step": step.call_on_many(times)}, rounds)
        for what, values in found.items():
            per_element = 1e6 * values["ms"] / (size * times)
            rows.append({"case": f"{size:.0e}", "what": what, **values, "ns_per_element": per_element})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", choices=CASES, action="append", help="all if not given")
    parser.add_argument("--scope", choices=("layer", "global"), action="append", help="both if not given")
    parser.add_argument("--rounds", type=int, default=11, help="interleaved rounds (default 11)")
    parser.add_argument("--linear", action="store_true", help="from 1e5 to 1e8 single weights instead")
    parser.add_argument("--json", action="store_true", help="print JSON lines instead of a table")
    arguments = parser.parse_args()
    if arguments.linear:
        batches = iter([linear(arguments.rounds)])
    else:
        scopes = arguments.scope or ("layer", "global")
        batches = (
            case(name, scope, arguments.rounds) for name in arguments.case or CASES for scope in scopes
        )
    for row in (row for rows in batches for row in rows):
        if arguments.json:
            print(json.dumps(row), flush=True)
            continue
        place = f"{row['case']:18}{row.get('scope', ''):8}{row['what']:24}"
        each = f"{row['ns_per_element']:8.2f} ns each" if "ns_per_element" in row else ""
        print(f"{place}{row['ms']:10.1f} ms{row['ratio']:8.2f} copies{each}", flush=True)


if __name__ == "__main__":
    main()
