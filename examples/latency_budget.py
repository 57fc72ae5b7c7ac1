"""ResNet-8 on CIFAR-10 at half of its latency on this machine: by a latency budget, and by uniform sparsity.

    TF_WGSEF_DATA=~/data python examples/latency_budget.py --epochs 12 --samples 10000

measures a latency table of the network, trains it once with budget={"latency": ...} and once with the uniform
sparsity whose predicted latency is the same, strips both, trains them on, and measures both files beside the
dense one. With the default settings it takes some minutes; the accuracies are those of short training.
"""

import argparse
import json
import pathlib

import keras
import numpy as np

import tf_wgsef as wgsef
from tf_wgsef.workflows.compare import Batches
from tf_wgsef.workflows.data import load_cifar10
from tf_wgsef.workflows.latency import LatencyCache
from tf_wgsef.workflows.networks import resnet8


def network() -> keras.Model:
    """ResNet-8 with new weights and the same layer names each time: the table finds layers by their names."""
    keras.utils.clear_session()
    return resnet8()


def uniform_sparsity(table, budget: float) -> float:
    """Returns the smallest sparsity, in 64ths, whose stripped network is predicted to meet the budget."""
    for removed in range(64):
        sparse = wgsef.sparsify(network(), sparsity=removed / 64)
        sparse.freeze()
        if table.predict(wgsef.strip(sparse).model) <= budget:
            return removed / 64
    raise SystemExit("No uniform sparsity is within the budget.")


def fit(model, data, epochs: int, arguments) -> None:
    """SGD with Nesterov momentum, one cosine, gradient norm clipped at 1."""
    batches = Batches(data.x_train, data.y_train, 32, seed=arguments.seed, augment=True)
    rate = keras.optimizers.schedules.CosineDecay(0.05, epochs * len(batches))
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    model.fit(batches, epochs=epochs, verbose=arguments.verbose)


def trained(data, arguments, **level) -> tuple[keras.Model, float]:
    """Returns the stripped network after training on, and its accuracy."""
    keras.utils.set_random_seed(arguments.seed)
    sparse = wgsef.sparsify(network(), ramp=0.999, **level)
    fit(sparse, data, arguments.epochs // 2, arguments)
    small = wgsef.strip(sparse).model
    fit(small, data, arguments.epochs - arguments.epochs // 2, arguments)
    guesses = np.argmax(small.predict(data.x_test, batch_size=500, verbose=0), axis=-1)
    return small, float(np.mean(guesses == data.y_test))


def main() -> None:
    """Measures, trains both, measures again, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="example: TF_WGSEF_DATA=~/data python examples/latency_budget.py --epochs 12 --samples 10000",
    )
    parser.add_argument("--share", type=float, default=0.5, help="of the dense latency")
    parser.add_argument("--epochs", type=int, default=6, help="in all; half of them before the cut")
    parser.add_argument("--samples", type=int, default=8000, help="the first so many training images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=pathlib.Path, help="folder of measured times")
    parser.add_argument("--json", type=pathlib.Path, help="also write the results to this file")
    parser.add_argument("--verbose", type=int, default=1, help="Keras's verbosity: 0, 1 or 2")
    arguments = parser.parse_args()
    table = wgsef.measure_latency_table(network(), cache=LatencyCache(arguments.cache))
    budget = arguments.share * table.predict(network())
    sparsity = uniform_sparsity(table, budget)
    print(f"budget {budget:.1f} µs; uniform sparsity {sparsity:.3f} is predicted to meet it")
    data = load_cifar10().first(arguments.samples, 0)
    levels = {"budget": {"budget": {"latency": (budget, table)}}, "uniform": {"sparsity": sparsity}}
    made = {name: trained(data, arguments, **level) for name, level in levels.items()}
    files = {"dense": wgsef.convert(network())}
    files |= {name: wgsef.convert(model) for name, (model, _) in made.items()}
    stats = wgsef.measure.measure_interleaved(files)
    rows = {"dense": {"measured_us": stats["dense"].p50}}
    for name, (model, accuracy) in made.items():
        rows[name] = {
            "accuracy": accuracy,
            "predicted_us": table.predict(model),
            "measured_us": stats[name].p50,
            "measured_of_the_budget": stats[name].p50 / budget,
            "macs": wgsef.profile(model).macs,
            "parameters": wgsef.profile(model).parameters,
        }
    print(json.dumps(rows, indent=1))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
