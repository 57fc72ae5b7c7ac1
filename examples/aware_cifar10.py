"""A stripped network on CIFAR-10: the float file, int8 after training, int8 trained for it.

    python examples/aware_cifar10.py stripped.keras --epochs 10

converts the model to float32 and, calibrated on training images, to int8; trains it on with int8 emulated
(``pip install -e ".[qat]"``) and prints the accuracy, the size and the latency of the three files.
CIFAR-10 comes from keras.datasets, or from cifar10_jpeg.npz in the folder that TF_WGSEF_DATA names.
"""

import argparse
import json
import pathlib

import keras
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import tf_wgsef as wgsef
from tf_wgsef.convert import accuracy
from tf_wgsef.workflows.data import load_cifar10


def augmented(images, labels, batch_size: int, seed: int):
    """Returns a function: each call gives one epoch of shifted and mirrored images, in a new order."""
    random = np.random.default_rng(seed)
    padded = np.pad(images, ((0, 0), (4, 4), (4, 4), (0, 0)), mode="reflect")

    def epoch():
        order = random.permutation(len(images))
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            tops, lefts = random.integers(0, 9, (2, len(rows)))
            cut = [padded[r, t : t + 32, a : a + 32] for r, t, a in zip(rows, tops, lefts, strict=True)]
            flips = random.random(len(rows)) < 0.5
            mirrored = [one[:, ::-1] if flip else one for one, flip in zip(cut, flips, strict=True)]
            yield np.stack(mirrored), labels[rows]

    return epoch


def train(model, data, arguments):
    """Quantization-aware training with a progress bar; returns its result."""
    batches = augmented(data.x_train, data.y_train, arguments.batch_size, arguments.seed)
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=1.0)

        def show(state):
            loss = "" if state.loss is None else f" loss {state.loss:.3f}"
            bar.update(task, completed=state.share, description=f"{state.stage} {state.epoch or ''}{loss}")

        options = {
            "epochs": arguments.epochs,
            "learning_rate": arguments.learning_rate,
            "seed": arguments.seed,
        }
        return wgsef.train_quantized(model, batches, progress=show, **options)


def main() -> None:
    """Trains, converts, measures and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="a stripped .keras file")
    parser.add_argument("--epochs", type=int, default=10, help="of quantization-aware training")
    parser.add_argument("--learning-rate", type=float, default=1e-4, help="of Adam, at the start")
    parser.add_argument("--batch-size", type=int, default=64, help="of training")
    parser.add_argument("--seed", type=int, default=0, help="of the order and the shifts of the images")
    parser.add_argument("--samples", type=int, help="use the first training images only, for a trial")
    parser.add_argument("--output", type=pathlib.Path, help="a new folder for the files and results.json")
    arguments = parser.parse_args()
    if arguments.output:
        arguments.output.mkdir()

    data = load_cifar10().first(arguments.samples)
    model = keras.models.load_model(arguments.model, compile=False, safe_mode=True)
    trained = train(model, data, arguments)
    files = {
        "float": wgsef.convert(model, calibration=data.x_train),
        "int8 post-training": wgsef.convert(model, quantization="int8", calibration=data.x_train),
        "int8 aware": trained.tflite,
    }
    table = Table("file", "test accuracy", "bytes", "latency p50, µs", title=f"{model.name}, {data.name}")
    results = []
    for name, tflite in files.items():
        correct, p50 = accuracy(tflite, data.x_test, data.y_test), wgsef.measure(tflite).p50
        table.add_row(name, f"{correct:.2%}", f"{len(tflite):,}", f"{p50:.1f}")
        results.append({"file": name, "accuracy": correct, "bytes": len(tflite), "p50_us": p50})
        if arguments.output:
            (arguments.output / f"{name.replace(' ', '_')}.tflite").write_bytes(tflite)
    Console().print(table)
    Console().print(str(trained))
    if arguments.output:
        content = {"arguments": {k: str(v) for k, v in vars(arguments).items()}, "results": results}
        content["history"] = trained.history
        (arguments.output / "results.json").write_text(json.dumps(content, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
