"""ResNet-8 on CIFAR-10 (MLPerf Tiny's image classification) at half of its multiply-accumulates.

    TF_WGSEF_DATA=~/data python examples/resnet8_cifar10.py --output runs/resnet8_half

trains ResNet-8 to a budget of MACs with tf_wgsef.sparsify, strips it, trains the small network on, converts
it to float and to int8, runs both files over the test images and measures their latency beside the dense
file's. The quality target of the benchmark is 85 %. Without a GPU this takes an hour or two; --epochs 2
--ramp-epochs 1 --samples 2000 shows what it does.

CIFAR-10 comes from keras.datasets, or from cifar10_jpeg.npz in the folder that TF_WGSEF_DATA names.
"""

import argparse
import json
import pathlib
import time

import keras
import numpy as np

import tf_wgsef as wgsef
from tf_wgsef.workflows.compare import Batches
from tf_wgsef.workflows.data import load_cifar10
from tf_wgsef.workflows.networks import resnet8


def fit(model, data, epochs: int, arguments) -> None:
    """SGD with Nesterov momentum, one cosine, shifted and mirrored images; without XLA, slower on CPUs."""
    batches = Batches(data.x_train, data.y_train, arguments.batch, seed=arguments.seed, augment=True)
    rate = keras.optimizers.schedules.CosineDecay(arguments.learning_rate, epochs * len(batches))
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=arguments.weight_decay),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    model.fit(batches, epochs=epochs, verbose=arguments.verbose)


def accuracy(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Returns the share of outputs whose largest entry is the label."""
    return float(np.mean(np.argmax(outputs, axis=-1) == labels))


def train(data, arguments) -> tuple[keras.Model, dict]:
    """Returns the small network, trained, and what was seen on the way."""
    model = resnet8()
    sparse = wgsef.sparsify(model, budget={"macs": arguments.macs}, ramp=0.999)
    fit(sparse, data, arguments.ramp_epochs, arguments)
    before = accuracy(sparse.model.predict(data.x_test, batch_size=500, verbose=0), data.y_test)
    result = wgsef.strip(sparse)
    print(result.report())
    small = result.model
    after = accuracy(small.predict(data.x_test, batch_size=500, verbose=0), data.y_test)
    fit(small, data, arguments.epochs - arguments.ramp_epochs, arguments)
    seen = {
        "accuracy_with_zeros": before,
        "accuracy_stripped": after,
        "largest_difference_of_the_cut": result.max_abs_diff,
        "accuracy": accuracy(small.predict(data.x_test, batch_size=500, verbose=0), data.y_test),
        "parameters": wgsef.profile(small).parameters,
        "macs": wgsef.profile(small).macs,
        "macs_dense": wgsef.profile(resnet8()).macs,
    }
    return small, seen


def files(small: keras.Model, data) -> dict[str, bytes]:
    """Returns the dense file (with random weights: it is only timed), the small one and its int8 form."""
    return {
        "dense float": wgsef.convert(resnet8()),
        "stripped float": wgsef.convert(small),
        "stripped int8": wgsef.convert(small, quantization="int8", calibration=data.x_train[:500]),
    }


def parse_arguments() -> argparse.Namespace:
    """Parses the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="example: TF_WGSEF_DATA=~/data python examples/resnet8_cifar10.py --output runs/resnet8_half",
    )
    parser.add_argument("--macs", type=float, default=0.5, help="share of the MACs to keep")
    parser.add_argument("--epochs", type=int, default=100, help="in all")
    parser.add_argument("--ramp-epochs", type=int, default=20, help="epochs until the network is stripped")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=0.05)
    parser.add_argument("--weight-decay", type=float, default=2e-4)
    parser.add_argument("--samples", type=int, help="only the first so many training images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("resnet8_half"))
    parser.add_argument("--verbose", type=int, default=1, help="Keras's verbosity: 0, 1 or 2")
    return parser.parse_args()


def main() -> None:
    """Trains, strips, trains on, converts, measures; writes the model, the files and the figures."""
    arguments = parse_arguments()
    arguments.output.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(arguments.seed)
    data = load_cifar10().first(arguments.samples, 0)
    start = time.perf_counter()
    small, seen = train(data, arguments)
    seen["seconds"] = time.perf_counter() - start
    small.save(arguments.output / "stripped.keras")
    made = files(small, data)
    stats = wgsef.measure.measure_interleaved(made)
    for name, file in made.items():
        (arguments.output / f"{name.replace(' ', '_')}.tflite").write_bytes(file)
        seen[name] = {"bytes": len(file), "p50_us": stats[name].p50}
        print(f"{name}: {len(file):,} B, p50 {stats[name].p50:.1f} µs")
    for name, other in (("stripped float", "dense float"), ("stripped int8", "dense float")):
        ratio = wgsef.LatencyComparison.from_stats(stats[other], stats[name])
        seen[f"{other} / {name}"] = ratio.to_dict()
        print(f"{other} / {name}: {ratio.ratio:.2f} ({ratio.low:.2f} to {ratio.high:.2f})")
    print(json.dumps(seen, indent=1))
    (arguments.output / "figures.json").write_text(json.dumps(seen, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
