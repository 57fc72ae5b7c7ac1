"""What ``fit`` waits at the ends of epochs for TensorFlow's tuner of datasets, and how ``compare`` feeds it.

The same network is fitted for the same epochs in turns: by batches as Keras takes them, and by the dataset
without a tuner. Seconds of the clock, since waiting takes no processor time.

    python benchmarks/epoch_ends.py --images 10000
"""

import argparse
import statistics
import time

import keras
import numpy as np

from tf_wgsef.workflows.compare import RECIPES
from tf_wgsef.workflows.compare._augment import Batches
from tf_wgsef.workflows.compare._feed import BeginEpoch, feed


def epoch_seconds(model, batches, own: bool, epochs: int) -> float:
    """Seconds of an epoch."""
    given, callbacks = (feed(batches), [BeginEpoch(batches, 0)]) if own else (batches, [])
    start = time.monotonic()
    model.fit(given, epochs=epochs, shuffle=False, callbacks=callbacks, verbose=0)
    return (time.monotonic() - start) / epochs


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=10_000, help="default: %(default)s")
    parser.add_argument("--epochs", type=int, default=3, help="of each fit (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    images = generator.random((arguments.images, 32, 32, 3), dtype="float32")
    batches = Batches(images, generator.integers(0, 10, len(images)), 128, seed=0, augment=True)
    model = RECIPES["resnet8-cifar10"].build()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, jit_compile=False)
    epoch_seconds(model, batches, True, 1)  # compiles
    times = {"as Keras feeds it": [], "without the tuner": []}
    for _ in range(arguments.rounds):
        for own, found in enumerate(times.values()):
            found.append(epoch_seconds(model, batches, bool(own), arguments.epochs))
    for name, found in times.items():
        print(f"{name}: {statistics.median(found):.2f} s an epoch ({min(found):.2f} to {max(found):.2f})")
    keras_way, own_way = map(statistics.median, times.values())
    print(f"ratio {keras_way / own_way:.2f}")


if __name__ == "__main__":
    main()
