"""Methods against each other on a tiny network: equal conditions, nothing lost by a kill, a page."""

import dataclasses
import itertools
import json
import math
import os

import keras
import numpy as np
import pytest

import tf_wgsef
from tf_wgsef.errors import InputError
from tf_wgsef.workflows.compare import (
    METHODS,
    RECIPES,
    Batches,
    Recipe,
    Settings,
    _execute,
    _run_all,
    _sweep,
    append,
    read_rows,
)
from tf_wgsef.workflows.compare._augment import augmented
from tf_wgsef.workflows.compare._feed import BeginEpoch, feed
from tf_wgsef.workflows.data import ImageData

QUICK = dict(recipe="tiny", methods=["wgsef", "magnitude"], levels=[0.5], seeds=[0], epochs=2, latency=False)
ONE = QUICK | {"methods": ["wgsef"], "dense": False}

ABLE = [name for name, method in METHODS.items() if not method.no_shape and name != "dense"]
CONNECTIONS = {"sparse_connections", "sparse_connections_incremental"}
# Penalties with a strength, which differ in the penalty alone; all are run behind the slow marker.
ALIKE = ("group_l0", "group_mcp", "group_scad", "group_transformed_l1", "group_l1_minus_l2", "wgsef_plain")
SOME = ["wgsef", "magnitude", "narrow"]


def network():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(8, 3, name="conv"),
            keras.layers.BatchNormalization(momentum=0.8, name="bn"),
            keras.layers.ReLU(name="relu"),
            keras.layers.Conv2D(8, 3, padding="same", activation="relu", name="conv2"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(12, activation="relu", name="hidden"),
            keras.layers.Dense(3, name="logits"),
        ]
    )


def images():
    generator = np.random.default_rng(0)
    y = generator.integers(0, 3, 96).astype("int32")
    x = generator.normal(size=(96, 8, 8, 1)).astype("float32") + y[:, None, None, None]
    return ImageData(x[:64], y[:64], x[64:], y[64:], "noise in three shades")


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(
        RECIPES, "tiny", Recipe(network, images, 2, 32, learning_rate=0.02, weight_decay=0.0, augment=False)
    )
    # Converting takes longer than all else here; one test does it.
    monkeypatch.setattr(
        _execute, "file_figures", lambda model, latency: {"file_bytes": 1, "latency_us": None}
    )


@pytest.fixture
def converted(tiny, monkeypatch):
    """Files are made and measured."""
    monkeypatch.setattr(_execute, "file_figures", FILE_FIGURES)


FILE_FIGURES = _execute.file_figures


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_is_that_of_training_only(tmp_path, precision, monkeypatch):
    before = keras.config.dtype_policy()
    measured, trained = [], []
    monkeypatch.setattr(_execute, "accuracy", lambda model, data: measured.append(model.layers[-1]) or 0.5)
    fit = keras.Model.fit

    def watched(model, *args, **kwargs):
        trained.append(getattr(model, "model", model).layers[-1].dtype_policy.name)
        return fit(model, *args, **kwargs)

    monkeypatch.setattr(keras.Model, "fit", watched)
    found = tf_wgsef.compare_methods(ONE | {"precision": precision}, output=tmp_path)
    assert set(trained) == {precision}
    assert measured[-1].compute_dtype == "float32"  # the figures' network
    assert keras.config.dtype_policy() == before
    assert [run["precision"] for run in found.runs] == [precision]
    assert [run.precision for run in Settings(**ONE).runs()] == [None]


@pytest.mark.parametrize("precision", [None, "mixed_bfloat16"])
@pytest.mark.parametrize(("restart", "after_cut"), [(True, 1.0), (False, 0.5)])
def test_the_learning_rate_begins_anew_after_the_cut_or_goes_on(
    tmp_path, restart, after_cut, precision, monkeypatch
):
    rates = []
    fit = keras.Model.fit

    def watched(model, *args, **kwargs):
        rates.append(float(model.optimizer.learning_rate))
        found = fit(model, *args, **kwargs)
        rates.append(float(model.optimizer.learning_rate))
        return found

    monkeypatch.setattr(keras.Model, "fit", watched)
    settings = QUICK | {
        "methods": ["magnitude"],
        "learning_rate": 0.02,
        "restart": restart,
        "precision": precision,
    }
    found = tf_wgsef.compare_methods(settings, output=tmp_path)
    end_of_first = 0.0 if restart else 0.5  # half of one cosine over both epochs
    np.testing.assert_allclose(rates, 0.02 * np.array([1.0, end_of_first, after_cut, 0.0] * 2), atol=1e-8)
    assert [run["restart"] for run in found.runs] == [restart, restart]


def test_the_optimizer_asked_for_trains_every_method_that_brings_none(tmp_path, monkeypatch):
    names = []
    fit = keras.Model.fit

    def watched(model, *args, **kwargs):
        names.append(type(model.optimizer).__name__)
        return fit(model, *args, **kwargs)

    monkeypatch.setattr(keras.Model, "fit", watched)
    settings = QUICK | {"methods": ["wgsef", "prox_sgd"], "optimizer": "conv_muon"}
    found = tf_wgsef.compare_methods(settings, output=tmp_path)
    assert names == [*["ConvMuon"] * 4, "ProxSGD", "ConvMuon"]  # dense, wgsef, prox_sgd: until the cut, after
    assert {run["optimizer"] for run in found.runs} == {"conv_muon"}


def test_runs_of_before_there_was_a_choice_are_those_that_began_anew_by_sgd(tmp_path, told):
    found = tf_wgsef.compare_methods(QUICK, output=tmp_path)
    file = tmp_path / "runs.jsonl"
    later = ("restart", "optimizer")
    rows = [{name: value for name, value in row.items() if name not in later} for row in read_rows(file)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert (
        len(tf_wgsef.compare_methods(QUICK, output=tmp_path, report_only=True).runs) == len(found.runs) == 3
    )
    with pytest.raises(InputError, match="Expected runs of these settings"):
        tf_wgsef.compare_methods(QUICK | {"restart": False}, output=tmp_path, report_only=True)
    with pytest.raises(InputError, match="Expected runs of these settings"):
        tf_wgsef.compare_methods(QUICK | {"optimizer": "conv_muon"}, output=tmp_path, report_only=True)


def test_the_networks_of_the_runs_are_there_to_deploy(tmp_path):
    found = tf_wgsef.compare_methods(QUICK | {"models": True}, output=tmp_path)
    assert len({run["model_file"] for run in found.runs}) == len(list((tmp_path / "models").iterdir())) == 3
    data = images()
    for run in found.runs:
        model = keras.saving.load_model(tmp_path / run["model_file"], safe_mode=True)
        assert not model.compiled  # an optimizer would double the file, and its schedule is known here only
        answers = np.argmax(model.predict(data.x_test, verbose=0), axis=-1)
        assert run["accuracy"] == pytest.approx(np.mean(answers == data.y_test))
        assert run["parameters"] == model.count_params()


def test_no_network_is_saved_unless_asked_for_and_a_bad_place_shows_before_training(tmp_path):
    (tmp_path / "models").write_text("not a folder")
    assert tf_wgsef.compare_methods(ONE, output=tmp_path).runs[0]["model_file"] is None
    with pytest.raises(InputError, match="which is a file"):
        tf_wgsef.compare_methods(ONE | {"models": True, "seeds": [1]}, output=tmp_path)
    assert len(read_rows(tmp_path / "runs.jsonl")) == 1


def test_files_are_converted_and_measured(tmp_path, converted):
    settings = {**QUICK, "methods": ["magnitude"], "latency": True}
    runs = {run["method"]: run for run in tf_wgsef.compare_methods(settings, output=tmp_path).runs}
    assert 0 < runs["magnitude"]["file_bytes"] < runs["dense"]["file_bytes"]
    assert runs["magnitude"]["latency_us"] > 0


@pytest.mark.parametrize("left_out", [ALIKE, pytest.param((), marks=pytest.mark.slow)], ids=["some", "all"])
def test_every_method_leaves_the_level_and_is_measured_alike(tmp_path, left_out):
    methods = set(METHODS) - set(left_out)
    comparison = tf_wgsef.compare_methods({**QUICK, "methods": sorted(methods)}, output=tmp_path / "all")
    rows = {run["method"]: run for run in comparison.runs}
    assert set(rows) == methods
    # 4 of 8 filters each and 6 of 12 units: 9·4 + 4 + 2·4 + 2·4, 9·4·4 + 4, 36·4·6 + 6, 6·3 + 3
    removing = methods - {"dense", "slimming", *CONNECTIONS}  # slimming cuts groups with a gamma alone
    second = 9 * 4 * 4 + 4
    assert {rows[name]["parameters"] for name in removing} == {40 + 16 + second + 870 + 21}
    assert rows["slimming"]["parameters"] == 40 + 16 + 9 * 4 * 8 + 8 + 36 * 8 * 12 + 12 + 39
    # 4 of 8 inputs for each filter of the second convolution, and the order of its inputs; masked it is dense
    assert rows["sparse_connections"]["parameters"] == rows["dense"]["parameters"] - 9 * 4 * 8 + 8
    masked, dense = rows["sparse_connections_incremental"], rows["dense"]
    assert (masked["parameters"], masked["macs"]) == (dense["parameters"], dense["macs"])
    assert dense["macs"] - rows["sparse_connections"]["macs"] == 36 * 9 * 4 * 8
    for criterion in ("by_activation", "by_gamma"):
        assert 0 <= rows["implicit"][f"inactive_{criterion}"] <= 1
    assert rows["dense"]["parameters"] == network().count_params()
    for run in comparison.runs:
        assert 0 <= run["accuracy"] <= 1 and run["file_bytes"] > 0 and run["macs"] > 0
        assert 0 <= run["accuracy_before_cut"] <= 1 and run["latency_us"] is None
    assert rows["wgsef"]["max_abs_diff"] < 1e-4


@pytest.mark.parametrize("able", [SOME, pytest.param(ABLE, marks=pytest.mark.slow)], ids=["some", "all"])
def test_a_shape_is_left_by_every_method_that_can(tmp_path, able):
    settings = {**QUICK, "methods": able, "levels": [], "shapes": [{"co*": 3}]}
    comparison = tf_wgsef.compare_methods(settings, output=tmp_path)
    rows = {run["method"]: run for run in comparison.runs}
    # 3 of 8 filters each, all 12 units: 9·3 + 3 + 2·3 + 2·3, 9·3·3 + 3, 36·3·12 + 12, 12·3 + 3
    assert {rows[name]["parameters"] for name in able} == {30 + 12 + 84 + 36 * 3 * 12 + 12 + 39}
    assert {rows[name]["shape"] for name in able} == {"co*=3"} and rows["dense"]["shape"] is None
    assert "| to 3 | WGSEF |" in (tmp_path / "compare.md").read_text().replace("**", "")
    again = tf_wgsef.compare_methods({**settings, "methods": ["wgsef"]}, output=tmp_path, report_only=True)
    assert again.runs == [rows["dense"], rows["wgsef"]]


def residual():
    x = inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, name="stem")(x)
    for number in range(3):
        y = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name=f"first{number}")(x)
        y = keras.layers.Conv2D(4, 3, padding="same", name=f"second{number}")(y)
        x = keras.layers.Add(name=f"add{number}")([x, y])
    outputs = keras.layers.Dense(3, name="logits")(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, outputs)


def test_depth_is_left_block_by_block(tmp_path, monkeypatch):
    monkeypatch.setitem(RECIPES, "tiny", Recipe(residual, images, 2, 32, augment=False))
    settings = {**QUICK, "groups": "depth", "levels": [], "shapes": [{"depth": 1}]}
    runs = tf_wgsef.compare_methods(settings, output=tmp_path).runs
    block, rest = 2 * (9 * 4 * 4 + 4), 40 + 15
    assert {run["method"]: run["parameters"] for run in runs} == {
        "dense": 3 * block + rest, "wgsef": block + rest, "magnitude": block + rest,
    }  # fmt: skip
    assert runs[1]["level"] == pytest.approx(2 / 3)


def test_a_block_goes_whole_beside_a_number_of_filters_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setitem(RECIPES, "tiny", Recipe(residual, images, 2, 32, augment=False))
    kinds = {"*0": "depth", "*": "filter"}
    settings = {
        **QUICK,
        "methods": ["wgsef", "magnitude", "random", "narrow"],
        "groups": kinds,
        "levels": [],
        "shapes": [{"depth": 0, "first1": 1}],
    }
    runs = tf_wgsef.compare_methods(settings, output=tmp_path).runs
    whole, one = 2 * (9 * 4 * 4 + 4), 9 * 4 * 1 + 1 + 9 * 1 * 4 + 4
    assert {run["parameters"] for run in runs if run["method"] != "dense"} == {whole + one + 40 + 15}
    assert {run["groups"] for run in runs} == {"*0=depth,*=filter"}
    assert tf_wgsef.compare_methods(settings, output=tmp_path).runs == runs


def test_all_that_a_shape_names_goes(tmp_path, monkeypatch, told):
    monkeypatch.setitem(RECIPES, "tiny", Recipe(residual, images, 2, 32, augment=False))
    settings = {**QUICK, "methods": ["wgsef"], "groups": "depth", "levels": [], "shapes": [{"depth": 0}]}
    first = tf_wgsef.compare_methods(settings, output=tmp_path)
    assert [run["level"] for run in first.runs[1:]] == [1.0]
    told.clear()
    assert tf_wgsef.compare_methods(settings, output=tmp_path).runs == first.runs
    assert not told


def test_lines_of_earlier_versions_are_runs_without_a_shape(tmp_path, told):
    tf_wgsef.compare_methods(QUICK, output=tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()]
    (tmp_path / "runs.jsonl").write_text("")
    for row in rows:
        del row["shape"]
        append(tmp_path / "runs.jsonl", row)
    assert len(tf_wgsef.compare_methods(QUICK, output=tmp_path).runs) == len(told) == 3


def test_a_budget_is_met_by_every_method(tmp_path):
    settings = {**QUICK, "methods": ["wgsef", "magnitude", "random", "narrow"], "unit": "macs"}
    runs = {run["method"]: run for run in tf_wgsef.compare_methods(settings, output=tmp_path).runs}
    limit = 0.5 * runs["dense"]["macs"]
    assert all(0.8 * limit < runs[name]["macs"] <= limit for name in settings["methods"])


def test_what_is_done_is_not_done_again_and_a_cut_line_costs_one_run(tmp_path, monkeypatch):
    made = []

    def execute(run, *arguments, **options):
        made.append((run.method, run.seed))
        return real(run, *arguments, **options)

    real = _run_all.execute
    monkeypatch.setattr(_run_all, "execute", execute)
    first = tf_wgsef.compare_methods(QUICK, output=tmp_path)
    assert made == [("dense", 0), ("wgsef", 0), ("magnitude", 0)]
    file = tmp_path / "runs.jsonl"
    file.write_bytes(file.read_bytes()[:-40])  # killed while the last line was written
    second = tf_wgsef.compare_methods({**QUICK, "seeds": [0, 1]}, output=tmp_path)
    assert made[3:] == [("dense", 1), ("magnitude", 0), ("wgsef", 1), ("magnitude", 1)]
    again = {(run["method"], run["seed"]): run["accuracy"] for run in second.runs}
    assert all(again[run["method"], run["seed"]] == run["accuracy"] for run in first.runs)


def test_the_folder_holds_the_page_the_table_and_the_picture(tmp_path):
    comparison = tf_wgsef.compare_methods({**ONE, "seeds": [0, 1]}, output=tmp_path)
    page = (tmp_path / "compare.html").read_text()
    assert "WGSEF" in page and "noise in three shades" in page and "<script" not in page
    assert "- epochs: 2\n" in (tmp_path / "compare.md").read_text()
    assert (tmp_path / "compare.png").read_bytes().startswith(b"\x89PNG")
    accuracies = [run["accuracy"] for run in comparison.runs if run["method"] == "wgsef"]
    mean, deviation = 100 * np.mean(accuracies), 100 * np.std(accuracies, ddof=1)
    assert f"{mean:.2f} ± {deviation:.2f} %" in (tmp_path / "compare.md").read_text()


def flat(*units):
    dense = [keras.layers.Dense(number) for number in units]
    return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), *dense])


@pytest.fixture
def files(tmp_path):
    """A model and data of the user's own."""
    model, data = network(), images()
    model.add(keras.layers.Softmax(name="shares"))
    model.save(tmp_path / "mine.keras")
    arrays = {name: getattr(data, name) for name in ("x_train", "y_train", "x_test", "y_test")}
    np.savez(tmp_path / "mine.npz", **arrays)
    return {"model": str(tmp_path / "mine.keras"), "data": str(tmp_path / "mine.npz")}


def test_models_and_data_of_ones_own(files, tmp_path):
    settings = {name: value for name, value in QUICK.items() if name != "recipe"}
    settings |= {**files, "epochs": 10, "batch": 8}
    comparison = tf_wgsef.compare_methods(settings, output=tmp_path / "out")
    dense = comparison.runs[0]
    assert dense["recipe"].startswith("mine.keras ") and dense["data"] == "mine.npz"
    assert dense["accuracy"] > 0.6  # a third by chance: the loss knows that the outputs are shares
    # Another file of the same name is another recipe: nothing of the old one is taken for it.
    flat(9, 3).save(files["model"])
    with pytest.raises(InputError, match="Received: runs with recipe mine.keras"):
        tf_wgsef.compare_methods(settings, output=tmp_path / "out", report_only=True)


def test_pretrained_weights_are_where_training_starts(files, tmp_path):
    model = keras.models.load_model(files["model"])
    for pretrained in (False, True):
        settings = Settings(**files, pretrained=pretrained)
        assert settings.recipe.endswith("pretrained") == pretrained  # other runs, in the same file
        built = settings.recipe_itself().build()
        same = [np.array_equal(a, b) for a, b in zip(built.get_weights(), model.get_weights(), strict=True)]
        assert all(same) == pretrained


def test_files_that_do_not_fit_each_other(files, tmp_path):
    with pytest.raises(InputError, match="`model` and `data` together"):
        Settings(model=files["model"])
    with pytest.raises(InputError, match="Expected a file.*No such file"):
        Settings(model="nothing.keras", data=files["data"])
    keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)]).save(tmp_path / "flat.keras")
    flat(2).save(tmp_path / "two.keras")
    for name in ("flat", "two"):
        settings = Settings(model=str(tmp_path / f"{name}.keras"), data=files["data"])
        with pytest.raises(
            InputError, match=r"inputs of shape \(8, 8, 1\) with one output for each of 3 classes"
        ):
            settings.recipe_itself()
    arrays = dict(np.load(files["data"]))
    np.savez(tmp_path / "low.npz", **{**arrays, "x_test": arrays["x_test"][:, :4]})
    with pytest.raises(InputError, match=r"x_test of shape \(n, 8, 8, 1\), as x_train. Received: low.npz"):
        Settings(model=files["model"], data=str(tmp_path / "low.npz")).recipe_itself()
    np.savez(tmp_path / "short.npz", x=np.zeros((3, 8, 8, 1)), y=np.zeros(3))
    with pytest.raises(InputError, match="x_train, y_train, x_test and y_test"):
        Settings(model=files["model"], data=str(tmp_path / "short.npz")).recipe_itself()


@pytest.fixture
def told(monkeypatch):
    """Which runs were made; none trains, and no picture is drawn."""
    made = []

    def execute(run, *arguments, **options):
        made.append(run.method)
        return {**dataclasses.asdict(run), "data": "noise in three shades", "accuracy": 0.5, "macs": 100}

    monkeypatch.setattr(_run_all, "execute", execute)
    monkeypatch.setattr(_sweep.MethodsComparison, "save", lambda self, folder, facts: self.rows)
    return made


@pytest.mark.parametrize(
    "change",
    [
        *({name: value} for name in ("accuracy", "macs") for value in ("0.9", True, [], {}, -1, 10**400)),
        {"accuracy": None}, {"accuracy": float("nan")}, {"macs": float("inf")}, {"note": float("nan")},
        {"method": []}, {"seed": {}}, {"data": None}, {"data": ["a"]}, {"accuracy": 1.5},
        *({"restart": value} for value in (1, "true", None)), {"level": "0.5"}, {"level": None}, {"level": 1},
        {"recipe": 5}, {"method": None}, {"seed": "0"}, {"epochs": 2.5}, {"augment": 0}, {"shape": 5},
        *({"strength": value} for value in ("0.1", True, 10**400)), {"precision": 16}, {"clip": "1"},
        {"shift": 2.5}, {"border": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_row_that_is_no_finished_run_is_kept_and_the_run_made_again(tmp_path, told, change):
    settings = {**QUICK, "methods": ["wgsef"]}
    tf_wgsef.compare_methods(settings, output=tmp_path)
    file = tmp_path / "runs.jsonl"
    first, second = file.read_text().splitlines()
    file.write_text(first + "\n" + json.dumps({**json.loads(second), **change}) + "\n")
    before = file.read_text()
    runs = tf_wgsef.compare_methods(settings, output=tmp_path).runs
    assert told == ["dense", "wgsef", "wgsef"] and len(runs) == 2
    assert file.read_text().startswith(before)
    json.dumps(runs, allow_nan=False)
    assert tf_wgsef.compare_methods(None, output=tmp_path, report_only=True).runs == runs


@pytest.mark.parametrize("name", ["runs.jsonl", "compare.html", "compare.md", "compare.png"])
def test_a_folder_in_a_files_place_is_found_before_training(tmp_path, told, name):
    (tmp_path / name).mkdir()
    with pytest.raises(InputError, match=f"{name}', which is a folder"):
        tf_wgsef.compare_methods(QUICK, output=tmp_path)
    assert told == []


def test_what_could_not_be_written_after_a_run_is_found_before_it(tmp_path, told, monkeypatch):
    (tmp_path / "unfinished").write_text("not a folder")
    with pytest.raises(InputError, match="unfinished', which is a file"):
        tf_wgsef.compare_methods(QUICK, output=tmp_path)
    (tmp_path / "unfinished").unlink()
    (tmp_path / "runs.jsonl").touch()
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: path != tmp_path / "runs.jsonl" and access(path, mode)
    )
    with pytest.raises(InputError, match="file of runs that may be written to"):
        tf_wgsef.compare_methods(QUICK, output=tmp_path)
    assert told == []


def test_an_output_that_is_no_folder_is_left_alone(tmp_path, told):
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    for output in (file, file / "inside", tmp_path / "a\0b"):
        with pytest.raises(InputError, match="`output` to be a folder"):
            tf_wgsef.compare_methods(QUICK, output=output)
    assert file.read_text() == "mine" and told == []


def test_a_run_depends_on_its_seed_and_not_on_the_runs_before_it(tmp_path):
    settings = {**QUICK, "dense": False}
    both = tf_wgsef.compare_methods({**settings, "seeds": [0, 1]}, output=tmp_path / "both").runs
    alone = tf_wgsef.compare_methods({**settings, "seeds": [1]}, output=tmp_path / "alone").runs
    figures = ("method", "accuracy_before_cut", "accuracy_after_cut", "accuracy", "parameters")
    assert [[run[name] for name in figures] for run in alone] == [
        [run[name] for name in figures] for run in both if run["seed"] == 1
    ]


def test_a_run_that_diverges_is_warned_of_and_the_others_go_on(tmp_path, caplog):
    settings = {**QUICK, "methods": ["magnitude", "ssl"], "strength": {"ssl": 0.01}}
    steep = {**settings, "learning_rate": 1e30, "clip": None}
    assert tf_wgsef.compare_methods(steep, output=tmp_path).runs == []
    assert "nothing removed 0, seed 0 has no result: Expected finite weights" in caplog.text
    assert "SSL group lasso 0.5, seed 0 has no result: Expected finite weights" in caplog.text
    runs = tf_wgsef.compare_methods(settings, output=tmp_path).runs
    assert [run["method"] for run in runs] == ["dense", "magnitude", "ssl"]


def test_report_only_trains_nothing(tmp_path):
    for settings in (QUICK, None):
        with pytest.raises(InputError, match="Expected runs of these settings.*Received: none"):
            tf_wgsef.compare_methods(settings, output=tmp_path / "new", report_only=True)
    assert not (tmp_path / "new").exists()
    made = tf_wgsef.compare_methods(QUICK, output=tmp_path).runs
    page = (tmp_path / "compare.md").read_text()
    with pytest.raises(InputError, match="Received: runs with recipe tiny; method dense, wgsef, magnitude;"):
        tf_wgsef.compare_methods({**QUICK, "epochs": 3}, output=tmp_path, report_only=True)
    assert (tmp_path / "compare.md").read_text() == page  # a good table is not replaced by an empty one
    for settings in (QUICK, None):
        assert tf_wgsef.compare_methods(settings, output=tmp_path, report_only=True).runs == made
    one = tf_wgsef.compare_methods({**QUICK, "methods": ["wgsef"]}, output=tmp_path, report_only=True)
    assert [run["method"] for run in one.runs] == ["dense", "wgsef"]


def test_a_method_that_cannot_train_the_network_is_named_before_any_run(tmp_path, monkeypatch):
    def plain():
        return keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])

    monkeypatch.setitem(RECIPES, "tiny", Recipe(plain, images, 2))
    with pytest.raises(InputError, match="BatchNormalization layers that have a gamma"):
        tf_wgsef.compare_methods({**QUICK, "methods": ["magnitude", "slimming"]}, output=tmp_path)
    assert not (tmp_path / "runs.jsonl").exists()


def test_more_images_than_there_are(tmp_path):
    with pytest.raises(InputError, match="at most the 64 training images.*samples=65"):
        tf_wgsef.compare_methods({**QUICK, "samples": 65}, output=tmp_path)
    with pytest.raises(InputError, match="samples=60 and validation=5"):
        tf_wgsef.compare_methods({**QUICK, "samples": 60, "validation": 5}, output=tmp_path)


def test_validation_images_are_not_trained_on():
    data = images()
    part = data.first(40, validation=10)
    np.testing.assert_array_equal(part.x_test, data.x_train[40:50])
    assert len(part.x_train) == 40 and "held out" in part.name
    assert len(data.first(None, validation=10).x_train) == 54


def test_a_line_that_was_cut_off_is_passed_over_and_the_next_stands_alone(tmp_path):
    file = tmp_path / "rows.jsonl"
    append(file, {"a": 1})
    with file.open("a") as stream:
        stream.write('{"a": 2, "b"')
    append(file, {"a": 3})
    assert read_rows(file) == [{"a": 1}, {"a": 3}]
    file.write_text(file.read_text() + "[1, 2]\n7\n" + "1" * 5000 + "\n")
    assert read_rows(file) == [{"a": 1}, {"a": 3}]


@pytest.mark.parametrize("shift", [0, 2, 4, 5])
@pytest.mark.parametrize("border", ["reflect", "zeros"])
def test_augmentation_shifts_by_that_many_pixels_at_most_and_mirrors(border, shift):
    """Each augmented image is a window of its image with that border, which a loop over all of them finds."""
    x = np.random.default_rng(0).random((30, 6, 6, 2))
    there_and_back = [0, 1, 2, 3, 4, 5, 4, 3, 2, 1] * 3
    found = set()
    new = augmented(x, np.random.default_rng(1), shift=shift, border=border)
    for before, after in zip(x, new, strict=True):
        framed = np.zeros((6 + 2 * shift, 6 + 2 * shift, 2))
        for row, column in itertools.product(range(6 + 2 * shift), repeat=2):
            if border == "reflect":
                pixel = before[there_and_back[row - shift + 10], there_and_back[column - shift + 10]]
                framed[row, column] = pixel
            elif shift <= row < shift + 6 and shift <= column < shift + 6:
                framed[row, column] = before[row - shift, column - shift]
        places = [
            (top, left, mirrored)
            for top, left in itertools.product(range(2 * shift + 1), repeat=2)
            for mirrored in (False, True)
            if np.array_equal(after, framed[top : top + 6, left : left + 6][:, :: -1 if mirrored else 1])
        ]
        assert places
        found.add(places[0])
    assert len(found) >= min(20, 2 * (2 * shift + 1) ** 2)
    assert {mirrored for *_, mirrored in found} == {False, True}


def test_runs_of_before_there_were_borders_had_zeros_behind(tmp_path, told):
    settings = QUICK | {"augment": True}
    tf_wgsef.compare_methods(settings, output=tmp_path)
    file = tmp_path / "runs.jsonl"
    rows = [{k: v for k, v in row.items() if k not in ("shift", "border")} for row in read_rows(file)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    old = tf_wgsef.compare_methods(settings | {"border": "zeros"}, output=tmp_path, report_only=True)
    assert len(old.runs) == 3
    with pytest.raises(InputError, match="Expected runs of these settings"):
        tf_wgsef.compare_methods(settings, output=tmp_path, report_only=True)


def test_a_border_makes_no_other_runs_where_nothing_is_shifted():
    plain = {**QUICK, "augment": False}
    assert Settings(**plain, border="zeros", shift=1).runs() == Settings(**plain).runs()
    augmented_ones = {**QUICK, "augment": True}
    assert not set(Settings(**augmented_ones, shift=1).runs()) & set(Settings(**augmented_ones).runs())


def test_batches_hold_every_image_once_an_epoch_in_an_order_of_the_seed():
    x, y = np.arange(10.0)[:, None, None, None], np.arange(10)
    orders = []
    for seed in (0, 0, 1):
        batches = Batches(x, y, 4, seed=seed)
        for _ in range(2):
            labels = np.concatenate([batches[index][1] for index in range(len(batches))])
            assert sorted(labels) == list(range(10))
            orders.append(labels.tolist())
            batches.on_epoch_end()
    assert orders[:2] == orders[2:4] and orders[0] != orders[1] and orders[0] != orders[4]


def test_training_sees_the_batches_that_keras_would_feed_it():
    x, y, *_ = dataclasses.astuple(images())
    fitted = []
    for own in (True, False):
        keras.utils.set_random_seed(0)
        model = residual()
        model.compile(
            keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        batches = Batches(x, y, 48, seed=5, augment=True)
        given, callbacks = (feed(batches), [BeginEpoch(batches, 0)]) if own else (batches, [])
        model.fit(given, epochs=3, shuffle=False, callbacks=callbacks, verbose=0)
        fitted.append(model.get_weights())
    assert len(x) % 48
    for one, other in zip(*fitted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_epoch_waits_for_tensorflows_tuner():
    batches = Batches(np.zeros((10, 4, 4, 1)), np.zeros(10), 4, seed=0)
    dataset = feed(batches)
    assert dataset.options().autotune.enabled is False
    assert int(dataset.cardinality()) == len(list(dataset)) == 3


def test_settings_are_written_on_the_page_as_they_were(tmp_path):
    settings = Settings(**ONE, clip=3.5)
    tf_wgsef.compare_methods(settings, output=tmp_path)
    assert "3.5" in (tmp_path / "compare.html").read_text()
    rows = [json.loads(line) for line in (tmp_path / "runs.jsonl").read_text().splitlines()]
    assert all(math.isclose(row["clip"], 3.5) for row in rows)


def test_a_file_that_cannot_be_made_costs_no_run(tmp_path, monkeypatch, caplog):
    def refuse(model):
        raise InputError("Expected inputs of fixed shape.")

    monkeypatch.setattr("tf_wgsef.convert.convert", refuse)
    monkeypatch.setattr(_execute, "file_figures", FILE_FIGURES)
    found = tf_wgsef.compare_methods(ONE, output=tmp_path)
    assert found.failed == found.missing == 0 and len(found.runs) == 1
    assert {run["file_bytes"] for run in found.runs} == {None} and "fixed shape" in caplog.text


def test_runs_of_different_settings_are_not_averaged(tmp_path, told):
    for epochs in (2, 3):
        tf_wgsef.compare_methods({**QUICK, "epochs": epochs}, output=tmp_path)
    with pytest.raises(InputError, match="runs that differ in method, level.*with epochs 2, 3. Pass"):
        tf_wgsef.compare_methods(output=tmp_path, report_only=True)
    found = tf_wgsef.compare_methods({**QUICK, "epochs": 3}, output=tmp_path, report_only=True)
    assert {run["epochs"] for run in found.runs} == {3}


def test_runs_on_other_data_are_not_gone_on_with(tmp_path, monkeypatch):
    tf_wgsef.compare_methods(QUICK, output=tmp_path)
    other = Recipe(
        network,
        lambda: dataclasses.replace(images(), name="other noise"),
        2,
        32,
        learning_rate=0.02,
        weight_decay=0.0,
        augment=False,
    )
    monkeypatch.setitem(RECIPES, "tiny", other)
    with pytest.raises(InputError, match="noise in three shades. Received: other noise. Set TF_WGSEF_DATA"):
        tf_wgsef.compare_methods({**QUICK, "seeds": [0, 1]}, output=tmp_path)


def test_a_users_model_trains_in_the_precision_that_is_asked_for(files):
    recipe = Settings(**files, precision="mixed_bfloat16").recipe_itself()
    with _execute._computing_in("mixed_bfloat16"):
        assert {layer.compute_dtype for layer in recipe.build().layers} == {"bfloat16"}
    assert {layer.compute_dtype for layer in recipe.build().layers} == {"float32"}


def test_augmentation_is_for_images(files, tmp_path):
    flat = images()
    arrays = {"x_train": flat.x_train.reshape(64, -1), "x_test": flat.x_test.reshape(32, -1)}
    np.savez(tmp_path / "flat.npz", **arrays, y_train=flat.y_train, y_test=flat.y_test)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3)])
    model.save(tmp_path / "flat.keras")
    own = {"model": str(tmp_path / "flat.keras"), "data": str(tmp_path / "flat.npz")}
    settings = {**own, "methods": ["magnitude"], "levels": [0.5], "epochs": 2, "augment": True}
    with pytest.raises(InputError, match="Expected images .n, height, width, channels. with augment"):
        tf_wgsef.compare_methods(settings, output=tmp_path / "out")
