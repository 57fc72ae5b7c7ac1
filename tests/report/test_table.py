import io
import re

import pytest
from rich.console import Console

from tests.report.conftest import HOSTILE, make_report
from tf_wgsef.report import Comparison, Report, Variant, render_table


def printed(report, width=100, encoding="utf-8"):
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    Console(file=file, width=width, force_terminal=False).print(render_table(report))
    file.flush()
    return raw.getvalue().decode(encoding)


def cells(line):
    return re.split(r"\s{2,}", line.strip())


def number(text):
    """Reads "27.0 k", "113 kB", "10.4 µs", "98.06 %" back as (number, relative precision)."""
    value, _, unit = text.partition(" ")
    scale = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "%": 0.01, "µ": 1, "m": 1e3, "B": 1}
    return float(value) * scale[unit[:1]]


def test_every_number_of_the_variants_is_the_value(report):
    lines = printed(report).splitlines()
    for variant in report.variants:
        line = next(line for line in lines if line.strip().startswith(variant.name + "  "))
        expected = [
            variant.parameters,
            variant.macs,
            variant.file_bytes,
            variant.latency["p50"],
            variant.accuracy,
        ]
        for text, value in zip(cells(line)[1:], expected, strict=True):
            if value is None:
                assert text == "–"
            else:
                assert number(text) == pytest.approx(value, rel=5e-3)


def test_every_change_of_the_variants_is_recomputed(report):
    lines = printed(report).splitlines()
    at = next(i for i, line in enumerate(lines) if line.strip().startswith("stripped float  "))
    base, small = report.variants[:2]
    parameters, macs, size, latency, accuracy = cells(lines[at + 1])
    for text, attribute in [(parameters, "parameters"), (macs, "macs"), (size, "file_bytes")]:
        share = getattr(small, attribute) / getattr(base, attribute) - 1
        assert text == f"−{-100 * share:.1f} %"
    assert latency == "5.2× faster"
    assert accuracy == "−0.27 points"


def test_every_number_of_the_layers_is_the_value(report):
    lines = printed(report, width=90).splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip().startswith("Layer"))
    for layer in report.layers:
        line = next(x for x in lines[start:] if x.strip().startswith(f"{layer.name}  "))
        name, kind, channels, parameters, macs = cells(line)
        assert (name, kind) == (layer.name, layer.kind)
        for text, field in [(channels, "channels"), (parameters, "parameters"), (macs, "macs")]:
            before = getattr(layer, f"{field}_before")
            after = getattr(layer, f"{field}_after")
            if before is None:
                assert text == "–"
                continue
            parts = [number(part) for part in text.split(" → ")]
            assert parts[0] == pytest.approx(before, rel=5e-3)
            assert parts[-1] == pytest.approx(after, rel=5e-3)
    total = next(line for line in lines[start:] if line.strip().startswith("Total  "))
    _, _, parameters, macs = cells(total)
    assert parameters == "5.53 k → 1.39 k"
    assert macs == "293 k → 73.2 k"


def test_a_wide_terminal_shows_the_change_of_each_layer(report):
    assert "288 k → 72.0 k  −75.0 %" in printed(report, width=120)


@pytest.mark.parametrize("width", [32, 40, 60, 78, 100, 200])
def test_no_line_is_wider_than_the_terminal(report, width):
    text = printed(report, width=width)
    assert max(map(len, text.splitlines())) <= width
    for value in ("431 k", "27.0 k", "2.29 M", "54.2 µs", "98.06 %"):
        assert value in text


def test_no_speed_up_where_the_interval_contains_1():
    pair = Comparison(a="dense float", b="stripped float", ratio=1.3, low=0.9, high=1.7)
    text = printed(make_report(comparisons=(pair,), explanation=()))
    assert "faster" not in text
    assert "slower" not in text
    assert "no difference shown" in text


def test_no_speed_up_without_a_comparison():
    text = printed(make_report(comparisons=(), explanation=()))
    assert "faster" not in text


def test_missing_values_show_as_a_dash():
    report = Report(
        title="t",
        variants=(
            Variant(name="dense", parameters=1, macs=2),
            Variant(name="small", parameters=1, macs=2, accuracy=0.5),
        ),
    )
    lines = printed(report).splitlines()
    dense = next(line for line in lines if line.strip().startswith("dense"))
    assert cells(dense) == ["dense", "1", "2", "–", "–", "–"]
    small = next(line for line in lines if line.strip().startswith("small"))
    assert cells(small) == ["small", "1", "2", "–", "–", "50.00 %"]


def test_names_show_literally(hostile_report):
    text = printed(hostile_report, width=400)
    assert HOSTILE in text
    assert "\x1b" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize("width", [50, 100])
def test_a_terminal_without_unicode(hostile_report, report, width):
    printed(hostile_report, width, "ascii")
    text = printed(report, width, "ascii")
    assert "5.2x faster" in text
    assert "-93.7 %" in text


def test_reasons_proof_and_notes_are_there(report):
    text = printed(report, width=200)
    assert "fc: stays: it is the output" in text
    assert "3.3e-07, that is 1.4e-08 of the output range 24.1" in text
    assert "Seed 0." in text
    assert "MACs fell 11.9×, latency 5.2×." in text
