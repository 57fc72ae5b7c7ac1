"""Sparse 1×1 convolutions against dense ones: the ratio of the latencies, over channels and shares of zeros.

The network is one that XNNPACK's sparse inference takes: a padded 3×3 stem of stride 2, 1×1 convolutions with
depthwise ones in between, and global pooling. Both files hold the same weights and take turns, one thread.

    python benchmarks/sparse_kernels.py
    python tools/board_in_a_box.py /tmp/board && \\
        python benchmarks/sparse_kernels.py --target ssh://board --ssh-config /tmp/board/ssh_config
    python benchmarks/sparse_kernels.py --save files    # to measure elsewhere with tf-wgsef benchmark
"""

import argparse
import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import tf_wgsef
from tf_wgsef.cli._devices import add_device_options, check_device_options, open_target
from tf_wgsef.workflows import SparseGain


def network(channels, zeros, size, blocks):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((size, size, 3))
    x = keras.layers.ZeroPadding2D(1)(x)
    x = keras.layers.Conv2D(32, 3, strides=2, activation="relu")(x)
    for _ in range(blocks):
        x = keras.layers.Conv2D(channels, 1, activation="relu")(x)
        x = keras.layers.DepthwiseConv2D(3, padding="same")(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(channels, 1)(x))
    model = keras.Model(inputs, keras.layers.Dense(10)(x))
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if getattr(layer, "kernel_size", None) == (1, 1):
            keep = rng.permutation(layer.kernel.shape[2] * channels).reshape(layer.kernel.shape)
            layer.kernel.assign(np.where(keep < zeros * keep.size, 0, layer.kernel.numpy()))
    return model


def make_files(arguments) -> dict:
    """{(channels, zeros): (dense file, sparse file)}"""
    files = {}
    for channels in arguments.channels:
        for zeros in arguments.zeros:
            model = network(channels, zeros, arguments.size, arguments.blocks)
            files[channels, zeros] = tf_wgsef.convert(model), tf_wgsef.convert(model, sparse=True)
    return files


def save(files: dict, folder: pathlib.Path) -> None:
    folder.mkdir(exist_ok=True)
    for (channels, zeros), pair in files.items():
        for name, file in zip(("dense", "sparse"), pair, strict=True):
            (folder / f"{name}_{channels}_{round(100 * zeros)}.tflite").write_bytes(file)


def measure(files: dict, target, seconds: float, progress) -> dict:
    """{(channels, zeros): what sparse gains on one device}"""
    found = {}
    for number, (key, (dense, sparse)) in enumerate(files.items()):

        def advance(share, number=number):
            progress((number + share) / len(files))

        options = {"names": ("dense", "sparse"), "min_seconds": seconds, "progress": advance}
        latency = tf_wgsef.compare_latency(dense, sparse, target=target, **options)
        found[key] = SparseGain.of(dense, sparse, latency)
    return found


def table(gains: dict) -> Table:
    one = next(iter(gains.values())).latency.b
    emulated = "; EMULATED: proves function, not speed" if one.machine.emulated else ""
    title = f"{one.target}: {one.machine.cpu}, {one.machine.os}, {one.runtime}{emulated}"
    shown = Table("Channels", "Zeros", "Dense, bytes", "Sparse, bytes", "Layers taken", title=title)
    for name in ("Dense, µs", "Sparse, µs", "Dense / sparse latency", "Speed"):
        shown.add_column(name, justify="right")
    for (channels, zeros), gain in gains.items():
        found = gain.latency
        ratio = f"{found.ratio:.3f} ({found.low:.3f} to {found.high:.3f})"
        row = (channels, f"{zeros:.0%}", f"{gain.dense_bytes:,}", f"{gain.bytes:,}", len(gain.layers))
        times = (f"{found.a.p50:.1f}", f"{found.b.p50:.1f}")
        shown.add_row(*map(str, row), *times, ratio, gain.verdict)
    return shown


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--channels", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--zeros", type=float, nargs="+", default=[0.8, 0.9])
    parser.add_argument("--size", type=int, default=32, help="pixels along a side of the image (32)")
    parser.add_argument("--blocks", type=int, default=3, help="of a 1×1 and a depthwise convolution (3)")
    parser.add_argument("--seconds", type=float, default=1.5, help="timed seconds of each file (1.5)")
    parser.add_argument("--target", nargs="+", default=["local"], help="local, ssh://user@host, adb:serial")
    parser.add_argument("--json", type=pathlib.Path, help="also write the results to this file")
    parser.add_argument("--save", type=pathlib.Path, help="write the files to this folder, measure nothing")
    add_device_options(parser)
    return parser.parse_args()


def main():
    arguments = parse()
    check_device_options(arguments.target, arguments)
    targets = {name: open_target(name, arguments) for name in arguments.target}
    files = make_files(arguments)
    if arguments.save:
        save(files, arguments.save)
        return
    results = {}
    for name, target in targets.items():
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(name, total=1.0)
            gains = measure(
                files, target, arguments.seconds, lambda share, task=task: bar.update(task, completed=share)
            )
        Console(width=130).print(table(gains))
        results[name] = [
            {"channels": channels, "zeros": zeros, **gain.to_dict()}
            for (channels, zeros), gain in gains.items()
        ]
        if arguments.json:
            arguments.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except tf_wgsef.WGSEFError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("stopped")
