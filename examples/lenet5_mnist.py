"""LeNet-5 on MNIST: three quarters of the filters and neurons removed, against the two obvious controls.

    python examples/lenet5_mnist.py --seeds 3

trains, with the same number of epochs in all:
    wgsef      LeNet-5 with tf_wgsef.sparsify, then tf_wgsef.strip
    magnitude  LeNet-5 dense for half of the epochs, cut to the largest groups, trained on for the rest
    narrow     a network of the final shape from scratch
and, as the reference, the dense LeNet-5. Every network becomes a float and an int8 file, calibrated with
training images, whose accuracy is taken on LiteRT; then one file of each is measured, all of them in turns.

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


def convert(model, train_data, test_data) -> dict:
    """Returns the float and the int8 file, each with its accuracy in its record."""
    common = {"calibration": train_data[0], "test": test_data}
    return {mode: wgsef.convert(model, quantization=mode, **common) for mode in ("none", "int8")}


def compare_latency(files: dict, threads: int) -> tuple[dict, dict]:
    """Measures the files of all methods in turns; figures, and ratios to wgsef's file of the same type."""
    named = {_name(method, mode): file for method, both in files.items() for mode, file in both.items()}
    stats = wgsef.measure.measure_interleaved(named, threads=threads)
    pairs = [(_name(method, mode), _name("wgsef", mode)) for method, both in files.items() for mode in both]
    pairs += [("wgsef", "wgsef int8")]
    return {name: {"bytes": len(named[name]), **stat.to_dict()} for name, stat in stats.items()}, {
        f"{a}/{b}": wgsef.LatencyComparison.from_stats(stats[a], stats[b]).to_dict()
        for a, b in pairs
        if a != b and a in stats and b in stats
    }


def _name(method: str, mode: str) -> str:
    return method if mode == "none" else f"{method} {mode}"


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


def describe(model, files: dict) -> dict:
    """Returns shape, accuracies on LiteRT and sizes of one trained network and its files."""
    kernels = (model.get_layer(name).kernel for name in ("conv1", "conv2", "dense1"))
    return {
        "accuracy": files["none"].record.accuracy,
        "int8_accuracy": files["int8"].record.accuracy,
        "shape": "-".join(str(kernel.shape[-1]) for kernel in kernels),
        "bytes": len(files["none"]),
        "int8_bytes": len(files["int8"]),
    }


def main() -> None:
    """Runs every method with every seed and prints the table."""
    arguments = parse_arguments()
    train_data, test_data = load_mnist()
    rows, models, files = [], {}, {}
    for seed in range(arguments.seeds):
        for method in arguments.methods:
            keras.utils.set_random_seed(seed)
            start = time.perf_counter()
            model = run(method, train_data, arguments)
            seconds = time.perf_counter() - start
            both = convert(model, train_data, test_data)
            rows.append({"method": method, "seed": seed, **describe(model, both), "seconds": seconds})
            print(json.dumps(rows[-1]), file=sys.stderr)
            models.setdefault(method, model)
            files.setdefault(method, both)
    latency, ratios = compare_latency(files, threads=1)
    print_table(rows, models, latency)
    for name, ratio in ratios.items():
        print(f"latency {name}: {ratio['ratio']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f})")
    if arguments.json:
        result = {"rows": rows, "latency": latency, "ratios": ratios}
        arguments.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


def print_table(rows: list[dict], models: dict, latency: dict) -> None:
    """Two lines per method, float and int8: mean ± standard deviation over the seeds, and the cost."""
    table = Table("method", "file", "shape", "accuracy %", "parameters", "MACs", "bytes", "p50, 1 thread")
    for method, model in models.items():
        runs, cost = [row for row in rows if row["method"] == method], wgsef.profile(model)
        for mode, key in (("none", "accuracy"), ("int8", "int8_accuracy")):
            accuracy = 100 * np.array([row[key] for row in runs])
            table.add_row(
                method,
                "float" if mode == "none" else mode,
                ", ".join(sorted({row["shape"] for row in runs})),
                f"{accuracy.mean():.2f} ± {accuracy.std(ddof=min(1, len(runs) - 1)):.2f}",
                f"{cost.parameters:,}",
                f"{cost.macs:,}",
                f"{latency[_name(method, mode)]['bytes']:,}",
                f"{latency[_name(method, mode)]['p50']:.1f} µs",
            )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
