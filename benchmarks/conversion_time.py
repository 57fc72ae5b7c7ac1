"""Time of converting small models: by which entrance to TensorFlow's converter, and among which garbage.

A TFLiteConverter collects garbage at each call. All ways convert in turns, in one process that holds the
given number of other objects besides; processor time, since other processes may run.

    python benchmarks/conversion_time.py --objects 0 1000000
"""

import argparse
import contextlib
import statistics
import time
from unittest import mock

import keras

import tf_wgsef
from tf_wgsef.convert import _exporter


def convert_once(channels):
    layers = [keras.Input((8, 8, channels)), keras.layers.Conv2D(channels, 3, name="conv")]
    model = keras.Sequential(layers)
    start = time.process_time()
    tf_wgsef.convert(model, force=True)
    return time.process_time() - start


@contextlib.contextmanager
def by_converter():
    with mock.patch.object(_exporter, "convert_directly", lambda *arguments: None):
        yield


@contextlib.contextmanager
def by_converter_among_all_objects():
    with by_converter(), mock.patch.object(_exporter, "collecting_own_garbage", contextlib.nullcontext):
        yield


WAYS = {
    "by a TFLiteConverter, garbage among all objects": by_converter_among_all_objects,
    "by a TFLiteConverter, garbage among new ones": by_converter,
    "directly": contextlib.nullcontext,
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", nargs="+", type=int, default=[0, 1_000_000], help="held besides")
    parser.add_argument("--rounds", type=int, default=20, help="default: %(default)s")
    arguments = parser.parse_args()
    convert_once(3)  # imports
    for count in arguments.objects:
        held = [[] for _ in range(count)]
        times = {name: [] for name in WAYS}
        for number in range(arguments.rounds):
            for name, way in WAYS.items():
                with way():
                    times[name].append(convert_once(4 + number))
        medians = {name: statistics.median(found) for name, found in times.items()}
        for name, seconds in medians.items():
            ratio = seconds / medians["directly"]
            print(f"{len(held):,} objects besides, {name}: {seconds:.3f} s, ratio {ratio:.2f}", flush=True)


if __name__ == "__main__":
    main()
