"""``tf-wgsef benchmark --accuracy``: after the measurement, and never at its cost."""

import html
import json
import pathlib
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from tests.cli.bench import Bench
from tests.cli.schema import problems
from tf_wgsef.errors import InputError, MeasurementError

SCHEMA = json.loads((pathlib.Path(__file__).parents[2] / "docs" / "benchmark_schema.json").read_text())


@pytest.fixture
def labelled(tmp_path):
    path = tmp_path / "test data.npz"
    np.savez(path, x=np.zeros((4, 2)), y=np.arange(4))
    return path


def test_accuracies_are_computed_after_measuring(bench, labelled, tmp_path, monkeypatch):
    order, one = [], Bench()
    monkeypatch.setattr(
        one, "run", lambda *args, **more: order.append("run") or Bench.run(one, *args, **more)
    )
    monkeypatch.setattr("tf_wgsef.convert.accuracy", lambda *args, **more: order.append("accuracy") or 0.75)
    page = tmp_path / "page.html"
    status, values, said = bench("--accuracy", labelled, "--fail-above", "20%", "--html", page, benches=[one])
    assert (status, order, values["accuracies"]) == (0, ["run", "accuracy", "accuracy"], [0.75, 0.75])
    assert said.count("75.00%") == 2
    command = f"--fail-above 20% --accuracy '{labelled}'"
    assert command in html.unescape(page.read_text())


def test_accuracies_that_fail_lose_no_measurement(bench, labelled):
    # These files are none that LiteRT can run.
    status, values, said = bench("--accuracy", labelled)
    assert status == 1 and values["ratio"] == pytest.approx(100 / 110, rel=0.01)
    assert "local: toy" in said and "Expected a .tflite file that LiteRT can run" in said


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((4, 2))}, "same length"),
        ({"x": np.zeros((4, 2)), "y": np.zeros(3)}, "same length"),
        ({"x": np.zeros((4, 2)), "y": np.full(4, 0.5)}, "whole numbers"),
        ({"x": np.zeros((4, 2)), "y": np.full(4, -1)}, "classes from 0"),
        (None, "Expected a file"),
    ],
)
def test_data_are_checked_before_measuring(bench, tmp_path, arrays, message):
    one = Bench()
    if arrays:
        np.savez(tmp_path / "data.npz", **arrays)
    status, _, said = bench("--accuracy", tmp_path / "data.npz", benches=[one])
    assert (status, one.plans) == (1, []) and message in said


def test_inputs_that_are_damaged_lose_no_measurement(bench, labelled, monkeypatch):
    def damaged(path):
        raise InputError("Expected arrays. Received: others.")

    monkeypatch.setattr("tf_wgsef.array_files.load_labelled", damaged)
    status, values, said = bench("--accuracy", labelled)
    assert status == 1 and values["ratio"] > 0
    assert "local: toy" in said and "Expected arrays. Received: others." in said


class There(Bench):
    """A device that answers for itself; ``works`` says for which files."""

    classifies = True

    def __init__(self, name, works):
        super().__init__(name)
        self.works = works

    def classify(self, file, samples, *, threads=1, on_loaded, progress=None):
        on_loaded(4)
        if len(self.works) <= len(file.content) - 100 or not self.works[len(file.content) - 100]:
            raise MeasurementError("Expected the board to stay. Received: a cut.")
        return np.array([0, 1, 2, 0]), "fake 1"


def test_each_device_answers_for_itself_or_says_so(bench, labelled, tmp_path, monkeypatch):
    monkeypatch.setattr("tf_wgsef.convert.accuracy", lambda *args, **more: 0.5)
    benches = [Bench("local"), There("ssh://x", [True] * 99), Bench("adb"), There("ssh://y", [True])]
    page = tmp_path / "page.html"
    status, values, said = bench("--accuracy", labelled, "--html", page, benches=benches)
    assert status == 1 and said.count("the board to stay") == 1
    found = {name: (one["accuracies"], one["accuracies_on"]) for name, one in values["targets"].items()}
    assert found == {
        "local": ([0.5, 0.5], "local"),
        "ssh://x": ([0.75, 0.75], "ssh://x"),
        "adb": ([0.5, 0.5], "local"),
        "ssh://y": ([0.75, None], "ssh://y"),
    }
    assert problems(values, SCHEMA, SCHEMA) == []
    text = page.read_text()
    assert text.count("accuracy was computed on the board") == 2 and text.count("not on the device") == 1


def test_tensorflow_is_not_loaded_while_measuring(labelled):
    code = """
        import sys
        from tf_wgsef.cli import _benchmark
        from tf_wgsef.cli._main import parse, run
        from tf_wgsef.measure import Target
        class Look(Target):
            def run(self, files, plan, *, progress=None):
                sys.exit(7 if {"keras", "tensorflow"} & set(sys.modules) else 0)
        _benchmark.open_target = lambda name, arguments: Look()
        run(parse(["tf-wgsef", "benchmark", sys.argv[1], "--accuracy", sys.argv[2]]))
        sys.exit(8)
    """
    file = labelled.with_name("a.tflite")
    file.write_bytes(b"....TFL3")
    command = [sys.executable, "-c", textwrap.dedent(code), file, labelled]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done
