"""Memory of a conversion: the peak of a process of its own, less its imports, in sizes of the model.

The kernel's own figure (VmHWM of /proc/self/status, set back before the conversion) is taken, since a thread
that samples stands still while TensorFlow holds Python's lock. Everything happens in that one process; should
it start another one, it says so and fails. Linux only.

    python benchmarks/conversion_memory.py --quantization none int8 --model dense conv
    python benchmarks/conversion_memory.py --command  # a process as tf-wgsef convert sets up its own
    python benchmarks/conversion_memory.py --model attention embedding leaky pointwise --sparse
"""

import argparse
import json
import pathlib
import subprocess
import sys

QUANTIZATIONS = ("none", "float16", "dynamic", "int8", "int16x8")
LAYERS = {"small": 7, "power": 8, "dense": 12}  # "power": just above 2²⁷ bytes
TOKENS = 50_000
MODELS = (
    *LAYERS,
    "conv",
    "leaky",
    "clipped",
    "pointwise",
    "attention",
    "embedding",
    "MobileNetV2",
    "ResNet50",
)


def build(name):
    import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    if name in LAYERS:
        return keras.Sequential([keras.Input((2048,)), *[layers.Dense(2048) for _ in range(LAYERS[name])]])
    if name in ("conv", "leaky", "clipped"):  # without and with operations between the convolutions
        chain = [layers.Conv2D(512, 3, padding="same") for _ in range(20)]
        if name == "leaky":
            chain = [layer for one in chain for layer in (one, layers.LeakyReLU())]
        if name == "clipped":
            chain = [layer for one in chain for layer in (one, _clipped())]
        return keras.Sequential([keras.Input((4, 4, 512)), *chain, layers.GlobalAveragePooling2D()])
    if name == "pointwise":
        return _mostly_zero(
            keras.Sequential([keras.Input((4, 4, 1024)), *[layers.Conv2D(1024, 1) for _ in range(48)]])
        )
    if name == "attention":
        x = inputs = keras.Input((16, 1024))
        for _ in range(4):
            x = layers.LayerNormalization()(layers.MultiHeadAttention(16, 64)(x, x) + x)
            x = layers.LayerNormalization()(layers.Dense(1024)(layers.Dense(4096, "gelu")(x)) + x)
        return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling1D()(x)))
    if name == "embedding":
        inputs = keras.Input((16,), dtype="int32")
        # As a model that is loaded: TensorFlow's allocator keeps twice the tensor that it draws at random.
        table = layers.Embedding(TOKENS, 1024, embeddings_initializer="zeros")
        x = layers.GlobalAveragePooling1D()(table(inputs))
        table.embeddings.assign(_normal((TOKENS, 1024)))
        return keras.Model(inputs, layers.Dense(10)(x))
    return getattr(keras.applications, name)(weights=None, input_shape=(96, 96, 3))


def _clipped():
    """A layer with a clip, and a sum, which int16x8 files compute in float."""
    import keras

    ops = keras.ops
    return keras.layers.Lambda(lambda x: ops.clip(x, -0.9, 0.8) - 0.01 * ops.sum(x, axis=-1, keepdims=True))


def _normal(shape):
    import numpy as np

    return np.random.default_rng(0).normal(size=shape).astype("float32")


def _mostly_zero(model):
    import numpy as np

    rng = np.random.default_rng(0)
    for layer in model.layers:
        layer.kernel.assign(layer.kernel * (rng.random(layer.kernel.shape) < 0.1))
    return model


def samples(model):
    import numpy as np

    shape = (16, *model.input_shape[1:])
    if model.inputs[0].dtype == "int32":
        return np.random.default_rng(0).integers(0, TOKENS, shape).astype("int32")
    return _normal(shape)


def child(name, quantization, command, sparse):
    from tf_wgsef.memory import use_little_memory

    if command == "command":
        use_little_memory()
    import resource

    import keras
    import numpy as np

    import tf_wgsef

    def status(key):
        lines = pathlib.Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return 1024 * int(next(line for line in lines if line.startswith(key)).split()[1])

    def others():  # the largest process that this one has started; imports start some
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss

    tiny = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    tf_wgsef.convert(tiny, quantization=quantization, calibration=np.eye(4))  # all imports are done
    imports, before = status("VmRSS"), others()
    model = build(name)
    size = sum(variable.value.numpy().nbytes for variable in model.variables)
    x, options = samples(model), {"sparse": True} if sparse == "sparse" else {}
    pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    tflite = tf_wgsef.convert(model, quantization=quantization, calibration=x, force=True, **options)
    peak = status("VmHWM") - imports
    if others() != before:
        raise RuntimeError("Expected one process. Received: another one, whose memory is not counted here.")
    print(json.dumps({"model": size, "file": len(tflite), "peak": peak, "times": round(peak / size, 2)}))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quantization", nargs="+", default=QUANTIZATIONS)
    parser.add_argument("--model", nargs="+", default=["dense", "conv"], choices=MODELS)
    parser.add_argument("--command", action="store_true", help="as tf-wgsef convert sets up its process")
    parser.add_argument("--sparse", action="store_true", help="none and float16 as convert(..., sparse=True)")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    setting = "command" if arguments.command else "library"
    for name in arguments.model:
        for quantization in arguments.quantization:
            stored = "sparse" if arguments.sparse and quantization in ("none", "float16") else "dense"
            command = [sys.executable, __file__, "--child", name, quantization, setting, stored]
            done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
            found = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{name:12} {quantization:8} {setting:8} {stored:6} model {found['model'] / 1e6:4.0f} MB, "
                f"file {found['file'] / 1e6:6.1f} MB, peak {found['times']:5.2f} times the model"
            )


if __name__ == "__main__":
    main()
