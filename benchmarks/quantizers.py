"""TensorFlow's converter against ai-edge-quantizer on stripped models: size, time, accuracy, latency.

The figures behind the choice in docs/deploying.md. Needs ``pip install ai-edge-quantizer`` on top.

    python benchmarks/quantizers.py
"""

import time

import keras
from ai_edge_quantizer import quantizer, recipe
from rich.console import Console
from rich.table import Table

import tf_wgsef
from tf_wgsef.convert import accuracy
from tf_wgsef.convert._quiet import quiet
from tf_wgsef.workflows import lenet5, load_digits_28

MODES = ("none", "float16", "dynamic", "int8", "int16x8")
RECIPES = {
    "dynamic": recipe.dynamic_wi8_afp32,
    "int8": recipe.static_wi8_ai8,
    "int16x8": recipe.static_wi8_ai16,
}


def separable():
    x = inputs = keras.Input((28, 28, 1))
    for count, filters in enumerate((32, 48, 64)):
        x = keras.layers.SeparableConv2D(filters, 3, padding="same", strides=1 + (count < 2), use_bias=False)(
            x
        )
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=0.8)(x))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(10)(keras.layers.Dense(64, activation="relu")(x)))


def stripped(build, data):
    keras.utils.set_random_seed(0)
    sparse = tf_wgsef.sparsify(build(), sparsity=0.5)
    sparse.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    sparse.fit(data.x_train, data.y_train, batch_size=32, epochs=12, verbose=0)
    return tf_wgsef.strip(sparse).model


def by_recipe(float_file, mode, x):
    with quiet():
        tool = quantizer.Quantizer(bytearray(float_file))
        tool.load_quantization_recipe(RECIPES[mode]())
        found = None
        if mode != "dynamic":
            name = float_file.record.contents.inputs[0].name
            # A generator is taken too, and found empty afterwards.
            found = tool.calibrate({"serving_default": [{name: x[i : i + 1]} for i in range(len(x))]})
        return bytes(tool.quantize(found).quantized_model)


def main():
    data = load_digits_28(0)
    x = data.x_train[:256]
    table = Table("Model", "Mode", "Tool", "Bytes", "Seconds", "Accuracy", "p50, µs")
    for name, build in (("LeNet-5", lenet5), ("separable", separable)):
        model = stripped(build, data)
        files = {}
        for mode in MODES:
            start = time.perf_counter()
            files[mode, "TensorFlow"] = tf_wgsef.convert(model, quantization=mode, calibration=x)
            files[mode, "TensorFlow"].seconds = time.perf_counter() - start
        plain = files["none", "TensorFlow"]
        rows = {key: (file, file.seconds) for key, file in files.items()}
        for mode in RECIPES:
            start = time.perf_counter()
            file = by_recipe(plain, mode, x)
            rows[mode, "ai-edge-quantizer"] = (file, time.perf_counter() - start)
        stats = tf_wgsef.measure.measure_interleaved(
            {" ".join(key): file for key, (file, _) in rows.items()}, min_seconds=0.5
        )
        for key, (file, seconds) in rows.items():
            right = accuracy(file, data.x_test, data.y_test)
            p50 = stats[" ".join(key)].p50
            table.add_row(name, *key, f"{len(file):,}", f"{seconds:.2f}", f"{right:.4f}", f"{p50:.1f}")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
