"""The share of right answers on a device: computed there as it is computed here, and nothing stays."""

import json
import threading

import keras
import numpy as np
import pytest

import tf_wgsef
from tf_wgsef.cli._main import parse, run
from tf_wgsef.errors import InputError, MeasurementError
from tf_wgsef.measure import AdbTarget, LocalTarget, SSHTarget, measure_accuracy
from tf_wgsef.measure._messages import read_answers, read_loaded
from tf_wgsef.measure._samples import Samples, read_parts

from .boards import Line
from .test_ssh_faults import python_that

COUNT = 70


@pytest.fixture(scope="module")
def cases():
    """{name: (file, x)}: floats, int8, and two inputs of which one is of integers."""
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(COUNT, 6, 6, 1)).astype("float32")
    one = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(4)])
    image, extra = keras.Input((3,), name="image"), keras.Input((2,), name="extra", dtype="int32")
    both = keras.layers.Concatenate()([image, keras.ops.cast(extra, "float32")])
    two = keras.Model([image, extra], keras.layers.Dense(5)(both))
    numbers = np.random.default_rng(1).integers(0, 9, (COUNT, 2)).astype("int32")
    data = {"image": x[:, 0, :3, 0], "extra": numbers}
    return {
        "float": (tf_wgsef.convert(one), x),
        "int8": (tf_wgsef.convert(one, quantization="int8", calibration=x), x),
        "two": (tf_wgsef.convert(two), data),
    }


def labels_for(file, x):
    """Labels of which a known number is right: three quarters of what the file answers."""
    scores = tf_wgsef.convert.predict(file, x)
    labels = scores.argmax(axis=-1)
    labels[: COUNT // 4] = (labels[: COUNT // 4] + 1) % scores.shape[1]
    return labels


@pytest.mark.parametrize("case", ["float", "int8", "two"])
def test_here_and_on_a_board_the_same(case, cases, native_board, monkeypatch):
    monkeypatch.setattr("tf_wgsef.measure._samples._CHUNK_BYTES", 1000)  # several pieces
    file, x = cases[case]
    y = labels_for(file, x)
    shares = []
    board = SSHTarget("ssh://board", ssh_config=native_board.config)
    there = measure_accuracy(file, x, y, target=board, name="net", progress=shares.append)
    here = measure_accuracy(file, x, np.eye(y.max() + 1)[y] if case != "two" else y, name="net")
    assert here.share == there.share == tf_wgsef.convert.accuracy(file, x, y)
    assert there.right == COUNT - COUNT // 4 and there.samples == COUNT
    assert (there.target, here.target) == ("ssh://board", "local")
    assert str(there).startswith("net: 75.71% right (53 of 70 samples, ssh://board, ai-edge-litert ")
    assert len(shares) > 1 and shares == sorted(shares) and shares[-1] == 1
    assert native_board.left(0) == []


@pytest.mark.parametrize("python", ["python3", "python3-tflite"])
def test_an_emulated_board_answers(arm_board, cases, python):
    file, x = cases["int8"]
    y = labels_for(file, x)
    board = SSHTarget("ssh://board", ssh_config=arm_board.config, python=python)
    found = measure_accuracy(file, x, y, target=board)
    # Other kernels may round a close answer to its neighbour.
    assert abs(found.right - (COUNT - COUNT // 4)) <= 2
    assert found.runtime.startswith("tflite-runtime 2.14" if "tflite" in python else "ai-edge-litert ")
    assert arm_board.left(0) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x, y: (x[:, :5], y), r"of shape \(n, 6, 6, 1\)"),
        (lambda x, y: (x, y[:9]), "each of the 70 samples"),
        (lambda x, y: (x, y + 9), "from 0 to 3"),
        (lambda x, y: (np.where(x > 2, np.nan, x), y), "NaN or infinite"),
        (lambda x, y: (x[:0], y[:0]), "at least 1"),
        (lambda x, y: (x.astype(str), y), "array of numbers"),
        (lambda x, y: (np.array([{}, None]), y), "array of numbers"),
        (lambda x, y: ({"no": x}, y), "with the inputs"),
        (lambda x, y: ({}, y), "array of numbers"),
    ],
)
def test_what_does_not_fit_is_refused_there_as_here(change, said, cases, native_board):
    file, x = cases["float"]
    x, y = change(x, labels_for(file, x))
    for target in ("local", SSHTarget("ssh://board", ssh_config=native_board.config)):
        with pytest.raises(InputError, match=said):
            measure_accuracy(file, x, y, target=target)
    assert native_board.left() == []


def test_a_board_without_python_says_so(cases, tmp_path):
    tool = tmp_path / "tool"
    tool.write_text("x")
    file, x = cases["float"]
    for target in (AdbTarget("adb", benchmark_model=tool), SSHTarget("ssh://board", benchmark_model="/b")):
        assert not target.classifies
        with pytest.raises(MeasurementError, match="benchmark_model only measures. Compute them on this"):
            measure_accuracy(file, x, labels_for(file, x), target=target)
    assert LocalTarget().classifies and SSHTarget("ssh://board").classifies


def test_too_many_samples_are_refused_before_they_are_sent(monkeypatch):
    monkeypatch.setattr("tf_wgsef.measure._samples._MOST_BYTES", 1000)
    with pytest.raises(InputError, match="Pass fewer, or a smaller type"):
        Samples(np.zeros((1001,), "uint8"))


@pytest.mark.parametrize("dtype", ["float64", "float16", "uint8", "bool", ">i4", "longdouble"])
def test_samples_arrive_as_they_were(dtype, monkeypatch):
    monkeypatch.setattr("tf_wgsef.measure._samples._CHUNK_BYTES", 64)
    x = np.arange(50).reshape(25, 2).astype(dtype)
    samples = Samples({"a": x, "b": x[:, ::-1]})
    content = b"".join(samples.chunks())
    at = 0

    def read(count):
        nonlocal at
        at += count
        return content[at - count : at]

    header = json.loads(json.dumps(samples.header))
    parts = list(read_parts(header, read))
    assert len(parts) > 1 and at == len(content)
    np.testing.assert_array_equal(np.concatenate([one["a"] for one in parts]), x)
    np.testing.assert_array_equal(np.concatenate([one["b"] for one in parts]), x[:, ::-1])


def test_cut_while_the_samples_are_sent(native_board, cases, tmp_path):
    file, x = cases["float"]
    x = np.repeat(x, 200, axis=0)
    line = Line(native_board.port, up=1_000_000)
    options = {"Port": line.port, "HostKeyAlias": f"[127.0.0.1]:{native_board.port}"}
    config = native_board.config_with(tmp_path / "config", **options)
    before = threading.active_count()
    with pytest.raises(MeasurementError, match="it was lost.* of 14000 samples were answered"):
        measure_accuracy(file, x, np.zeros(len(x)), target=SSHTarget("ssh://board", ssh_config=config))
    line.close()
    assert native_board.left() == []
    assert threading.active_count() <= before + 4  # those of the line itself


ODD = {
    "no runtime": (
        "sys.modules.update({'ai_edge_litert.interpreter': None, 'tflite_runtime.interpreter': None})",
        "pip install ai-edge-litert",
    ),
    "crash": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "it crashed"),
    "answers before it loads": (
        'print(\'tf_wgsef {"kind": "answers", "classes": [0]}\')',
        "Expected results from the runner",
    ),
    "too few answers": (
        'print(\'tf_wgsef {"kind": "loaded", "classes": 4}\\ntf_wgsef {"kind": "done"}\'); sys.exit(0)',
        "0 of 70 samples were answered",
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_pythons_that_do_not_answer(case, native_board, cases):
    first, said = ODD[case]
    file, x = cases["float"]
    with native_board.program("odd", python_that(native_board, first=first)):
        board = SSHTarget("ssh://board", ssh_config=native_board.config, python="odd")
        with pytest.raises(MeasurementError, match=said):
            measure_accuracy(file, x, np.zeros(COUNT), target=board)
    assert native_board.left() == []


@pytest.mark.parametrize(
    "message",
    [{"classes": []}, {"classes": [4]}, {"classes": [-1]}, {"classes": [True]}, {"classes": [0] * 9}, {}],
)
def test_damaged_answers(message):
    with pytest.raises(MeasurementError, match="Expected results from the runner"):
        read_answers(message, 4, 8)
    for classes in (1, 0, True, 2.0, "4", None):
        with pytest.raises(MeasurementError, match="Expected results from the runner"):
            read_loaded({"classes": classes})


def benchmark(*arguments):
    return run(parse(["tf-wgsef", "benchmark", *map(str, arguments), "--seconds", "0.1", "--json"]))


def test_the_command_says_where_it_was_computed(native_board, cases, tmp_path, capsys):
    file, x = cases["float"]
    path, data, page = tmp_path / "net.tflite", tmp_path / "data.npz", tmp_path / "page.html"
    path.write_bytes(file)
    np.savez(data, x=x, y=labels_for(file, x))
    options = ["--target", "local", "--target", "ssh://board", "--ssh-config", native_board.config]
    assert benchmark(path, "--accuracy", data, "--html", page, *options) == 0
    captured = capsys.readouterr()
    values = json.loads(captured.out)["targets"]
    for name, one in values.items():
        assert (one["accuracies"], one["accuracies_on"]) == ([53 / 70], name)
    assert captured.err.count("75.71%") == 2
    assert captured.err.count("accuracy was computed on the board") == 1
    assert "accuracy was computed on the board" in page.read_text()


def test_a_board_that_cannot_answer_loses_no_measurement(native_board, cases, tmp_path, capsys):
    file, x = cases["float"]
    path, data = tmp_path / "net.tflite", tmp_path / "data.npz"
    path.write_bytes(file)
    np.savez(data, x=x, y=labels_for(file, x) + 9)
    options = ["--target", "ssh://board", "--ssh-config", native_board.config]
    assert benchmark(path, "--accuracy", data, *options) == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["p50"] > 0 and "from 0 to 3" in captured.err
    assert native_board.left() == []
