"""Names that the examples in docstrings use, so that pytest can run them as they stand."""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
import rich  # noqa: E402


@pytest.fixture(autouse=True)
def names_of_examples(request, monkeypatch, tmp_path):
    """Gives docstring examples keras, ops, np and a small model with its data and file."""
    if request.node.__class__.__name__ != "DoctestItem":
        return
    monkeypatch.chdir(tmp_path)
    names = request.getfixturevalue("doctest_namespace")
    names.update(
        keras=keras, ops=keras.ops, np=np, rich=rich, sys=sys, **request.getfixturevalue("example_model")
    )


@pytest.fixture(scope="session")
def example_model(tmp_path_factory):
    """A small classifier, its data and its ``.tflite`` file."""
    import tf_wgsef
    import tf_wgsef.report

    generator = np.random.default_rng(0)
    x = generator.normal(size=(32, 4)).astype("float32")
    y = (x[:, 0] > 0).astype("int32")
    layers = [keras.Input((4,)), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(2)]
    model = keras.Sequential(layers, name="example")
    tflite = tf_wgsef.convert(model)
    path = tmp_path_factory.mktemp("example") / "model.tflite"
    path.write_bytes(tflite)
    variants = (
        tf_wgsef.report.Variant(name="dense float", parameters=431_080, macs=2_293_000),
        tf_wgsef.report.Variant(name="stripped float", parameters=27_027, macs=193_250),
    )
    return {
        "report": tf_wgsef.Report(title="LeNet-5", variants=variants),
        "model": model,
        "tflite": tflite,
        "path": path,
        "x_train": x,
        "y_train": y,
        "x_test": x,
        "y_test": y,
    }
