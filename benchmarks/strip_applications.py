"""strip on keras.applications: random weights everywhere, half of the groups zeroed at random.

    python benchmarks/strip_applications.py MobileNetV2 ResNet50V2

prints, per model, parameters and MACs before and after, the largest output difference as a share of the
output range, the number of layers that kept channels for lack of a rule, and the seconds that strip took.
"""

import argparse
import time

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

import tf_wgsef

MODELS = {
    "MobileNet": 32,
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "EfficientNetB0": 32,
    "EfficientNetV2B0": 32,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "VGG16": 32,
    "DenseNet121": 32,
    "InceptionV3": 75,
    "NASNetMobile": 32,
    "Xception": 71,
}


def randomized(name: str, seed: int) -> keras.Model:
    """The model with random weights and statistics, scaled so that activations stay of order one."""
    size = MODELS[name]
    model = getattr(keras.applications, name)(
        weights=None, input_shape=(size, size, 3), classes=10, classifier_activation=None
    )
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        shape = weight.shape
        if len(shape) > 1:
            fan_in = np.prod(shape[:2]) if "depthwise" in weight.path else np.prod(shape[:-1])
            value = generator.normal(0, np.sqrt(2 / fan_in), shape)
        elif "variance" in weight.path or "gamma" in weight.path:
            value = generator.uniform(0.5, 1.5, shape)
        else:
            value = generator.normal(0, 0.1, shape)
        weight.assign(value)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="example: python benchmarks/strip_applications.py MobileNetV2",
    )
    parser.add_argument(
        "models", nargs="*", default=list(MODELS), help="of keras.applications", metavar="MODEL"
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    table = Table("model", "parameters", "MACs", "difference / range", "layers with a reason", "seconds")
    for name in arguments.models:
        if name not in MODELS:
            parser.error(f"unknown model {name}; choose from {', '.join(MODELS)}")
        model = randomized(name, arguments.seed)
        groups = tf_wgsef.build_groups(model)
        alive = np.random.default_rng(arguments.seed).random(groups.num_groups) < 0.5
        groups.scale(model, alive.astype("float32"))
        start = time.perf_counter()
        result = tf_wgsef.strip(model)
        seconds = time.perf_counter() - start
        before, after = tf_wgsef.profile(model), tf_wgsef.profile(result.model)
        table.add_row(
            name,
            f"{before.parameters:,} → {after.parameters:,}",
            f"{before.macs:,} → {after.macs:,}",
            f"{result.proof.relative:.1e}",
            str(len(result.skipped)),
            f"{seconds:.1f}",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
