"""benchmarks/accuracy_curve.py on a toy network: the same work for every method, and no run made twice."""

import pathlib

import keras
import numpy as np
import pytest

BENCHMARKS = pathlib.Path(__file__).parent.parent / "benchmarks"
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(BENCHMARKS)
    for threads in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "TF_CPP_MIN_LOG_LEVEL"):
        patch.setenv(threads, "1")
    import _curve_page as page
    import _curve_runs as curve
    import accuracy_curve as command

METHODS = ("debiased", "plain", "magnitude", "dense")


def toy():
    hidden = keras.layers.Dense(8, activation="relu", name="hidden")
    return keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(3, name="logits")])


def toy_data():
    generator = np.random.default_rng(0)
    x = generator.integers(0, 256, (48, 4)).astype("uint8")
    y = (x.argmax(axis=1) % 3).astype("uint8")
    return x[:40], y[:40], x[40:], y[40:]


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Calls the command; what it executed since the last call."""
    monkeypatch.setitem(curve.RECIPES, "lenet5", (toy, toy_data))
    monkeypatch.setattr(curve, "_TRAINED", {})
    executed = []

    def execute(run, data):
        executed.append(run)
        return curve.execute(run, data)

    monkeypatch.setattr(command, "execute", execute)
    results = tmp_path / "rows.jsonl"

    def call(*options):
        executed.clear()
        fixed = ["--recipe", "lenet5", "--epochs", "4", "--samples", "32", "--batch", "8"]
        command.main([*fixed, "--results", str(results), *options])
        return list(executed)

    call.results = results
    return call


def test_every_method_keeps_the_same_number_of_groups_and_the_table_holds_them_all(sweep, tmp_path, capsys):
    picture = tmp_path / "curve.svg"
    executed = sweep("--levels", "0.5", "0.75", "--seeds", "0", "1", "--output", str(picture))
    assert len(executed) == 2 * 2 * 3 + 2  # dense has one level
    rows = command.read_rows(sweep.results)
    kept = {(row["method"], row["sparsity"], row["kept"], row["parameters"]) for row in rows}
    assert kept == {
        *((method, 0.5, 0.5, 4 * 5 + 3 * 5) for method in METHODS[:3]),
        *((method, 0.75, 0.25, 2 * 5 + 3 * 3) for method in METHODS[:3]),
        ("dense", 0.0, 1.0, 8 * 5 + 3 * 9),
    }
    printed = capsys.readouterr().out
    values = [100 * r["accuracy"] for r in rows if (r["method"], r["sparsity"]) == ("plain", 0.75)]
    assert f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}" in printed
    assert picture.read_text().count("<svg") == 1


def test_a_stopped_sweep_goes_on_where_it_stopped(sweep):
    sweep("--levels", "0.5", "--seeds", "0", "--methods", "magnitude")
    first = command.read_rows(sweep.results)[0]
    with sweep.results.open("a") as file:
        file.write('{"recipe": "lenet5", "meth')  # cut off by a kill
    executed = sweep("--levels", "0.5", "--seeds", "0", "--methods", "magnitude", "debiased")
    assert [run.method for run in executed] == ["debiased"]
    assert sweep("--levels", "0.5", "--seeds", "0", "--methods", "magnitude", "debiased") == []
    executed = sweep("--levels", "0.5", "--seeds", "0", "--methods", "magnitude", "--epochs", "2")
    assert len(executed) == 1  # another run
    assert command.read_rows(sweep.results)[0] == first


def test_report_only_shows_what_is_there_and_trains_nothing(sweep, capsys):
    with pytest.raises(SystemExit, match="has none of these runs"):
        sweep("--report-only")
    sweep("--levels", "0.5", "--seeds", "0", "--methods", "magnitude")
    capsys.readouterr()
    assert sweep("--levels", "0.5", "0.75", "--seeds", "0", "--methods", "magnitude", "--report-only") == []
    printed = capsys.readouterr().out
    assert "| 50.00% |" in printed and "75.00%" not in printed


def test_a_run_depends_on_its_seed_and_not_on_the_runs_before_it(sweep):
    sweep("--levels", "0.5", "0.75", "--seeds", "0")
    rows = command.read_rows(sweep.results)
    curve._TRAINED.clear()
    last = [row for row in rows if row["method"] == "magnitude"][-1]
    again = curve.execute(curve.Run(**{k: last[k] for k in curve.Run.__dataclass_fields__}), toy_data())
    assert again["loss"] == pytest.approx(last["loss"], rel=1e-6)
    assert again["accuracy"] == last["accuracy"]


def test_validation_images_are_behind_the_training_images():
    run = curve.Run("lenet5", "dense", 0.0, seed=0, epochs=2, samples=30, validation=10)
    (x, y), (x_measured, y_measured) = curve.split(toy_data(), run)
    whole = toy_data()
    np.testing.assert_allclose(x, whole[0][:30] / 255, rtol=1e-6)
    np.testing.assert_allclose(x_measured, whole[0][30:40] / 255, rtol=1e-6)
    np.testing.assert_array_equal(np.concatenate([y, y_measured]), whole[1])


def test_no_data_is_one_clear_line(monkeypatch, tmp_path):
    monkeypatch.setenv("TF_WGSEF_DATA", str(tmp_path))
    with pytest.raises(SystemExit, match="^no data: .*mnist.npz.*Set TF_WGSEF_DATA to a folder") as caught:
        command.main(["--recipe", "lenet5", "--results", str(tmp_path / "rows.jsonl")])
    assert "\n" not in str(caught.value)


def test_the_resnet_is_that_of_mlperf_tiny():
    # mlcommons/tiny, resnet_v1_eembc: 78 666 parameters, moving averages included.
    assert curve.RECIPES["resnet8"][0]().count_params() == 78_666


def test_two_strengths_are_two_columns():
    row = {"method": "plain", "sparsity": 0.5, "kept": 0.5, "parameters": 9, "accuracy": 0.25}
    text = page.table([{**row, "strength": s} for s in (0.1, 1.0)])
    assert "plain 0.1 | plain 1 |" in text
