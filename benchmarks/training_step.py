"""What the proximal step adds to a training step, batch 128: ratios of interleaved runs.

    python benchmarks/training_step.py
    python benchmarks/training_step.py --model resnet8 --groups element --xla off

Two copies of the network, plain and wrapped by ``tf_wgsef.sparsify``, take turns of a few batches each;
the median of the ratios is the cost. Measured in both phases of training (the ramp, when the penalty's
prox runs, and after the choice, when a mask is held), with and without XLA.
"""

import argparse
import json
import time

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

import tf_wgsef
from tf_wgsef.workflows.networks import lenet5, resnet8

MODELS = {"lenet5": (lenet5, (28, 28, 1)), "resnet8": (resnet8, (32, 32, 3))}


def compiled(model, jit: bool):
    model.compile(
        keras.optimizers.Adam(1e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit,
    )
    return model


def seconds(step, batches) -> float:
    start = time.perf_counter()
    for batch in batches:
        step(batch)
    return (time.perf_counter() - start) / len(batches)


def compare(jit: bool, frozen: bool, options) -> dict:
    """Times both models in turns, in an order that turns round; per step, in seconds."""
    generator = np.random.default_rng(0)
    build, shape = MODELS[options.model]
    x = generator.normal(size=(128, *shape)).astype("float32")
    y = generator.integers(0, 10, 128)
    models = {
        "plain": compiled(build(), jit),
        "wgsef": compiled(tf_wgsef.sparsify(build(), sparsity=0.75, groups=options.groups), jit),
    }
    models["wgsef"].begin_ramp(10)
    models["wgsef"].begin_epoch(2, 1000)
    if frozen:
        models["wgsef"].freeze()
    steps = {name: (lambda batch, m=model: m.train_on_batch(*batch)) for name, model in models.items()}
    batches = [(x, y)] * options.turn
    times = {name: [] for name in steps}
    for _ in range(3):
        for step in steps.values():
            seconds(step, batches)
    for number in range(options.rounds):
        for name in list(steps)[:: 1 if number % 2 else -1]:
            times[name].append(seconds(steps[name], batches))
    ratios = np.array(times["wgsef"]) / np.array(times["plain"])
    return {
        "xla": jit,
        "phase": "after the choice" if frozen else "ramp",
        "plain_ms": 1e3 * float(np.median(times["plain"])),
        "wgsef_ms": 1e3 * float(np.median(times["wgsef"])),
        "added": float(np.median(ratios)) - 1,
        "added_low": float(np.percentile(ratios, 25)) - 1,
        "added_high": float(np.percentile(ratios, 75)) - 1,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="example: python benchmarks/training_step.py --model resnet8 --groups element --xla off",
    )
    parser.add_argument("--model", choices=MODELS, default="lenet5")
    parser.add_argument("--groups", default="filter", help="kind of the groups, such as filter or element")
    parser.add_argument("--xla", choices=("on", "off", "both"), default="both")
    parser.add_argument("--rounds", type=int, default=40, help="turns of each model")
    parser.add_argument("--turn", type=int, default=5, help="steps in a turn")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    modes = {"on": (True,), "off": (False,), "both": (False, True)}[arguments.xla]
    rows = [compare(jit, frozen, arguments) for jit in modes for frozen in (False, True)]
    if arguments.json:
        print(json.dumps(rows))
        return
    table = Table("XLA", "phase", "plain, ms", "with prox, ms", "added (quartiles)")
    for row in rows:
        table.add_row(
            str(row["xla"]),
            row["phase"],
            f"{row['plain_ms']:.2f}",
            f"{row['wgsef_ms']:.2f}",
            f"{row['added']:+.1%} ({row['added_low']:+.1%} to {row['added_high']:+.1%})",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
