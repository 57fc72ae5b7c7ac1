"""deploy: training in int8 on the way, weights stored sparse, other devices."""

import dataclasses
import errno
import importlib.util
import json
import pathlib

import keras
import numpy as np
import pytest

import tf_wgsef
from tests import models
from tests.cli.bench import Bench
from tf_wgsef.cli._main import parse, run
from tf_wgsef.convert import predict, read_metadata, weights_hash
from tf_wgsef.convert.aware import _aware_file
from tf_wgsef.errors import ConversionError, InputError
from tf_wgsef.workflows import _deploy

needs_library = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow_model_optimization") is None,
    reason="the extra qat is not installed",
)


def call(*arguments):
    return run(parse(["tf-wgsef", *map(str, arguments)]))


def pointwise():
    """A chain of 1×1 convolutions that sparse kernels would take; nine of ten weights are zero."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.ZeroPadding2D(1), keras.layers.Conv2D(16, 3, strides=2, activation="relu")]
    layers += [keras.layers.Conv2D(48, 1, activation="relu", name=name) for name in "ab"]
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(4)]
    model = keras.Sequential([keras.Input((16, 16, 3)), *layers])
    for name in "ab":
        kernel = model.get_layer(name).kernel
        order = np.random.default_rng(0).permutation(np.prod(kernel.shape)).reshape(kernel.shape)
        kernel.assign(np.where(order < 0.9 * order.size, 0, kernel.numpy()))
    return model


class Even(Bench):
    """All files take as long."""

    def _stats(self, file, seed):
        found = super()._stats(file, seed)
        return dataclasses.replace(found, round_medians=(5.0,) * len(found.round_medians))


@needs_library
def test_training_in_int8_is_one_more_quantization(sparse, tmp_path, capsys):
    model, x, y = sparse
    model.save(tmp_path / "sparse.keras")
    np.savez(tmp_path / "data.npz", x=x, y=y)
    data, out = tmp_path / "data.npz", tmp_path / "out"
    options = ["--quantization", "none", "aware", "--train", data, "--epochs", 1, "--test", data]
    assert call("deploy", tmp_path / "sparse.keras", "--output", out, *options, "--no-latency", "--json") == 0
    told = json.loads(capsys.readouterr().out)["files"]
    file = (out / "model_aware.tflite").read_bytes()
    small = keras.models.load_model(out / "stripped.keras", compile=False)
    assert told["aware"]["contents"]["integer_only"] is True
    assert [set(epoch) for epoch in told["aware"]["history"]] == [{"loss", "accuracy"}]
    right = float(np.mean(predict(file, x).argmax(axis=1) == y))
    assert told["aware"]["accuracy"] == right and right > 0.8
    notes = read_metadata(file)
    assert notes["quantization"] == "aware" and notes["source_sha256"] == weights_hash(small)
    assert notes["sparsity"] == read_metadata(out / "model_float32.tflite")["sparsity"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantization": "aware"}, "Expected training data for quantization='aware'.*Received: none"),
        ({"train": (1, 2)}, "`train` with the quantization 'aware' only"),
        ({"quantization": "aware", "train": (1, 2, 3)}, "`train` as a tuple"),
        (
            {"quantization": "aware", "train": (np.ones((3, 20, 20, 1)), [0, 1])},
            "as many samples in `x` as in `y`",
        ),
        ({"quantization": "aware", "train": 3}, "Expected `x` to be data"),
        ({"target": "ssh:board"}, "Expected target="),
        ({"quantization": 3}, "a mode or a list of several"),
        ({"metadata": [1]}, "`metadata` to be a dict"),
        ({"test": (np.ones((3, 20, 20, 1)), None)}, "`test` as a tuple .* Received: .'ndarray', 'NoneType'"),
        (
            {"calibration": np.full((9, 20, 20, 1), 7.0)},
            "real inputs.*Received: samples that are 7 throughout",
        ),
    ],
)
def test_what_is_missing_is_said_before_anything_is_made(sparse, tmp_path, monkeypatch, options, message):
    monkeypatch.setattr("tf_wgsef.convert.aware._job.importlib.util.find_spec", lambda name: True)
    with pytest.raises(InputError, match=message):
        tf_wgsef.deploy(sparse[0], output=tmp_path / "out", latency=False, **options)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_extra_is_said_before_the_strip(sparse, monkeypatch):
    monkeypatch.setattr("tf_wgsef.convert.aware._job.importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(_deploy, "strip", lambda *_, **__: pytest.fail("too late"))
    with pytest.raises(InputError, match=r"tf-wgsef\[qat\]"):
        tf_wgsef.deploy(sparse[0], quantization="aware", train=(sparse[1], sparse[2]))


@pytest.mark.parametrize("y", [np.full(40, 3), np.arange(39) % 3])
def test_wrong_labels_are_said_before_the_training(sparse, monkeypatch, y):
    monkeypatch.setattr("tf_wgsef.convert.aware._job.importlib.util.find_spec", lambda name: True)
    monkeypatch.setattr(_aware_file, "train_quantized", lambda *_, **__: pytest.fail("too late"))
    with pytest.raises(InputError, match="whole numbers from 0 to 2|one class for each"):
        _aware_file.convert_aware(sparse[0], sparse[1:], test=(sparse[1], y))


@pytest.mark.parametrize("output", [3, ""])
def test_an_output_that_is_no_path_is_one_line(output):
    with pytest.raises(InputError, match="Expected a path to write to"):
        tf_wgsef.deploy(models.lenet(), output=output)


@pytest.mark.parametrize(
    ("board", "word"),
    [
        (Bench("ssh://board"), "faster"),
        (Even("ssh://board"), "no gain in speed"),
        (Bench("ssh://board", slow=2.0), "no gain can be claimed, measure again"),
    ],
)
def test_what_sparse_weights_gain_is_measured_and_said(board, word):
    done = tf_wgsef.deploy(pointwise(), quantization=["none", "dynamic"], sparse=True, target=board)
    (gain,) = done.sparse_gains.values()
    assert list(done.sparse_gains) == ["none"] and len(gain.stored) == len(gain.layers) == 2
    assert gain.bytes == len(done.files["none"]) < 0.9 * gain.dense_bytes
    (line,) = [line for line in done.report().splitlines() if line.startswith("none, 2 layers stored sparse")]
    assert word in line and "on ssh://board (toy)" in line
    if word == "faster":  # the bench takes as many microseconds as there are bytes
        assert gain.latency.ratio == pytest.approx(gain.dense_bytes / gain.bytes, rel=1e-3)
    assert json.loads(json.dumps(done.to_dict()))["sparse_gains"]["none"]["verdict"] == gain.verdict


def test_without_measuring_no_gain_is_claimed(sparse):
    done = tf_wgsef.deploy(sparse[0], sparse=True, latency=False)
    assert "no layer stored sparse" in done.report() and "speed not measured" in done.report()


def test_files_stay_whatever_the_device_makes_of_them(sparse, tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise InputError("Expected an intact .tflite file. Received: odd.")

    monkeypatch.setattr(_deploy, "measure_interleaved", refuse)
    done = tf_wgsef.deploy(sparse[0], output=tmp_path / "out")
    assert "intact" in done.not_measured and pathlib.Path(done.written["none"]).exists()


def test_files_stay_when_the_device_is_lost(sparse, tmp_path, monkeypatch, capsys):
    sparse[0].save(tmp_path / "m.keras")
    monkeypatch.setattr("tf_wgsef.cli._deploy.open_target", lambda *_: Bench("ssh://board", lost_after=0))
    command = ["deploy", tmp_path / "m.keras", "--output", tmp_path / "out", "--target", "ssh://board"]
    assert call(*command, "--json") == 1
    captured = capsys.readouterr()
    assert "Expected ssh://board to stay" in json.loads(captured.out)["not_measured"]
    assert "files are written, but not measured" in " ".join(captured.err.split())
    assert (tmp_path / "out" / "model_float32.tflite").exists()


def test_messages_name_the_argument_of_python_and_of_the_command(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="overwrite=True or --overwrite to replace") as error:
        tf_wgsef.deploy(models.lenet(), output=tmp_path)
    assert "--output" not in str(error.value)
    assert [path.name for path in pathlib.Path(tmp_path).iterdir()] == ["mine.txt"]


def test_a_full_disk_is_one_line_that_says_where(sparse, tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", full)
    with pytest.raises(OSError) as caught:
        tf_wgsef.deploy(sparse[0], output=tmp_path, latency=False)
    assert caught.value.filename == str(tmp_path / "stripped.keras") and not list(tmp_path.iterdir())
    monkeypatch.setattr("tf_wgsef.convert.aware._job.importlib.util.find_spec", lambda name: True)
    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(ConversionError, match="folder for temporary files.*No space left.*TMPDIR"):
        tf_wgsef.deploy(sparse[0], quantization="aware", train=sparse[1:], latency=False)


def test_training_comes_last(sparse, monkeypatch):
    """What another mode is refused for is said before the hours that a training may take."""
    monkeypatch.setattr("tf_wgsef.convert.aware._job.importlib.util.find_spec", lambda name: True)
    monkeypatch.setattr(_deploy, "convert_aware", lambda *_, **__: pytest.fail("too early"))
    with pytest.raises(InputError, match="one of 'none'"):
        tf_wgsef.deploy(sparse[0], quantization=["aware", "int9"], train=sparse[1:], latency=False)
    made = tf_wgsef.convert(sparse[0])
    monkeypatch.setattr(_deploy, "convert_aware", lambda *_, **__: made)
    modes = ["aware", "none"]
    done = tf_wgsef.deploy(sparse[0], quantization=modes, train=sparse[1:], latency=False)
    assert list(done.files) == modes


def test_a_stream_that_can_be_read_once_is_left_to_the_mode_that_needs_it(sparse):
    model, x, _ = sparse
    done = tf_wgsef.deploy(model, calibration=iter([x]), latency=False)
    assert done.files["int8"].record.calibrated_on[0] == len(x) and set(done.files) == {"none", "int8"}
