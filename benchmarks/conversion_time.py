"""Time of converting small models, and what looking for garbage among all objects of the process adds to it.

TensorFlow's converter collects garbage at each call. Both ways convert in turns, in one process that holds
the given number of other objects besides; processor time, since other processes may run.

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


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", nargs="+", type=int, default=[0, 1_000_000], help="held besides")
    parser.add_argument("--rounds", type=int, default=20, help="default: %(default)s")
    arguments = parser.parse_args()
    convert_once(3)  # imports
    all_objects = mock.patch.object(_exporter, "collecting_own_garbage", contextlib.nullcontext)
    for count in arguments.objects:
        held = [[] for _ in range(count)]
        times = {"among all objects": [], "among new ones": []}
        for number in range(arguments.rounds):
            with all_objects:
                times["among all objects"].append(convert_once(4 + number))
            times["among new ones"].append(convert_once(4 + number))
        slow, fast = map(statistics.median, times.values())
        print(
            f"{len(held):,} objects besides: {slow:.3f} s, {fast:.3f} s, ratio {slow / fast:.2f}", flush=True
        )


if __name__ == "__main__":
    main()
