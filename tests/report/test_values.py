import json
import math

import numpy as np
import pytest

from tests.report.conftest import make_report
from tf_wgsef.errors import InputError
from tf_wgsef.report import Comparison, LayerRow, Report, Variant, render_json


def test_json_round_trip_loses_nothing(report):
    assert Report.from_dict(json.loads(render_json(report))) == report


def test_round_trip_of_hostile_names(hostile_report):
    assert Report.from_dict(json.loads(render_json(hostile_report))) == hostile_report


def test_round_trip_of_the_smallest_report():
    report = Report(title="", variants=(Variant(name="a", parameters=0, macs=0),))
    assert Report.from_dict(json.loads(render_json(report))) == report


def test_numpy_values_become_plain_and_what_is_not_finite_becomes_null():
    report = make_report(
        history={"loss": np.array([1.0, np.nan, np.inf])},
        environment={"cores": np.int64(2), "heat": np.float32("nan")},
        max_abs_diff=np.float32(0.5),
    )
    text = render_json(report)
    assert "NaN" not in text
    assert "Infinity" not in text
    again = Report.from_dict(json.loads(text))
    assert again.history["loss"][0] == 1.0
    assert all(math.isnan(value) for value in again.history["loss"][1:])
    assert again.environment == {"cores": 2, "heat": None}
    assert again.max_abs_diff == 0.5


def test_values_that_no_json_knows_become_their_text(tmp_path):
    assert make_report(environment={"folder": tmp_path}).environment == {"folder": str(tmp_path)}


@pytest.mark.parametrize(
    "schema",
    [None, 3, "tf_wgsef.report", {}, {"name": "lighthouse", "version": 1}],
)
def test_foreign_json_is_refused(report, schema):
    with pytest.raises(InputError, match=r"^Expected a report written by tf_wgsef") as caught:
        Report.from_dict({**report.to_dict(), "schema": schema})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("values", [None, [], "report", 3, {}])
def test_json_that_is_no_report_is_refused(values):
    with pytest.raises(InputError, match=r"Expected a report written by tf_wgsef"):
        Report.from_dict(values)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_version_is_refused(report, version):
    schema = {"name": "tf_wgsef.report", "version": version}
    with pytest.raises(InputError, match=r"Expected version 1 .*Received: version="):
        Report.from_dict({**report.to_dict(), "schema": schema})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("title", 3, r"Report\.title to be a string\. Received: 3"),
        ("variants", [], "at least one variant"),
        ("variants", [{"name": "a"}], "every field of a Variant .*parameters"),
        ("variants", ["a"], "the fields of a Variant"),
        ("variants", {"name": "a"}, "Report.variants to be a list"),
        ("layers", [{"name": "a", "kind": "b", "colour": 1}], "'colour'"),
        ("layers", 7, "Report.layers to be a list"),
        ("history", {"loss": "abc"}, "a list of numbers"),
        ("history", {"loss": [True]}, "a list of numbers"),
        ("history", [1], "an object with named values"),
        ("phases", {"dense": -1}, "a whole number of at least 0"),
        ("max_abs_diff", -1, "a finite number of at least 0"),
        ("notes", [3], r"Report.notes\[0\] to be a string"),
        ("colour", 1, "'colour', which"),
    ],
)
def test_damaged_json_gets_one_line(report, field, value, message):
    with pytest.raises(InputError, match=message) as caught:
        Report.from_dict({**report.to_dict(), field: value})
    assert "\n" not in str(caught.value)


def test_a_missing_title_is_said():
    values = {"schema": {"name": "tf_wgsef.report", "version": 1}, "variants": []}
    with pytest.raises(InputError, match="every field of a Report .*title"):
        Report.from_dict(values)


@pytest.mark.parametrize(
    "fields",
    [
        {"parameters": -1},
        {"parameters": 1.5},
        {"macs": True},
        {"macs": 10**4000},
        {"file_bytes": "12"},
        {"accuracy": 98.3},
        {"accuracy": math.nan},
        {"latency": {"p50": -3}},
        {"latency": {"p50_us": "fast"}},
        {"latency": {"p50": 3, "unit": "milliseconds"}},
        {"latency": 3},
        {"name": None},
    ],
)
def test_variant_refuses(fields):
    with pytest.raises(InputError, match=r"^Expected .*Received: "):
        Variant(**{"name": "a", "parameters": 1, "macs": 1, **fields})


@pytest.mark.parametrize("key", ["p50", "p50_us"])
def test_variant_reads_either_name_of_the_median(key):
    assert Variant(name="a", parameters=1, macs=1, latency={key: 3}).p50_us == 3


def test_two_variants_of_one_name_are_refused():
    variant = Variant(name="a", parameters=1, macs=1)
    with pytest.raises(InputError, match="each with its own name"):
        Report(title="", variants=(variant, variant))


def test_comparison_of_an_unknown_variant_is_refused(report):
    pair = Comparison(a="dense float", b="magic", ratio=2, low=1, high=3)
    with pytest.raises(InputError, match="'magic'"):
        make_report(comparisons=(pair,))


@pytest.mark.parametrize("fields", [{"ratio": 0}, {"low": 4}, {"high": math.inf}, {"confidence": 95}])
def test_comparison_refuses(fields):
    with pytest.raises(InputError):
        Comparison(**{"a": "a", "b": "b", "ratio": 2, "low": 1, "high": 3, **fields})


@pytest.mark.parametrize(
    ("low", "high", "claims", "differs"),
    [
        (1.1, 1.3, True, True),
        (0.7, 0.9, True, True),
        (0.9, 1.3, True, False),
        (1.0, 1.3, True, False),
        (0.8, 1.0, True, False),
        (1.1, 1.3, False, False),
    ],
)
def test_a_difference_needs_a_claim_and_an_interval_without_1(low, high, claims, differs):
    pair = Comparison(a="a", b="b", ratio=1.2, low=low, high=high, claims_difference=claims)
    assert pair.differs is differs


def test_headline_is_what_was_compared_with_the_baseline(report):
    assert report.headline.name == "stripped float"
    reordered = make_report(variants=[report.variants[index] for index in (0, 2, 1)])
    assert reordered.headline.name == "stripped float"
    assert make_report(comparisons=()).headline.name == "stripped float"
    assert Report(title="", variants=report.variants[:1]).headline is None


def test_layer_row_refuses_text_for_numbers():
    with pytest.raises(InputError, match="LayerRow.macs_after"):
        LayerRow(name="a", kind="b", macs_after="many")
