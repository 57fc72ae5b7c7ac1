"""A comparison on JAX, in a process where TensorFlow cannot be imported: as on a machine with a GPU."""

import os
import subprocess
import sys

CODE = """
import sys
sys.modules["tensorflow"] = None  # importing it fails
import keras, numpy as np, tf_wgsef
from tf_wgsef.workflows.compare import RECIPES, Recipe
from tf_wgsef.workflows.data import from_arrays

def network():
    layers = [keras.layers.Conv2D(8, 3, name="a"), keras.layers.ReLU(), keras.layers.Flatten()]
    return keras.Sequential([keras.Input((6, 6, 1)), *layers, keras.layers.Dense(3)])

def images():
    x, y = np.random.default_rng(0).random((48, 6, 6, 1)), np.arange(48) % 3
    return from_arrays({"x_train": x, "y_train": y, "x_test": x, "y_test": y}, "noise")

RECIPES["tiny"] = Recipe(network, images, 3, 16, augment=False)
settings = {"recipe": "tiny", "methods": ["wgsef"], "shapes": {"a": 3}, "seeds": [0]}
stopped = tf_wgsef.compare_methods(settings, output=sys.argv[1], minutes=1e-6)
runs = tf_wgsef.compare_methods(settings, output=sys.argv[1]).runs
sizes = [run["parameters"] for run in runs]
print("made", stopped.missing, sizes, runs[1]["file_bytes"], keras.backend.backend())
"""


def test_without_tensorflow(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    # 8 and 3 filters of 3x3 and a bias, 16 positions of each to 3 classes
    assert f"made 2 [{80 + 128 * 3 + 3}, {30 + 48 * 3 + 3}] None jax" in done.stdout, done.stderr[-2000:]
    assert "The time is over after 0 of 2 runs" in done.stderr
