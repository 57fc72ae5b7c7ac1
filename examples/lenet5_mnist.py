"""LeNet-5 on MNIST: three quarters of the filters and neurons removed, against the two obvious controls.

    python examples/lenet5_mnist.py --seeds 3

trains, with the same number of epochs in all:
    wgsef      LeNet-5 with tf_wgsef.sparsify, then tf_wgsef.strip
    magnitude  LeNet-5 dense for half of the epochs, cut to the largest groups, trained on for the rest
    narrow     a network of the final shape from scratch
and, as the reference, the dense LeNet-5. Then it converts one file of each and measures them together.

MNIST comes from keras.datasets, or from mnist.npz in the folder that TF_WGSEF_DATA names.
"""

import argparse
import json
import os
import pathlib
import sys
import time

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

import tf_wgsef as wgsef
from tf_wgsef.training import preset_level

METHODS = ("dense", "wgsef", "magnitude", "narrow")


def lenet5(filters1: int = 20, filters2: int = 50, units: int = 500) -> keras.Model:
    """LeNet-5 as SSL and its successors prune it (20-50-500)."""
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(filters1, 5, name="conv1"),
            keras.layers.MaxPooling2D(name="pool1"),
            keras.layers.Conv2D(filters2, 5, name="conv2"),
            keras.layers.MaxPooling2D(name="pool2"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(units, activation="relu", name="dense1"),
            keras.layers.Dense(10, name="logits"),
        ],
        name="lenet5",
    )


def load_mnist():
    """Returns ((x, y) for training, (x, y) for testing); x float32 in [0, 1], shape (n, 28, 28, 1)."""
    folder = os.environ.get("TF_WGSEF_DATA")
    if folder:
        with np.load(pathlib.Path(folder) / "mnist.npz", allow_pickle=False) as data:
            train, test = (data["x_train"], data["y_train"]), (data["x_test"], data["y_test"])
    else:
        train, test = keras.datasets.mnist.load_data()
    return tuple((x[..., None].astype("float32") / 255, y.astype("int32")) for x, y in (train, test))


def compile_for(model, arguments, samples: int) -> None:
    """The same optimizer and learning rates for every method: SGD with momentum, two cosines.

    The first cosine spans the first half of the epochs, the second the rest: when ``magnitude`` cuts, and
    when the ramp of ``wgsef`` ends, all of them start anew. Without XLA, which makes this network's steps
    slower on a CPU.
    """
    half = arguments.epochs // 2 * -(-samples // arguments.batch_size)
    rate = keras.optimizers.schedules.CosineDecayRestarts(arguments.learning_rate, half, t_mul=1.0)
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )


def train(model, data, arguments, epochs: int) -> None:
    """Compiles and fits; the data order depends on the seed alone."""
    x, y = data
    compile_for(model, arguments, len(x))
    model.fit(x, y, batch_size=arguments.batch_size, epochs=epochs, verbose=arguments.verbose)


def run(method: str, data, arguments) -> keras.Model:
    """Trains one network by one method and returns it, stripped."""
    epochs, first = arguments.epochs, arguments.epochs // 2
    model = lenet5()
    groups = wgsef.build_groups(model)
    level = preset_level(groups, sparsity=arguments.sparsity)
    if method == "dense":
        train(model, data, arguments, epochs)
        return model
    if method == "narrow":
        model = lenet5(*(int(pool.k) for pool in level.pools))
        train(model, data, arguments, epochs)
        return model
    if method == "magnitude":
        train(model, data, arguments, first)
        groups.scale(model, level.select(groups, np.array(groups.norms(model))))
        model = wgsef.strip(model).model
        train(model, data, arguments, epochs - first)
        return model
    sparse = wgsef.sparsify(model, sparsity=arguments.sparsity, ramp=arguments.ramp)
    train(sparse, data, arguments, epochs)
    return wgsef.strip(sparse).model


def compare_latency(models: dict, threads: int) -> tuple[dict, dict]:
    """Converts one model of each method, measures the files in turns; figures, and ratios to wgsef's."""
    files = {name: wgsef.convert(model) for name, model in models.items()}
    stats = wgsef.measure.measure_interleaved(files, threads=threads)
    return {name: {"bytes": len(files[name]), **stat.to_dict()} for name, stat in stats.items()}, {
        f"{a}/wgsef": wgsef.LatencyComparison.from_stats(stats[a], stats["wgsef"]).to_dict()
        for a in models
        if a != "wgsef" and "wgsef" in models
    }


def parse_arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="example: TF_WGSEF_DATA=~/data python examples/lenet5_mnist.py --seeds 3 --json out.json",
    )
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds, from 0 (default: 1)")
    parser.add_argument("--epochs", type=int, default=12, help="epochs in all, for every method")
    parser.add_argument("--sparsity", type=float, default=0.75, help="share of each layer to remove")
    parser.add_argument("--ramp", type=float, default=0.5, help="share of the epochs to tighten over")
    parser.add_argument("--learning-rate", type=float, default=0.05)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--json", type=pathlib.Path, help="also write the results to this file")
    parser.add_argument("--verbose", type=int, default=1, help="Keras's verbosity: 0, 1 or 2")
    return parser.parse_args()


def main() -> None:
    """Runs every method with every seed and prints the table."""
    arguments = parse_arguments()
    train_data, (x_test, y_test) = load_mnist()
    rows, models = [], {}
    for seed in range(arguments.seeds):
        for method in arguments.methods:
            keras.utils.set_random_seed(seed)
            start = time.perf_counter()
            model = run(method, train_data, arguments)
            guesses = np.argmax(model.predict(x_test, batch_size=500, verbose=0), axis=-1)
            accuracy = float(np.mean(guesses == y_test))
            shape = "-".join(
                str(model.get_layer(name).kernel.shape[-1]) for name in ("conv1", "conv2", "dense1")
            )
            seconds = time.perf_counter() - start
            rows.append(
                {"method": method, "seed": seed, "accuracy": accuracy, "shape": shape, "seconds": seconds}
            )
            print(json.dumps(rows[-1]), file=sys.stderr)
            models.setdefault(method, model)
    latency, ratios = compare_latency(models, threads=1)
    print_table(rows, models, latency)
    for name, ratio in ratios.items():
        print(f"latency {name}: {ratio['ratio']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f})")
    if arguments.json:
        result = {"rows": rows, "latency": latency, "ratios": ratios}
        arguments.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


def print_table(rows: list[dict], models: dict, latency: dict) -> None:
    """One line per method: mean ± standard deviation over the seeds, and the cost of the result."""
    table = Table("method", "shape", "accuracy %", "parameters", "MACs", "file", "p50, 1 thread")
    for method, model in models.items():
        runs = [row for row in rows if row["method"] == method]
        accuracy = 100 * np.array([row["accuracy"] for row in runs])
        cost = wgsef.profile(model)
        table.add_row(
            method,
            ", ".join(sorted({row["shape"] for row in runs})),
            f"{accuracy.mean():.2f} ± {accuracy.std(ddof=min(1, len(runs) - 1)):.2f}",
            f"{cost.parameters:,}",
            f"{cost.macs:,}",
            f"{latency[method]['bytes']:,} B",
            f"{latency[method]['p50']:.1f} µs",
        )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
