"""Sparse 1×1 convolutions against dense ones: the ratio of the latencies, over channels and shares of zeros.

The network is one that XNNPACK's sparse inference takes: a padded 3×3 stem of stride 2, 1×1 convolutions with
depthwise ones in between, and global pooling. Both files hold the same weights and take turns.

    python benchmarks/sparse_kernels.py --channels 64 128 256 --zeros 0.8 0.9
    python benchmarks/sparse_kernels.py --save files    # to measure elsewhere with tf-wgsef benchmark
"""

import argparse
import pathlib

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

import tf_wgsef


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


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--channels", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--zeros", type=float, nargs="+", default=[0.8, 0.9])
    parser.add_argument("--size", type=int, default=48, help="pixels along a side of the image")
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--save", metavar="FOLDER", help="write the files and measure nothing")
    arguments = parser.parse_args()
    table = Table(
        "Channels", "Zeros", "Dense, bytes", "Sparse, bytes", "Layers taken", "Dense / sparse latency"
    )
    for channels in arguments.channels:
        for zeros in arguments.zeros:
            model = network(channels, zeros, arguments.size, arguments.blocks)
            dense, sparse = tf_wgsef.convert(model), tf_wgsef.convert(model, sparse=True)
            taken = sum(layer.obstacle is None for layer in sparse.record.sparse_layers)
            if arguments.save:
                folder = pathlib.Path(arguments.save)
                folder.mkdir(exist_ok=True)
                for name, file in (("dense", dense), ("sparse", sparse)):
                    (folder / f"{name}_{channels}_{round(100 * zeros)}.tflite").write_bytes(file)
                ratio = "not measured"
            else:
                found = tf_wgsef.compare_latency(dense, sparse, min_seconds=arguments.seconds)
                ratio = f"{found.ratio:.3f} ({found.low:.3f} to {found.high:.3f})"
            row = (channels, f"{zeros:.0%}", f"{len(dense):,}", f"{len(sparse):,}", taken, ratio)
            table.add_row(*map(str, row))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
