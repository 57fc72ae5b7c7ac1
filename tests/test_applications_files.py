"""Files of keras.applications, by the functions of benchmarks/deploy_applications.py."""

import pathlib

import keras
import numpy as np
import pytest

from tf_wgsef.workflows.compare import append

BENCHMARKS = pathlib.Path(__file__).parent.parent / "benchmarks"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(BENCHMARKS)
    import _deployed as deployed
    import deploy_applications as command


def test_a_stripped_application_as_a_float_and_an_int8_file(monkeypatch):
    monkeypatch.setattr(deployed, "TEST", 64)
    monkeypatch.setattr(deployed, "CALIBRATION", 32)
    row = deployed.deployed_row("MobileNetV3Small")
    assert deployed.fails(row) == ""
    assert row["float_difference"] <= 1e-4 and row["float_agreement"] == 1.0
    assert row["classes"] > 5, "if one class always won, agreement would say nothing"
    assert row["int8_agreement"] >= 0.6 and row["int8_reason"] == ""
    assert row["integer_only"] is True
    assert row["int8_bytes"] < 0.5 * row["float_bytes"]


@pytest.mark.parametrize("middle", ["Rescaling", "Normalization", "none"])
def test_images_are_of_the_scale_that_the_model_takes(middle):
    kinds = {
        "Rescaling": [keras.layers.Rescaling(1 / 255)],
        "Normalization": [keras.layers.Normalization(mean=[120.0] * 3, variance=[3000.0] * 3)],
        "none": [],
    }
    model = keras.Sequential([keras.Input((8, 8, 3)), *kinds[middle], keras.layers.Flatten()])
    found = deployed.images(model, 16, 0)
    assert found.dtype == np.float32
    if middle == "none":
        assert found.min() < -2 and found.max() < 10
    else:
        assert found.min() >= 0 and 200 < found.max() <= 255


def test_all_models_have_a_place_and_the_largest_is_last():
    names = deployed.by_size()
    assert sorted(names) == sorted(deployed.constructors()) and names[0] == "MobileNetV3Small"
    if keras.__version__.startswith("3.15."):
        assert names[-1] == "ConvNeXtXLarge" and set(names) == set(deployed.BY_SIZE)


ROW = {
    "model": "MobileNet",
    "input": [32, 32, 3],
    "parameters": 844_461,
    "samples": 256,
    "float_bytes": 3_330_000,
    "float_difference": 3.6e-6,
    "float_agreement": 1.0,
    "classes": 10,
    "int8_bytes": 1_010_000,
    "int8_difference": 0.25,
    "int8_mean_difference": 0.02,
    "int8_agreement": 0.82,
    "integer_only": True,
    "int8_reason": "",
    "seconds": 60,
    "machine": "a board",
    "versions": "keras 3",
    "date": "2026-01-01",
}
REFUSED = {name: ROW[name] for name in ROW if not name.startswith("int8_") and name != "integer_only"}


def run(folder, *arguments):
    results, page = folder / "results.jsonl", folder / "page.md"
    code = command.main([*arguments, "--results", str(results), "--output", str(page)])
    return code, page.read_text(encoding="utf-8")


def test_what_is_in_the_results_is_not_run_again(tmp_path, monkeypatch):
    ran = []

    def run_apart(name, seed, **options):
        ran.append(name)
        return ROW | {"model": name}

    monkeypatch.setattr(command, "run_apart", run_apart)
    append(tmp_path / "results.jsonl", ROW)
    code, page = run(tmp_path, "ResNet50", "MobileNet")
    assert (code, ran) == (0, ["ResNet50"])
    for text in ("| ResNet50 |", "3.6e-06", "1.01 MB", "82.0%", "2.0% (25%)", "3.33 MB"):
        assert text in page
    assert "falls short" not in page and "refused" not in page
    run(tmp_path, "MobileNet", "--again")
    assert ran == ["ResNet50", "MobileNet"]


@pytest.mark.parametrize(
    ("row", "code", "title", "words"),
    [
        (ROW | {"float_difference": 2e-4}, 1, "What falls short", "2.0e-04 of the range"),
        (ROW | {"float_difference": float("nan")}, 1, "What falls short", "nan of the range"),
        ({"model": "MobileNet", "error": "StripError: why"}, 1, "What falls short", "StripError: why"),
        (REFUSED | {"int8_reason": "no kernel"}, 0, "Where int8 is refused", "MobileNet: no kernel"),
        (ROW | {"int8_reason": "off"}, 0, "Where int8 is refused", "MobileNet: off"),
    ],
)
def test_what_falls_short_or_is_refused_is_said(tmp_path, row, code, title, words):
    append(tmp_path / "results.jsonl", row)
    found, page = run(tmp_path, "MobileNet")
    assert found == code and words in page.split(f"## {title}")[1]


def test_an_unknown_model_is_one_line(capsys):
    with pytest.raises(SystemExit):
        command.main(["LeNet5"])
    assert "Received: LeNet5" in capsys.readouterr().err.splitlines()[-1]
