"""strip on keras.applications, by the functions of benchmarks/strip_applications.py."""

import json
import pathlib
import subprocess
import types

import keras
import numpy as np
import pytest

import tf_wgsef
from tf_wgsef.workflows.compare import append

BENCHMARKS = pathlib.Path(__file__).parent.parent / "benchmarks"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(BENCHMARKS)
    import _applications as applications
    import _applications_command as shared
    import strip_applications as command


def test_all_constructors_are_found():
    names = list(applications.constructors())
    assert {"MobileNet", "ResNet50", "NASNetLarge", "ConvNeXtXLarge"} <= set(names)
    if keras.__version__.startswith("3.15."):
        assert len(names) == 40


def test_half_of_a_small_model_goes_and_the_outputs_stay():
    row, before, after = applications.strip_row("MobileNet")
    assert applications.fails(row) == ""
    assert row["input"] == [32, 32, 3]
    assert row["difference"] <= 1e-5
    assert row["left"] == {} and row["skipped"] == {}
    assert row["channels"][0] == row["channels"][1]
    assert row["zeroed"] == row["groups"] // 2
    assert row["parameters"] == [before.count_params(), after.count_params()]
    assert row["parameters"][1] < 0.3 * row["parameters"][0]


def test_no_weight_of_a_random_model_is_zero_by_chance():
    model, groups, alive = applications.half_zeroed("MobileNetV3Small", 0)
    zero = {(m.variable, i) for m in groups.members for i in np.flatnonzero((m.ids >= 0) & ~alive[m.ids])}
    for layer in model.layers:
        if not isinstance(layer, keras.layers.BatchNormalization):
            continue
        for weight in layer.weights:
            at_zero = {(f"{layer.name}/{weight.name}", i) for i in np.flatnonzero(np.array(weight) == 0)}
            assert at_zero <= zero
    inputs = applications.random_inputs(model, 8, 3)
    outputs = applications.outputs(model, inputs)
    assert np.ptp(outputs, axis=0).min() > 0.1 * np.abs(outputs).max()


def two_layers():
    first, last = keras.layers.Dense(4, name="first"), keras.layers.Dense(2, name="last")
    return keras.Sequential([keras.Input((3,)), first, last])


@pytest.mark.parametrize(
    "kept, alive, left", [(2, 2, {}), (3, 2, {"first": 1}), (4, 1, {"first": 3}), (1, 0, {})]
)
def test_channels_left_are_counted_against_the_groups(kept, alive, left):
    groups = tf_wgsef.build_groups(two_layers())
    result = types.SimpleNamespace(kept={"first": kept})
    assert applications.channels_left(groups, np.arange(4) < alive, result) == left


def test_outputs_that_do_not_vary_prove_nothing():
    model = two_layers()
    model.get_layer("last").kernel.assign(np.zeros((4, 2)))
    model.get_layer("last").bias.assign([1, 2])
    with pytest.raises(RuntimeError, match="vary with the inputs"):
        applications.compare_outputs(model, model, 0)


ROW = {
    "model": "MobileNet",
    "input": [32, 32, 3],
    "parameters": [3_239_114, 844_461],
    "macs": [11_699_200, 3_034_748],
    "channels": [5984, 5984],
    "strip_seconds": 0.7,
    "strip_peak": 3.5,
    "difference": 1.5e-6,
    "rounding": 1.6e-6,
    "left": {},
    "skipped": {"conv1": "no rule", "conv2": "no rule"},
    "file": [12_842_604, 3_308_256],
    "latency_us": [500.0, 200.0],
    "faster": [2.5, 2.4, 2.6, 0.99],
    "seconds": 60,
    "machine": "a board",
    "versions": "keras 3",
    "date": "2026-01-01",
}


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "new" / "results.jsonl", tmp_path / "new" / "page.md"


def run(paths, *arguments):
    results, page = paths
    code = command.main([*arguments, "--results", str(results), "--output", str(page)])
    return code, page.read_text()


def test_what_is_in_the_results_is_not_run_again(paths, monkeypatch):
    ran = []

    def run_apart(name, seed, **options):
        ran.append(name)
        return ROW | {"model": name}

    monkeypatch.setattr(command, "run_apart", run_apart)
    append(paths[0], ROW)
    with paths[0].open("a") as file:
        file.write('{"model": "ResN')  # killed while writing
    code, page = run(paths, "MobileNet", "ResNet50")
    assert (code, ran) == (0, ["ResNet50"])
    assert list(shared.read_results(paths[0])) == ["MobileNet", "ResNet50"]
    assert "2 of 40 models" in page or not keras.__version__.startswith("3.15.")
    run(paths, "MobileNet", "ResNet50")
    assert ran == ["ResNet50"]
    run(paths, "MobileNet", "--again")
    assert ran == ["ResNet50", "MobileNet"]


def test_the_page_has_every_figure_and_every_reason(paths):
    append(paths[0], ROW)
    code, page = run(paths, "MobileNet")
    (line,) = [line for line in page.splitlines() if line.startswith("| MobileNet")]
    for text in ("32×32×3", "3,239,114 → 844,461", "11.7 M → 3.0 M", "12.84 MB → 3.31 MB"):
        assert text in line
    for text in ("0.5 ms → 0.2 ms", "2.50× (2.40–2.60)", "0.7 s", "3.5", "1.5e-06", "100%"):
        assert text in line
    assert "- MobileNet, 2 layers: no rule (conv1, conv2)" in page
    assert code == 0 and "a board" in page and "What falls short" not in page


@pytest.mark.parametrize(
    "change, words",
    [
        ({"difference": 2e-5}, "2.0e-05 of the range"),
        ({"difference": float("nan")}, "nan of the range"),
        ({"left": {"conv1": 3}}, "3 channels of zero groups left in 1 layers"),
        ({"error": "StripError: why"}, "StripError: why"),
    ],
)
def test_what_falls_short_is_said_and_fails(paths, change, words):
    append(paths[0], ROW | change)
    code, page = run(paths, "MobileNet")
    assert code == 1
    assert words in page.split("## What falls short")[1]


def test_a_model_without_figures_still_has_a_line(paths):
    append(paths[0], {"model": "MobileNet", "error": "stopped after 1 s"})
    code, page = run(paths, "MobileNet")
    assert code == 1 and "| MobileNet | – |" in page


def test_an_unknown_model_is_one_line(capsys):
    with pytest.raises(SystemExit):
        command.main(["LeNet5"])
    assert "Received: LeNet5" in capsys.readouterr().err.splitlines()[-1]


def test_a_process_that_dies_is_an_error_of_its_model(monkeypatch):
    died = subprocess.CompletedProcess([], -9, "", "some line\nKilled\n")
    monkeypatch.setattr(shared.subprocess, "run", lambda *_, **__: died)
    row = shared.run_apart("MobileNet", script=command.__file__)
    assert row["error"] == "the process was ended by signal 9 (9: out of memory)" and row["machine"]
    assert json.loads(json.dumps(row)) == row


@pytest.mark.slow
@pytest.mark.parametrize("name", applications.constructors())
def test_every_model_loses_what_its_groups_allow(name):
    row = shared.run_apart(name, file=False, script=command.__file__)
    assert command.fails(row) == ""


def test_help_has_an_example(capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(["--help"])
    assert stop.value.code == 0 and "example: python benchmarks/" in capsys.readouterr().out
