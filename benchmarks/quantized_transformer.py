"""What quantization does to a small vision transformer: accuracy, difference and latency, mode by mode.

Trained on scikit-learn's digits. int8 harms layer normalization, whose variances are of very different sizes.

    python benchmarks/quantized_transformer.py
"""

import argparse

import keras
import numpy as np
from rich.console import Console
from rich.table import Table

import tf_wgsef
from tf_wgsef.workflows import load_digits_28

layers = keras.layers
MODES = {
    "float": "none",
    "dynamic": "dynamic",
    "int8": "int8",
    "int8, normalization in float": {"*": "int8", "norm*": "float"},
    "int16x8": "int16x8",
}


def vision_transformer(depth=4, width=32):
    inputs = keras.Input((28, 28, 1))
    x = layers.Reshape((49, width))(layers.Conv2D(width, 4, strides=4)(inputs))
    for block in range(depth):
        h = layers.LayerNormalization(name=f"norm_a{block}")(x)
        x = layers.Add()([x, layers.MultiHeadAttention(4, width // 4)(h, h)])
        h = layers.LayerNormalization(name=f"norm_b{block}")(x)
        x = layers.Add()([x, layers.Dense(width)(layers.Dense(2 * width, activation="gelu")(h))])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization(name="norm_end")(x))
    return keras.Model(inputs, layers.Dense(10)(x))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    arguments = parser.parse_args()
    table = Table("Mode", "Bytes", "Difference, of the range", "Accuracy", "p50, µs", "Computes with")
    rows = {name: [] for name in MODES}
    for seed in range(arguments.seeds):
        data = load_digits_28(0)
        keras.utils.set_random_seed(seed)
        model = vision_transformer()
        model.compile(
            keras.optimizers.AdamW(2e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        model.fit(data.x_train, data.y_train, batch_size=32, epochs=arguments.epochs, verbose=0)
        files = {
            name: tf_wgsef.convert(
                model,
                quantization=mode,
                calibration=data.x_train[:256],
                test=(data.x_test, data.y_test),
                force=True,
            )
            for name, mode in MODES.items()
        }
        stats = tf_wgsef.measure.measure_interleaved(files, min_seconds=0.5)
        for name, file in files.items():
            record = file.record
            rows[name].append((len(file), record.parity.relative, record.accuracy, stats[name].p50))
    for name, found in rows.items():
        size, difference, accuracy, p50 = np.array(found).T
        floats = files[name].record.contents
        table.add_row(
            name,
            f"{size[0]:,.0f}",
            f"{difference.mean():.4f} (at most {difference.max():.4f})",
            f"{100 * accuracy.mean():.2f} ± {100 * accuracy.std():.2f}",
            f"{np.median(p50):.0f}",
            floats.computes_with,
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
