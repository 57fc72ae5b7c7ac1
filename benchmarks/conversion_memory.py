"""Memory of a conversion: the peak of a process of its own, less its imports, in sizes of the model.

The kernel's own figure (VmHWM of /proc/self/status, set back before the conversion) is taken, since a thread
that samples stands still while TensorFlow holds Python's lock. Everything happens in that one process; should
it start another one, it says so and fails. Linux only.

    python benchmarks/conversion_memory.py --quantization none int8 --model dense conv
    python benchmarks/conversion_memory.py --command  # a process as tf-wgsef convert sets up its own
"""

import argparse
import json
import pathlib
import subprocess
import sys

QUANTIZATIONS = ("none", "float16", "dynamic", "int8", "int16x8")
MODELS = ("small", "power", "dense", "conv", "MobileNetV2", "ResNet50")
LAYERS = {"small": 7, "power": 8, "dense": 12}  # "power": just above 2²⁷ bytes


def build(name):
    import keras

    keras.utils.set_random_seed(0)
    if name in LAYERS:
        count = LAYERS[name]
        return keras.Sequential([keras.Input((2048,)), *[keras.layers.Dense(2048) for _ in range(count)]])
    if name == "conv":
        layers = [keras.layers.Conv2D(512, 3, padding="same") for _ in range(20)]
        return keras.Sequential([keras.Input((4, 4, 512)), *layers, keras.layers.GlobalAveragePooling2D()])
    return getattr(keras.applications, name)(weights=None, input_shape=(96, 96, 3))


def child(name, quantization, command):
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
    x = np.random.default_rng(0).normal(size=(16, *model.input_shape[1:])).astype("float32")
    pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    tflite = tf_wgsef.convert(model, quantization=quantization, calibration=x, force=True)
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
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    setting = "command" if arguments.command else "library"
    for name in arguments.model:
        for quantization in arguments.quantization:
            command = [sys.executable, __file__, "--child", name, quantization, setting]
            done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
            found = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{name:12} {quantization:8} {setting:8} model {found['model'] / 1e6:6.0f} MB, file "
                f"{found['file'] / 1e6:6.1f} MB, peak {found['times']:5.2f} times the model"
            )


if __name__ == "__main__":
    main()
