"""One call from a sparse model to files, and what is left when something goes wrong on the way."""

import errno
import json
import os
import pathlib

import keras
import numpy as np
import pytest

import tf_wgsef
from tf_wgsef.cli._main import parse, run
from tf_wgsef.convert import predict, read_metadata, weights_hash
from tf_wgsef.errors import ConversionError, InputError
from tf_wgsef.output_files import new_file


def call(*arguments):
    return run(parse(["tf-wgsef", *map(str, arguments)]))


@pytest.fixture(scope="module")
def files(sparse, tmp_path_factory):
    folder, (model, x, y) = tmp_path_factory.mktemp("deploy"), sparse
    model.save(folder / "sparse.keras")
    np.savez(folder / "test.npz", x=x, y=y)
    (folder / "notes.json").write_text(json.dumps({"labels": [str(i) for i in range(10)]}))
    return folder


def test_one_call_gives_files_that_compute_what_the_model_does(sparse, tmp_path):
    model, x, y = sparse
    done = tf_wgsef.deploy(model, calibration=x, test=(x, y), output=tmp_path / "out", latency=False)
    assert list(done.files) == ["none", "int8"]
    np.testing.assert_allclose(predict(done.files["none"], x), model.predict(x, verbose=0), atol=1e-4)
    assert done.files["none"].record.accuracy == 1.0 and done.files["int8"].record.accuracy > 0.9
    weights = {name: file.record.contents.sections["weights"] for name, file in done.files.items()}
    assert weights["int8"] < 0.5 * weights["none"]
    small = keras.models.load_model(done.written["keras"], compile=False)
    gone = 1 - small.count_params() / model.count_params()
    assert done.sparsity["parameters"] == pytest.approx(gone, abs=1e-5) and gone > 0.4
    for name, file in done.files.items():
        assert pathlib.Path(done.written[name]).read_bytes() == file
        notes = read_metadata(file)
        assert notes["sparsity"] == done.sparsity and notes["source_sha256"] == weights_hash(small)
    told = json.loads((tmp_path / "out" / "deploy.json").read_text())
    assert told["files"]["int8"]["contents"]["integer_only"] is True
    assert "kept" in done.report() and "integers only" in str(done)


def test_files_of_an_earlier_deployment_do_not_stay_beside_the_new_one(sparse, tmp_path):
    modes = {"quantization": ["float", "dynamic"], "with_c_array": True}
    tf_wgsef.deploy(sparse[0], output=tmp_path, latency=False, **modes)
    assert {"model_float32.h", "model_dynamic.tflite"} <= {path.name for path in tmp_path.iterdir()}
    for name in ("mine.txt", "model_int8.tflite", "model_mine.h"):  # not of that deployment
        (tmp_path / name).write_text("mine")
    done = tf_wgsef.deploy(sparse[0], output=tmp_path, overwrite=True, latency=False)
    found = {path.name for path in tmp_path.iterdir()}
    mine = {"mine.txt", "model_int8.tflite", "model_mine.h"}
    assert found == {*mine, "stripped.keras", "model_float32.tflite", "deploy.json"}
    assert (tmp_path / "model_float32.tflite").read_bytes() == done.files["none"]


@pytest.mark.parametrize("written", ["", "1", '{"a": 1}', '{"a": "../mine.txt"}', '{"a": "mine.txt"}'])
def test_a_deploy_json_of_anything_removes_nothing_else(sparse, tmp_path, written):
    folder = tmp_path / "out"
    folder.mkdir()
    for file in (tmp_path / "mine.txt", folder / "mine.txt"):
        file.write_text("mine")
    (folder / "deploy.json").write_text(f'{{"written": {written}}}')
    tf_wgsef.deploy(sparse[0], output=folder, overwrite=True, latency=False)
    assert (tmp_path / "mine.txt").read_text() == (folder / "mine.txt").read_text() == "mine"


def test_without_calibration_there_is_a_float_file_and_nothing_is_written(sparse, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = tf_wgsef.deploy(sparse[0], latency=False, console=None)
    assert list(done.files) == ["none"] and done.written == {} and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantization": ["int8", "int8"]}, "each quantization once"),
        ({"quantization": []}, "at least one quantization"),
        ({"quantization": "int8"}, "Expected `calibration`"),
        ({"quantization": "int9"}, "one of 'none'"),
    ],
)
def test_bad_options_leave_nothing_behind(sparse, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        tf_wgsef.deploy(sparse[0], output=tmp_path / "out", latency=False, **options)
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_and_says_it_all(files, tmp_path, capsys):
    out, data = tmp_path / "out", files / "test.npz"
    options = ["--calibration", data, "--test", data, "--metadata", files / "notes.json", "--c-array"]
    modes = ["--quantization", "float16", '{"*": "int8", "logits": "float"}', "--no-latency", "--json"]
    assert call("deploy", files / "sparse.keras", "--output", out, *options, *modes) == 0
    captured = capsys.readouterr()
    values = json.loads(captured.out)
    assert values["files"]["mixed"]["quantization"] == {"*": "int8", "logits": "float"}
    names = {"stripped.keras", "deploy.json", "model_float16.tflite", "model_float16.h", "model_mixed.tflite"}
    assert {path.name for path in out.iterdir()} == {*names, "model_mixed.h"}
    assert "Top-1" in captured.err
    assert call("deploy", files / "sparse.keras", "--output", out) == 1
    assert "--overwrite to replace" in " ".join(capsys.readouterr().err.split())


def test_inspect_shows_a_file(files, tmp_path, capsys):
    out, data = tmp_path / "q.tflite", files / "test.npz"
    options = ["--quantization", "int8", "--calibration", data, "--metadata", files / "notes.json"]
    header = tmp_path / "q.h"
    assert call("convert", files / "sparse.keras", "--output", out, *options, "--c-array", header) == 0
    assert "unsigned char model[]" in header.read_text()
    capsys.readouterr()
    assert call("inspect", out, "--json") == 0
    captured = capsys.readouterr()
    values = json.loads(captured.out)
    assert values["metadata"]["labels"][3] == "3" and values["integer_only"] is True
    assert values["operators"]["CONV_2D"] == 2 and values["bytes"] == out.stat().st_size
    for word in ("CONV_2D", "source_sha256", "arena", "Largest weights"):
        assert word in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--quantization", "int9"], "one of 'none', 'float16'"),
        (["--quantization", '{"*": '], "or a JSON object"),
        (
            ["--quantization", '{"*": "int8", "nope*": "float"}', "--calibration", "test.npz"],
            "'nope*', which",
        ),
        (["--quantization", "int8", "--calibration", "nan.npz"], "finite `calibration`"),
        (["--quantization", "int8", "--calibration", "shape.npz"], "`calibration` of shape"),
        (["--quantization", "int16x8"], "Expected `calibration`"),
        (["--quantization", "int8", "--sparse", "--calibration", "test.npz"], "with sparse=True"),
        (["--io", "int16"], "Expected `io`"),
        (["--metadata", "notes.txt"], "Expected a JSON file"),
        (["--c-array", "x.c"], "ends in .h"),
        (["--test", "nan.npz"], "arrays x and y"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_file(files, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    x = np.load(files / "test.npz")["x"]
    np.savez("nan.npz", x=np.where(x > 2, np.nan, x))
    np.savez("shape.npz", x=x[..., 0])
    np.savez("test.npz", x=x)
    pathlib.Path("notes.txt").write_text("{")
    assert call("convert", files / "sparse.keras", "--output", "new.tflite", *arguments) == 1
    error = capsys.readouterr().err
    assert message in " ".join(error.split()) and "Traceback" not in error
    assert not pathlib.Path("new.tflite").exists()


def test_inspect_reads_no_pipe(tmp_path, capsys):
    os.mkfifo(tmp_path / "p.tflite")
    assert call("inspect", tmp_path / "p.tflite") == 1
    assert "it is a device or a pipe" in " ".join(capsys.readouterr().err.split())


def test_inspect_says_that_a_damaged_file_is_damaged(tmp_path, capsys):
    (tmp_path / "bad.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(100))
    assert call("inspect", tmp_path / "bad.tflite") == 1
    assert "Traceback" not in capsys.readouterr().err


def _disk_is_full(path, data):
    with path.open("wb") as file:
        file.write(bytes(data)[:100])
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


@pytest.mark.parametrize("command", ["convert", "deploy"])
def test_a_full_disk_leaves_the_old_file_whole(files, tmp_path, monkeypatch, capsys, command):
    folder = tmp_path / "out"
    folder.mkdir()
    old = folder / ("model_float32.tflite" if command == "deploy" else "m.tflite")
    old.write_bytes(b"precious")
    monkeypatch.setattr(pathlib.Path, "write_bytes", _disk_is_full)
    output = [folder, "--no-latency"] if command == "deploy" else [old]
    assert call(command, files / "sparse.keras", "--overwrite", "--output", *output) == 1
    assert "No space left on device" in " ".join(capsys.readouterr().err.split())
    assert old.read_bytes() == b"precious"
    assert not [path for path in folder.iterdir() if path.name.startswith(".tf_wgsef")]


@pytest.mark.parametrize("whose", ["Python", "TensorFlow"])
def test_no_room_for_temporary_files_is_one_line(sparse, monkeypatch, whose):
    import tempfile

    import tensorflow as tf

    def full(*arguments, **options):
        if whose == "Python":
            raise OSError(errno.ENOSPC, "No space left on device")
        # What a full file system gave.
        raise tf.errors.ResourceExhaustedError(None, None, "part-0; No space left on device [Op:SaveV2]")

    target = (tempfile, "TemporaryDirectory") if whose == "Python" else (tf.saved_model, "save")
    monkeypatch.setattr(*target, full)
    with pytest.raises(ConversionError, match="folder for temporary files.*No space left on device.*TMPDIR"):
        tf_wgsef.convert(sparse[0])


def test_a_file_that_fails_is_written_by_force_only(files, tmp_path, monkeypatch, capsys):
    """The check is told that nothing is good enough."""
    from tf_wgsef.convert import _options

    strict = {name: _options.Mode(0.0, mode.ios, mode.calibrated) for name, mode in _options.MODES.items()}
    monkeypatch.setattr(_options, "MODES", strict)
    out = tmp_path / "m.tflite"
    convert = ["convert", files / "sparse.keras", "--output", out, "--quantization", "float16"]
    assert call(*convert) == 1
    assert not out.exists() and "force=True" in " ".join(capsys.readouterr().err.split())
    assert call(*convert, "--force") == 0
    assert out.exists() and "FORCED although" in capsys.readouterr().out


def test_new_file_stands_when_the_writer_fails(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(OSError), new_file(tmp_path / "a", overwrite=True) as path:
        path.write_text("half")
        raise OSError(errno.ENOSPC, "full")
    assert (tmp_path / "a").read_text() == "old"
