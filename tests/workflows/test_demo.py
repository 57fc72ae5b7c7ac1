"""The demo, run as a user runs it, and its figures checked against its own files."""

import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import tf_wgsef
from tf_wgsef.workflows import _demo, load_digits_28
from tf_wgsef.workflows.networks import lenet5


def test_it_ends_well_with_the_table_and_all_files(demo):
    folder, done = demo
    assert done.returncode == 0, done.stderr
    assert "stripped int8" in done.stderr
    assert {path.name for path in folder.iterdir()} == {
        "dense.keras",
        "stripped.keras",
        "dense_float.tflite",
        "stripped_float.tflite",
        "stripped_int8.tflite",
        "report.json",
        "report.html",
        "report.png",
    }
    assert json.loads(done.stdout) == json.loads((folder / "report.json").read_text())


def test_the_level_is_met_in_every_layer(demo):
    small = keras.models.load_model(demo[0] / "stripped.keras")
    shapes = [small.get_layer(name).kernel.shape[-1] for name in ("conv1", "conv2", "dense1")]
    assert shapes == [5, 12, 125]


def test_the_reported_figures_are_those_of_the_files(demo):
    folder, done = demo
    report = json.loads(done.stdout)
    data = load_digits_28()
    found = {variant["name"]: variant for variant in report["variants"]}
    for name, model_file in (("dense float", "dense"), ("stripped float", "stripped")):
        model = keras.models.load_model(folder / f"{model_file}.keras")
        assert found[name]["parameters"] == model.count_params()
        guesses = np.argmax(model.predict(data.x_test, verbose=0), -1)
        assert found[name]["accuracy"] == np.mean(guesses == data.y_test)
    for name, variant in found.items():
        file = (folder / f"{name.replace(' ', '_')}.tflite").read_bytes()
        assert variant["file_bytes"] == len(file)
        assert variant["accuracy"] == tf_wgsef.convert.accuracy(file, data.x_test, data.y_test)
        assert variant["accuracy"] > 0.95
    assert report["max_abs_diff"] <= 1e-5 * report["output_range"]
    assert report["history"]["live_groups"][-1] == 142


def test_ctrl_c_after_training_says_what_is_there(tmp_path, monkeypatch):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(_demo, "_train", lambda model, data, epochs, progress, folder, name: {"loss": [0.0]})
    monkeypatch.setattr(_demo, "_load", lambda path: lenet5())
    monkeypatch.setattr(_demo, "convert_models", stop)
    with pytest.raises(KeyboardInterrupt, match="what was finished is in"):
        tf_wgsef.workflows.run_demo(tmp_path / "out")
    assert (tmp_path / "out" / "stripped.keras").exists()


def test_ctrl_c_in_training_saves_what_was_trained(tmp_path):
    folder = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "tf_wgsef.cli", "demo", "--output", str(folder)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A test runner in the background hands down that Ctrl-C is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    deadline = time.monotonic() + 300
    while not (folder / "dense.keras").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(3)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 130, stderr
    last = stderr.strip().splitlines()[-1]
    assert last.startswith("tf-wgsef: Interrupted; what was trained so far is saved as"), stderr
    assert "Traceback" not in stderr
    assert keras.models.load_model(folder / "interrupted.keras").count_params() == 431_080
    assert keras.models.load_model(folder / "dense.keras").count_params() == 431_080
