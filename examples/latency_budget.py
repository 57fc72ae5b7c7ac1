"""ResNet-8 on CIFAR-10 at half of its latency on this machine: by a latency budget, and by uniform sparsity.

    TF_WGSEF_DATA=~/data python examples/latency_budget.py --seeds 3 --epochs 12 --json results.json

measures a latency table of the network, sets it right where the budget leads, and trains with each seed

    budget    with budget={"latency": half of the dense time},
    uniform   with the smallest uniform sparsity that the table predicts to be within that budget,
    equal     with the latency that the table predicts for the uniform network as the budget: channels come in
              steps, so the uniform network may lie some way below; this one is as slow as it is.

It strips all three, trains them on, and measures the files beside the dense one. Each seed is printed, and
with --json kept, as it ends: the same command goes on where it stopped. With the default settings a seed
takes some minutes; the accuracies are those of short training.
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

SETTINGS = ("share", "epochs", "samples", "round_to", "calibrate")


def network() -> keras.Model:
    """ResNet-8 with new weights and the same layer names each time: the table finds layers by their names."""
    keras.utils.clear_session()
    return resnet8()


def uniform_sparsity(table, budget: float) -> tuple[float, float]:
    """Returns the smallest sparsity, in 64ths, that is predicted to meet the budget, and its microseconds."""
    for removed in range(64):
        sparse = wgsef.sparsify(network(), sparsity=removed / 64)
        sparse.freeze()
        predicted = table.predict(wgsef.strip(sparse).model)
        if predicted <= budget:
            return removed / 64, predicted
    raise SystemExit("No uniform sparsity is within the budget.")


def fit(model, data, epochs: int, seed: int, verbose: int) -> None:
    """SGD with Nesterov momentum, one cosine, gradient norm clipped at 1."""
    batches = Batches(data.x_train, data.y_train, 32, seed=seed, augment=True)
    rate = keras.optimizers.schedules.CosineDecay(0.05, epochs * len(batches))
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False if keras.backend.backend() == "tensorflow" else "auto",
    )
    model.fit(batches, epochs=epochs, verbose=verbose)


def trained(data, arguments, seed: int, **level) -> tuple[keras.Model, float]:
    """Returns the stripped network after training on, and its accuracy."""
    keras.utils.set_random_seed(seed)
    sparse = wgsef.sparsify(network(), ramp=0.999, **level)
    fit(sparse, data, arguments.epochs // 2, seed, arguments.verbose)
    small = wgsef.strip(sparse).model
    fit(small, data, arguments.epochs - arguments.epochs // 2, seed, arguments.verbose)
    guesses = np.argmax(small.predict(data.x_test, batch_size=500, verbose=0), axis=-1)
    return small, float(np.mean(guesses == data.y_test))


def one_seed(data, arguments, seed: int, table, budget: float) -> dict:
    """Trains and measures all three beside the dense network; returns {name: figures}."""
    sparsity, predicted = uniform_sparsity(table, budget)
    about = f"budget {budget:.1f} µs; uniform sparsity {sparsity:.3f}, predicted {predicted:.1f} µs"
    print(f"seed {seed}: {about}", flush=True)
    rounded = {"round_to": arguments.round_to}
    levels = {
        "budget": {"budget": {"latency": (budget, table)}, **rounded},
        "uniform": {"sparsity": sparsity},
        "equal": {"budget": {"latency": (predicted, table)}, **rounded},
    }
    made = {name: trained(data, arguments, seed, **level) for name, level in levels.items()}
    files = {"dense": wgsef.convert(network())}
    files |= {name: wgsef.convert(model) for name, (model, _) in made.items()}
    stats = wgsef.measure.measure_interleaved(files, preset=arguments.preset)
    rows = {"dense": {"measured_us": stats["dense"].p50}}
    for name, (model, accuracy) in made.items():
        rows[name] = {
            "accuracy": accuracy,
            "predicted_us": table.predict(model),
            "measured_us": stats[name].p50,
            "measured_of_the_budget": stats[name].p50 / budget,
            "measured_of_the_dense": stats[name].p50 / stats["dense"].p50,
            "macs": wgsef.profile(model).macs,
            "parameters": wgsef.profile(model).parameters,
        }
        figures = ", ".join(f"{key} {value:.4g}" for key, value in rows[name].items())
        print(f"seed {seed}: {name:7} {figures}", flush=True)
    return rows


def summary(seeds: dict[str, dict]) -> dict[str, str]:
    """Returns mean ± standard deviation over the seeds, and of the differences within a seed."""

    def text(values) -> str:
        values = np.array(list(values))
        spread = f" ± {values.std(ddof=1):.4g}" if len(values) > 1 else " (one seed)"
        return f"{values.mean():.4g}{spread}"

    found = {}
    for name in ("budget", "uniform", "equal"):
        for key in ("accuracy", "measured_us", "measured_of_the_budget", "measured_of_the_dense"):
            found[f"{name} {key}"] = text(rows[name][key] for rows in seeds.values())
    for name in ("budget", "equal"):
        gains = [rows[name]["accuracy"] - rows["uniform"]["accuracy"] for rows in seeds.values()]
        found[f"{name} accuracy over uniform"] = text(gains)
    return found


def tables(arguments) -> tuple:
    """Returns the table, set right where the budget leads, and the budget."""
    table = wgsef.measure_latency_table(network(), cache=LatencyCache(arguments.cache))
    budget = arguments.share * wgsef.measure(wgsef.convert(network()), preset=arguments.preset).p50
    if arguments.calibrate:
        table = wgsef.calibrate_latency_table(network(), table, budget, round_to=arguments.round_to)
    return table, budget


def before(arguments) -> dict:
    """Returns what an earlier run of the same command left in the file of results."""
    settings = {name: getattr(arguments, name) for name in SETTINGS}
    if arguments.json is None or not arguments.json.exists():
        return {"settings": settings, "seeds": {}}
    found = json.loads(arguments.json.read_text(encoding="utf-8"))
    if found.get("settings") != settings:
        raise SystemExit(
            f"Expected results of {settings} in {arguments.json}. Received: {found.get('settings')}. "
            "Name another file."
        )
    return found


def main() -> None:
    """Measures, trains all, measures again, prints; seed after seed."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="example: TF_WGSEF_DATA=~/data python examples/latency_budget.py --epochs 12 --samples 10000",
    )
    parser.add_argument("--share", type=float, default=0.5, help="of the dense latency")
    parser.add_argument("--epochs", type=int, default=6, help="in all; half of them before the cut")
    parser.add_argument("--samples", type=int, default=8000, help="the first so many training images")
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument(
        "--round-to", type=int, default=1, help="filters that stay in a layer: a multiple of it"
    )
    parser.add_argument(
        "--no-calibrate", dest="calibrate", action="store_false", help="take the table as it is"
    )
    parser.add_argument("--preset", default="normal", help="of measuring: quick, normal or mlperf")
    parser.add_argument("--cache", type=pathlib.Path, help="folder of measured times")
    parser.add_argument("--json", type=pathlib.Path, help="keep the results in this file, and go on from it")
    parser.add_argument("--verbose", type=int, default=1, help="Keras's verbosity: 0, 1 or 2")
    arguments = parser.parse_args()
    results = before(arguments)
    if "table" in results:
        table, budget = wgsef.LatencyTable.from_json(results["table"]), results["budget_us"]
    else:
        table, budget = tables(arguments)
        results |= {"table": table.to_json(), "budget_us": budget}
    data = load_cifar10().first(arguments.samples, 0)
    for seed in range(arguments.seed, arguments.seed + arguments.seeds):
        if str(seed) not in results["seeds"]:
            results["seeds"][str(seed)] = one_seed(data, arguments, seed, table, budget)
        if arguments.json:
            arguments.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    for name, text in summary(results["seeds"]).items():
        print(f"{name}: {text}")


if __name__ == "__main__":
    main()
