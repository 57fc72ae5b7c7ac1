"""``tf-wgsef benchmark`` on a device whose times are known: tables, files, verdicts, exit status."""

import csv
import html
import json
import pathlib

import PIL.Image
import pytest

from tests.cli.bench import ROUNDS, Bench
from tests.cli.schema import problems
from tf_wgsef.errors import InputError
from tf_wgsef.measure import parse_bound


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5%", 0.05),
        ("0.05", 0.05),
        (0.05, 0.05),
        (" 5 % ", 0.05),
        ("0", 0.0),
        ("0%", 0.0),
        ("1e-2", 0.01),
        ("1", 1.0),
        ("150%", 1.5),
    ],
)
def test_bounds(text, value):
    assert parse_bound(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "%", "five", "-1%", "nan", "inf", "5%%", "1_0", None, "9" * 200])
def test_no_bound(text):
    with pytest.raises(InputError, match="as 5% or 0.05. Received"):
        # Of 200 nines only the first are shown.
        parse_bound(text if text != "9" * 200 else "x" * 200)


@pytest.mark.parametrize("text", ["5", 5, "1.01", "9" * 200])
def test_percent_without_its_sign_is_no_bound(text):
    with pytest.raises(InputError, match="Received: .{1,82}. Write 5% or 0.05"):
        parse_bound(text)


@pytest.mark.parametrize(
    ("sizes", "bound", "bench_options", "verdict"),
    [
        ((100, 110), "5%", {}, "failed"),
        ((100, 110), "0.05", {}, "failed"),
        ((100, 110), "20%", {}, "passed"),
        ((110, 100), "0", {}, "passed"),
        ((100, 100), "0", {}, "passed"),
        ((100, 104), "0", {"noise": 0.2}, "passed"),  # slower perhaps, but the interval does not show it
        ((100, 200), "0", {"noise": 0.2}, "failed"),
        ((100, 200), "5%", {"slow": 2.0}, "not judged"),
    ],
)
def test_fail_above(bench, sizes, bound, bench_options, verdict):
    status, values, said = bench("--fail-above", bound, benches=[Bench(**bench_options)], sizes=sizes)
    assert values["fail_above"]["verdict"] == verdict
    assert values["fail_above"]["bound"] == parse_bound(bound)
    assert status == (verdict == "failed")
    assert values["fail_above"]["text"] in said
    last = said.rpartition("tf-wgsef: ")[2]
    assert (last.startswith("local: failed: ") and "slower by more than" in last) == (verdict == "failed")


def test_one_slow_device_fails_all_and_the_others_are_shown(bench):
    status, values, said = bench("--fail-above", "5%", benches=[Bench("ssh://x", slow=9.0), Bench("local")])
    assert status == 1
    verdicts = {name: one["fail_above"]["verdict"] for name, one in values["targets"].items()}
    assert verdicts == {"ssh://x": "not judged", "local": "failed"}


def test_a_machine_that_slowed_down_claims_nothing(bench):
    status, values, said = bench(benches=[Bench(slow=1.5)], sizes=(200, 100))
    assert status == 0
    assert values["throttled"] and not values["differs"]
    assert said.count("; the machine slowed down by 53% meanwhile") == 2 and "faster" not in said


def test_one_file_has_nothing_to_be_slower_than(bench):
    status, values, said = bench("--fail-above", "5%", sizes=(100,))
    assert (status, values) == (1, None)
    assert "Expected two files for --fail-above" in said


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], (1.5, 100)),
        (["--preset", "quick"], (0.3, 20)),
        (["--preset", "mlperf"], (60.0, 1024)),
        (["--preset", "mlperf", "--seconds", 2], (2.0, 1024)),
    ],
)
def test_presets(bench, options, expected):
    one = Bench()
    assert bench(*options, benches=[one])[0] == 0
    assert (one.plans[0].min_seconds, one.plans[0].min_runs) == expected


def read(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_samples_hold_every_run(bench, tmp_path):
    path = tmp_path / "samples.csv"
    status, values, said = bench("--samples", path, benches=[Bench("local"), Bench("ssh://x")])
    assert status == 0 and "80 runs" in said
    rows = read(path)
    assert list(rows[0]) == ["target", "file", "round", "microseconds"]
    assert [row["target"] for row in rows] == ["local"] * 40 + ["ssh://x"] * 40
    second = [row for row in rows if row["target"] == "local" and row["file"].endswith("b.tflite")]
    assert [int(row["round"]) for row in second] == [turn // 2 + 1 for turn in range(20)]
    assert [float(row["microseconds"]) for row in second[-2:]] == [110.0, 119.0]
    assert values["targets"]["local"]["b"]["round_runs"] == [2] * ROUNDS


def test_samples_of_a_device_that_tells_none_and_of_one_that_was_lost(bench, tmp_path):
    benches = [Bench("adb", silent=True), Bench("ssh://x", lost_after=3), Bench("ssh://y", lost_after=0)]
    status, values, said = bench("--samples", tmp_path / "s.csv", benches=benches)
    assert status == 1
    assert "tells no single runs (adb)" in said and "ssh://x to stay" in said
    assert {row["target"] for row in read(tmp_path / "s.csv")} == {"ssh://x"}
    assert list(values["targets"]["ssh://y"]) == ["error"]


def test_samples_replace_nothing_unasked(bench, tmp_path):
    path = tmp_path / "samples.csv"
    path.write_text("mine")
    one = Bench()
    status, _, said = bench("--samples", path, benches=[one])
    assert (status, path.read_text(), one.plans) == (1, "mine", [])  # before anything was measured
    assert "--overwrite" in said
    assert bench("--samples", path, "--overwrite")[0] == 0
    assert len(read(path)) == 40
    assert bench("--samples", tmp_path / "samples.txt")[0] == 1


SCHEMA = json.loads((pathlib.Path(__file__).parents[2] / "docs" / "benchmark_schema.json").read_text())


@pytest.mark.parametrize(
    ("options", "sizes", "benches"),
    [
        ([], (100,), [Bench()]),
        ([], (100, 110), [Bench(silent=True)]),
        (["--fail-above", "5%"], (100, 110), [Bench("local"), Bench("ssh://x", slow=2.0)]),
        (
            [],
            (100, 110),
            [Bench("ssh://x", lost_after=3), Bench("y", lost_after=9), Bench("z", lost_after=0)],
        ),
        ([], (100,), [Bench("ssh://x", lost_after=3)]),
    ],
)
def test_the_json_is_what_its_schema_says(bench, options, sizes, benches):
    _, values, _ = bench(*options, sizes=sizes, benches=benches)
    assert problems(values, SCHEMA, SCHEMA) == []
    device = next(iter(values["targets"].values())) if "targets" in values else values
    damaged = (device.get("a") or device)["conditions"]["before"]
    damaged["temperature"] = "hot"
    assert problems(values, SCHEMA, SCHEMA)


def test_times_per_operator_or_why_there_are_none(bench, tmp_path):
    page = tmp_path / "page.html"
    profiled, plain = Bench("adb", operators=[("CONV_2D", "<conv>", 30.0, 0.75)]), Bench("local")
    status, values, said = bench("--operators", "--html", page, benches=[profiled, plain])
    assert status == 0 and profiled.plans[0].operators
    assert problems(values, SCHEMA, SCHEMA) == []
    told = {"kind": "CONV_2D", "name": "<conv>", "microseconds": 30.0, "share": 0.75}
    assert values["targets"]["adb"]["a"]["operators"] == [told]
    assert "no times per operator: this target tells none; tf-wgsef latency-table" in said
    assert "CONV_2D" in said and "<conv>" in said and "75.0%" in said
    assert "<td>&lt;conv&gt;</td><td>30.0 µs</td><td>75.0 %</td>" in page.read_text()


def test_the_page_and_the_picture_show_every_device(bench, tmp_path):
    benches = [Bench("local", noise=0.1), Bench("adb:<b>", silent=True), Bench("ssh://x", lost_after=3)]
    page, picture = tmp_path / "page.html", tmp_path / "runs.png"
    status, values, said = bench("--html", page, "--plot", picture, "--fail-above", "50%", benches=benches)
    assert status == 1  # one device was lost; what was measured is on the page all the same
    text = page.read_text()
    assert all(f"<h2>{name}</h2>" in text for name in ("local", "adb:&lt;b&gt;", "ssh://x"))
    assert text.count("<img") == 1 and "<script" not in text and 'src="http' not in text
    assert html.escape(values["targets"]["local"]["text"]) in text
    assert "Expected ssh://x to stay" in text and "passed: " in text
    assert values["targets"]["local"]["a"]["sha256"] in text
    assert "tf-wgsef benchmark" in text and "--target local" in text
    image = PIL.Image.open(picture)
    assert image.format == "PNG" and image.width > 1000
    assert f"Written to {page}" in said.replace("\n", "")


@pytest.mark.parametrize("option", ["--html", "--plot"])
def test_pages_replace_nothing_unasked(bench, tmp_path, option):
    path = tmp_path / {"--html": "page.html", "--plot": "runs.png"}[option]
    path.write_text("mine")
    one = Bench()
    assert bench(option, path, benches=[one])[0] == 1
    assert path.read_text() == "mine" and not one.plans
    assert bench(option, path.with_suffix(".txt"), benches=[one])[0] == 1


def test_the_page_names_the_device_that_measured_nothing(bench, tmp_path):
    benches = [Bench("local"), Bench("ssh://<x>", lost_after=0)]
    assert bench("--html", tmp_path / "page.html", benches=benches)[0] == 1
    text = (tmp_path / "page.html").read_text()
    assert "Nothing was measured on <strong>ssh://&lt;x&gt;</strong>: Expected ssh://&lt;x&gt; to" in text
    assert "Measured on 1 device;" in text and text.count("Nothing was measured on") == 1


def test_one_file_has_a_page_too(bench, tmp_path):
    assert bench("--html", tmp_path / "one.html", sizes=(100,))[0] == 0
    assert "Measured on 1 device;" in (tmp_path / "one.html").read_text()
