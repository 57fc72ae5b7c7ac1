"""The command line as its user sees it: exit status, what goes where, files that are safe."""

import json
import os
import pathlib
import subprocess
import sys
import textwrap
import zipfile

import keras
import numpy as np
import pytest

import tf_wgsef
from tests import models
from tf_wgsef.cli._main import parse, run
from tf_wgsef.output_files import new_file
from tf_wgsef.workflows import inspect_model
from tf_wgsef.workflows._files import load_labelled

COMMANDS = (
    "demo",
    "inspect",
    "strip",
    "convert",
    "deploy",
    "benchmark",
    "latency-table",
    "compare",
    "report",
)


def call(*arguments):
    return run(parse(["tf-wgsef", *map(str, arguments)]))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A sparse model, data for it, and what the commands make of it."""
    folder = tmp_path_factory.mktemp("files")
    model = models.randomize(models.lenet())
    groups = tf_wgsef.build_groups(model)
    groups.scale(model, np.arange(groups.num_groups) % 2)
    model.save(folder / "sparse.keras")
    generator = np.random.default_rng(0)
    x = generator.normal(size=(40, 20, 20, 1)).astype("float32")
    np.savez(folder / "test.npz", x=x, y=np.argmax(model.predict(x, verbose=0), -1))
    assert call("strip", folder / "sparse.keras", "--output", folder / "small.keras") == 0
    for name in ("sparse", "small"):
        assert call("convert", folder / f"{name}.keras", "--output", folder / f"{name}.tflite") == 0
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example(command, capsys):
    with pytest.raises(SystemExit) as stop:
        parse(["tf-wgsef", command, "--help"])
    assert stop.value.code == 0
    assert f"example: tf-wgsef {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [[], ["bogus"], ["strip"], ["strip", "a.keras"], ["demo", "--seed", "x"]]
)
def test_wrong_usage_exits_with_2(arguments):
    with pytest.raises(SystemExit) as stop:
        parse(["tf-wgsef", *arguments])
    assert stop.value.code == 2


def test_help_loads_neither_keras_nor_tensorflow():
    code = """
        import sys
        from tf_wgsef.cli._main import parse
        try:
            parse(["tf-wgsef", "demo", "--help"])
        except SystemExit:
            pass
        sys.exit(bool({"keras", "tensorflow", "matplotlib"} & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, check=False)
    assert done.returncode == 0, done


def test_a_file_is_inspected_without_keras_and_tensorflow(files):
    code = """
        import sys
        from tf_wgsef.cli._main import parse, run
        status = run(parse(["tf-wgsef", "inspect", sys.argv[1]]))
        print(sorted({"keras", "tensorflow", "matplotlib"} & set(sys.modules)), file=sys.stderr)
        sys.exit(status)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(files / "small.tflite")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "[]\n") and "Largest weights" in done.stdout


def test_inspect_says_what_can_go(files, capsys):
    assert call("inspect", files / "sparse.keras", "--json") == 0
    captured = capsys.readouterr()
    layers = {layer["name"]: layer for layer in json.loads(captured.out)["layers"]}
    assert (layers["conv1"]["removable"], layers["conv1"]["idle"]) == (4, 2)
    assert layers["logits"]["removable"] == 0
    assert "conv1" in captured.err


def test_strip_writes_a_smaller_model_that_computes_the_same(files, tmp_path, capsys):
    before = (files / "sparse.keras").read_bytes()
    assert call("strip", files / "sparse.keras", "--output", tmp_path / "s.keras", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["removed"] == {"conv1": 2, "conv2": 3, "dense1": 5}
    small = keras.models.load_model(tmp_path / "s.keras")
    assert small.count_params() == values["parameters"]["after"]
    x = np.load(files / "test.npz")["x"]
    dense = keras.models.load_model(files / "sparse.keras")
    np.testing.assert_allclose(small.predict(x, verbose=0), dense.predict(x, verbose=0), atol=1e-5)
    assert (files / "sparse.keras").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["s.keras"]


def test_strip_rounds_to_a_multiple(files, tmp_path, capsys):
    output = tmp_path / "s.keras"
    assert call("strip", files / "sparse.keras", "--output", output, "--round-to", 4, "--json") == 0
    kept = json.loads(capsys.readouterr().out)["kept"]
    assert all(kept[name] % 4 == 0 or name == "logits" for name in kept)
    assert call("strip", files / "sparse.keras", "--output", output, "--overwrite", "--round-to", 0) == 1
    assert "round_to=0" in capsys.readouterr().err


def test_convert_int8(files, tmp_path, capsys):
    out = tmp_path / "q.tflite"
    options = ["--quantization", "int8", "--calibration", files / "test.npz", "--json"]
    assert call("convert", files / "small.keras", "--output", out, *options) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["bytes"] == out.stat().st_size
    with np.load(files / "test.npz") as data:
        assert tf_wgsef.convert.accuracy(out.read_bytes(), data["x"], data["y"]) > 0.9


def test_compare_lists_recipes_and_methods(capsys):
    assert call("compare", "--list") == 0
    printed = capsys.readouterr().out
    assert "recipe  lenet5-mnist" in printed and "method  wgsef " in printed and "arXiv:2212.12921" in printed


def test_compare_trains_ones_own_model_and_says_where_the_page_is(tmp_path, capsys):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3)])
    model.save(tmp_path / "mine.keras")
    x, y = np.random.default_rng(0).random((48, 6)), np.arange(48) % 3
    np.savez(tmp_path / "mine.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    settings = tmp_path / "settings.toml"
    settings.write_text('methods = ["magnitude", "wgsef"]\nlevels = [0.9]\nseeds = [0]\nepochs = 9\n')
    own = ["--model", tmp_path / "mine.keras", "--data", tmp_path / "mine.npz", "--no-latency"]
    options = ["--levels", "0.5", "--shape", "dense*=3", "--epochs", "2", "--output", tmp_path / "out"]
    assert call("compare", settings, *own, *options, "--json") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert {(run["method"], run["level"], run["shape"]) for run in found["runs"]} == {
        ("dense", 0.0, None), ("magnitude", 0.5, None), ("wgsef", 0.5, None),
        ("magnitude", 0.625, "dense*=3"), ("wgsef", 0.625, "dense*=3"),
    }  # fmt: skip
    assert {run["epochs"] for run in found["runs"]} == {2} and "compare.html" in captured.err
    assert (tmp_path / "out" / "compare.html").is_file()


def test_compare_without_the_whole_network_and_with_kinds_by_name(tmp_path, capsys):
    x = inputs = keras.Input((6,))
    for number in range(2):
        x = keras.layers.Add()([x, keras.layers.Dense(6, "relu", name=f"block{number}")(x)])
    outputs = keras.layers.Dense(3)(keras.layers.Dense(8, "relu", name="wide")(x))
    keras.Model(inputs, outputs).save(tmp_path / "mine.keras")
    x, y = np.random.default_rng(0).random((48, 6)), np.arange(48) % 3
    np.savez(tmp_path / "mine.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    own = ["--model", tmp_path / "mine.keras", "--data", tmp_path / "mine.npz", "--no-latency", "--no-dense"]
    level = ["--groups", "block0=depth,*=filter", "--shape", "depth=0,wide=5", "--methods", "wgsef"]
    options = ["--epochs", "2", "--seeds", "0", "--output", tmp_path / "out"]
    assert call("compare", *own, *level, *options, "--json") == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert (run["method"], run["groups"]) == ("wgsef", "block0=depth,*=filter")
    assert run["parameters"] == (6 * 6 + 6) + (6 * 5 + 5) + (5 * 3 + 3)
    assert "nothing removed" not in (tmp_path / "out" / "compare.html").read_text()


def test_compare_fails_where_runs_have_no_result(tmp_path, capsys, caplog):
    keras.Sequential([keras.Input((6,)), *map(keras.layers.Dense, (4, 4, 3))]).save(tmp_path / "mine.keras")
    x, y = np.random.default_rng(0).random((48, 6)), np.arange(48) % 3
    np.savez(tmp_path / "mine.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    settings = tmp_path / "settings.toml"
    settings.write_text(
        'methods = ["dense"]\nseeds = [0, 1]\nepochs = 2\nlearning_rate = 1e38\nlatency = false'
    )
    own = ["--model", tmp_path / "mine.keras", "--data", tmp_path / "mine.npz"]
    assert call("compare", settings, *own, "--output", tmp_path / "out", "--json") == 1
    captured = capsys.readouterr()
    assert json.loads(captured.out)["missing"] == 2 and "Runs without a result: 2, see above" in captured.err
    assert "has no result: Expected finite weights" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "wgsf"], "`methods` to be of: wgsef"),
        (["--recipe", "lenet"], "`recipe` to be of: lenet5-digits"),
        (["--model", "mine.keras"], "`model` and `data` together"),
        (["--recipe", "lenet5-digits", "--model", "mine.keras"], "--recipe, or --model with --data"),
        (["nothing.toml"], "Expected a TOML file"),
        (["--levels", "1.5"], "`levels` in [0, 1)"),
        (["--shape", "conv1"], "`shapes` to be tables"),
        (["--shape", "conv9=3"], "name layers with groups. Received: 'conv9'"),
        ([], "Expected a recipe, a model of your own, or a file of settings. Example: tf-wgsef compare"),
        (["--report-only"], "Received: none"),
    ],
)
def test_compare_says_what_is_wrong_in_one_line(arguments, message, tmp_path, capsys):
    assert call("compare", *arguments, "--output", tmp_path / "out") == 1
    error = capsys.readouterr().err
    assert message in " ".join(error.split()) and "Traceback" not in error


def test_benchmark_compares_two_files(files, capsys):
    options = ["--seconds", 0.2, "--json"]
    assert call("benchmark", files / "sparse.tflite", files / "small.tflite", *options) == 0
    captured = capsys.readouterr()
    values = json.loads(captured.out)
    assert values["low"] <= values["ratio"] <= values["high"]
    assert "small.tflite" in captured.err


def test_benchmark_with_accuracy_and_a_page(files, tmp_path, capsys):
    pair = [files / "sparse.tflite", files / "small.tflite"]
    options = ["--accuracy", files / "test.npz", "--preset", "quick", "--html", tmp_path / "page.html"]
    assert call("benchmark", *pair, *options, "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["accuracies"] == [1.0, 1.0]
    assert "100.00%" in captured.err and "100.00 %" in (tmp_path / "page.html").read_text()


def test_report_of_two_models_and_its_second_showing(files, tmp_path, capsys):
    out = tmp_path / "report"
    pair = [files / "sparse.keras", files / "small.keras"]
    options = ["--test", files / "test.npz", "--output", out, "--json"]
    assert call("report", *pair, *options) == 0
    first = json.loads(capsys.readouterr().out)
    assert {path.name for path in out.iterdir()} == {"report.json", "report.html", "report.png"}
    accuracy = {variant["name"]: variant["accuracy"] for variant in first["variants"]}
    assert accuracy["dense float"] == accuracy["stripped float"] == 1.0
    assert call("report", out, "--json") == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == first
    assert "stripped float" in captured.err


def bad_inputs(files, tmp_path):
    """Each bad call and what its one line must say."""
    (tmp_path / "junk.keras").write_bytes(b"PK\x03\x04 this is no model")
    (tmp_path / "text.keras").write_text("hello")
    (tmp_path / "text.tflite").write_text("hello")
    (tmp_path / "empty.tflite").write_bytes(b"")
    (tmp_path / "text.npz").write_text("hello")
    np.savez(tmp_path / "pickled.npz", x=np.array([{"a": 1}], dtype=object))
    np.savez(tmp_path / "shape.npz", x=np.zeros((4, 5)))
    np.savez(tmp_path / "no_y.npz", x=np.zeros((4, 20, 20, 1)))
    (tmp_path / "report.json").write_text('{"schema": {"name": "other"}}')
    taken = tmp_path / "taken.keras"
    taken.write_bytes(b"precious")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "precious").write_text("x")
    sparse, small, new = files / "sparse.keras", files / "small.tflite", tmp_path / "new.tflite"
    int8 = ["convert", sparse, "--output", new, "--quantization", "int8"]
    return [
        (["strip", tmp_path / "none.keras", "--output", tmp_path / "o.keras"], "nothing there"),
        (["strip", tmp_path, "--output", tmp_path / "o.keras"], "a folder"),
        (["strip", tmp_path / "text.keras", "--output", tmp_path / "o.keras"], "Keras 3 model file"),
        (["strip", tmp_path / "junk.keras", "--output", tmp_path / "o.keras"], "Keras 3 model file"),
        (["strip", sparse, "--output", taken], "--overwrite"),
        (["strip", sparse, "--output", tmp_path / "o.h5"], "ends in .keras"),
        (["strip", sparse, "--output", tmp_path / "no" / "o.keras"], "a folder that exists"),
        (["strip", small, "--output", tmp_path / "o.keras"], "Keras 3 model file"),
        (int8, "calibration"),
        ([*int8, "--calibration", tmp_path / "shape.npz"], "(n, 20, 20, 1)"),
        ([*int8, "--calibration", tmp_path / "text.npz"], "numpy.savez"),
        ([*int8, "--calibration", tmp_path / "pickled.npz"], "numpy.savez"),
        (["benchmark", tmp_path / "none.tflite"], "none.tflite"),
        (["benchmark", tmp_path / "text.tflite"], "TFL3"),
        (["benchmark", tmp_path / "empty.tflite"], "is empty"),
        (["benchmark", small, "--threads", 0], "threads"),
        (["benchmark", small, "--target", "toaster"], "target"),
        (["benchmark", small, "--accuracy", tmp_path / "no_y.npz"], "arrays x and y"),
        (["benchmark", small, small, "--fail-above", "much"], "as 5% or 0.05"),
        (["report", tmp_path / "report.json"], "schema"),
        (["report", sparse, sparse, "--output", folder], "new or empty"),
        (["report", sparse, sparse, "--test", tmp_path / "no_y.npz"], "arrays x and y"),
        (["convert", sparse, "--output", tmp_path / "o.h5"], "ends in .tflite"),
        (["report", sparse], "a second .keras file"),
        (["demo", "--output", folder], "new or empty"),
        (["demo", "--output", taken], "is a file"),
        (["demo", "--output", new, "--sparsity", 1.0], "sparsity"),
    ]


@pytest.mark.parametrize("index", range(27))
def test_bad_input_gets_one_line_and_loses_nothing(index, files, tmp_path, capsys):
    arguments, message = bad_inputs(files, tmp_path)[index]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert call(*arguments) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if line.strip()]
    assert lines[-1].startswith("tf-wgsef: ") and message in lines[-1], captured.err
    assert "Traceback" not in captured.err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_results_go_through_a_pipe_and_progress_does_not(files, capsys):
    assert call("inspect", files / "sparse.keras") == 0
    assert "conv1" in capsys.readouterr().out


def test_stripping_a_dense_model_says_so(tmp_path, capsys):
    models.randomize(models.lenet()).save(tmp_path / "dense.keras")
    assert call("strip", tmp_path / "dense.keras", "--output", tmp_path / "same.keras") == 0
    assert "Nothing to remove" in capsys.readouterr().out


def test_native_messages_do_not_reach_the_terminal_but_ours_do():
    code = """
        import os, sys
        from absl import logging
        from tf_wgsef.cli._stderr import native_messages_dropped
        with native_messages_dropped():
            os.write(2, b"native noise")
            print("python says", file=sys.stderr)
            logging.warning("absl warns")
        os.write(2, b"after")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert "native noise" not in done.stderr
    assert "python says" in done.stderr and "absl warns" in done.stderr
    assert done.stderr.endswith("after")


def test_damaged_model_files_get_one_line(files, tmp_path, capsys):
    data = (files / "sparse.keras").read_bytes()
    generator = np.random.default_rng(0)
    for _ in range(12):
        bad = bytearray(data)
        for place in generator.integers(0, len(bad), 20):
            bad[place] = generator.integers(0, 256)
        (tmp_path / "bad.keras").write_bytes(bad)
        assert call("inspect", tmp_path / "bad.keras") in (0, 1)
    with zipfile.ZipFile(tmp_path / "deep.keras", "w") as archive:
        archive.writestr("config.json", '{"a":' * 5000 + "1" + "}" * 5000)
    assert call("inspect", tmp_path / "deep.keras") == 1
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "y", [np.zeros(()), np.full(4, np.nan), np.array(list("abcd")), np.full(4, -1), np.full(4, 0.5)]
)
def test_labels_that_are_no_classes_are_refused(y, files, tmp_path, capsys):
    np.savez(tmp_path / "t.npz", x=np.zeros((4, 20, 20, 1)), y=y)
    assert call("report", files / "sparse.keras", files / "small.keras", "--test", tmp_path / "t.npz") == 1
    assert "tf-wgsef: Expected" in capsys.readouterr().err


def test_arrays_that_are_none(tmp_path):
    with zipfile.ZipFile(tmp_path / "raw.npz", "w") as archive:
        archive.writestr("x", "hello")
        archive.writestr("y", "hello")
    (tmp_path / "big.npy").write_bytes(
        b"\x93NUMPY\x01\x00v\x00"
        + b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,)}".ljust(117)
        + b"\n"
    )
    for name in ("raw.npz", "big.npy"):
        with pytest.raises(tf_wgsef.WGSEFError, match="arrays"):
            load_labelled(str(tmp_path / name))


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path):
    with pytest.raises(tf_wgsef.WGSEFError, match="not exist yet"), new_file(tmp_path / "o") as temporary:
        temporary.write_text("ours")
        (tmp_path / "o").write_text("theirs")
    assert [path.name for path in tmp_path.iterdir()] == ["o"]
    assert (tmp_path / "o").read_text() == "theirs"


def test_devices_and_pipes_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(tf_wgsef.WGSEFError, match="a pipe"), new_file(tmp_path / "pipe", overwrite=True):
        pass


@pytest.mark.parametrize("sink", ["ascii", "/dev/full"])
def test_terminals_that_cannot_show_everything(sink, files, tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "tf_wgsef.cli", "inspect", str(files / "sparse.keras"), "--json"]
    with pathlib.Path(os.devnull if sink == "ascii" else sink).open("w") as out:
        if sink == "ascii":
            command[4] = "\udcff→.keras"
        done = subprocess.run(command, stdout=out, stderr=subprocess.PIPE, env=environment, check=False)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr and b"tf-wgsef: " in done.stderr


def test_inspect_counts_channels_of_layers_with_a_plus_or_in_two_ties():
    inputs = keras.Input((4,))
    a, b = (keras.layers.Dense(2, name=name)(inputs) for name in "ab")
    c = keras.layers.Dense(4, name="c+d")(inputs)
    x = keras.layers.Add()([keras.layers.Concatenate()([a, b]), c])
    rows = inspect_model(keras.Model(inputs, keras.layers.Dense(2)(x))).layers
    assert {row.name: row.removable for row in rows[:3]} == {"a": 2, "b": 2, "c+d": 4}


def test_inspect_draws_the_channel_graph(files, tmp_path, capsys):
    pytest.importorskip("graphlay")
    picture = tmp_path / "graph.svg"
    assert call("inspect", files / "sparse.keras", "--graph", picture, "--json") == 0
    assert json.loads(capsys.readouterr().out)["graph"] == str(picture)
    text = picture.read_text()
    assert "conv1" in text and "2 of 4" in text and "−2" in text
    assert call("inspect", files / "sparse.keras", "--graph", picture, "--overwrite") == 0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("graph.txt", ".svg, .png or .pdf"),
        ("no/graph.svg", "a folder that exists"),
        ("old.svg", "--overwrite"),
    ],
)
def test_a_graph_that_cannot_be_written_gets_one_line_before_any_work(name, message, tmp_path, capsys):
    pytest.importorskip("graphlay")
    (tmp_path / "old.svg").write_text("precious")
    assert call("inspect", tmp_path / "none.keras", "--graph", tmp_path / name) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("tf-wgsef: ") and message in line
    assert (tmp_path / "old.svg").read_text() == "precious"


def test_inspect_says_where_sizes_are_unknown(tmp_path, capsys):
    for size in (None, 8):
        model = keras.Sequential([keras.Input((size, size, 2)), keras.layers.Conv2D(3, 3, name="conv")])
        model.save(tmp_path / f"{size}.keras")
        assert call("inspect", tmp_path / f"{size}.keras") == 0
        assert ("sizes are unknown" in capsys.readouterr().out) == (size is None)


@pytest.mark.parametrize(
    "given",
    [
        ["--quantization", "aware"],
        ["--train", "x.npz"],
        ["--quantization", "aware", "--train", "x.npz", "--calibration", "c.npz"],
    ],
)
def test_convert_says_what_training_in_int8_needs(given, files, tmp_path, capsys):
    output = tmp_path / "out.tflite"
    assert call("convert", files / "small.keras", "--output", output, *given) == 1
    assert "Expected --train with" in " ".join(capsys.readouterr().err.split())
    assert not output.exists()


def test_ctrl_c_while_the_command_is_loaded_is_one_line():
    code = """
        import sys
        from tf_wgsef.cli import main

        class CtrlC:
            def find_spec(self, name, *_):
                if name == "tf_wgsef.cli._main":
                    raise KeyboardInterrupt

        sys.meta_path.insert(0, CtrlC())
        main()
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "tf-wgsef: Interrupted; nothing was written.\n")
