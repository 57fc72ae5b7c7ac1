import struct
import sys
import zlib

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.report.conftest import make_report
from tf_wgsef.report import LayerRow, Report, Variant, render_figure, render_png
from tf_wgsef.report._plot import _label

pytestmark = pytest.mark.filterwarnings("error")


def png_size(data):
    """Checks the signature and each chunk's CRC, as a strict reader would; returns the size."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, kinds = 8, []
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        body = data[at + 4 : at + 8 + length]
        assert struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0] == zlib.crc32(body)
        kinds.append(body[:4])
        at += 12 + length
    assert kinds[0] == b"IHDR"
    assert kinds[-1] == b"IEND"
    return struct.unpack(">II", data[16:24])


def test_png_is_valid_and_of_plausible_size(report):
    data = render_png(report)
    width, height = png_size(data)
    assert 1000 < width < 2500
    assert 400 < height < 2500
    assert 20_000 < len(data) < 1_000_000


def test_tall_is_taller_than_wide(report):
    width, height = png_size(render_png(report, tall=True))
    assert height > width


def test_it_is_not_an_empty_sheet(report):
    figure = render_figure(report)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3].reshape(-1, 3)
    colours, counts = np.unique(pixels, axis=0, return_counts=True)
    blue = counts[(colours == (0x00, 0x72, 0xB2)).all(axis=1)]
    assert blue.sum() > 0.01 * len(pixels)


def test_global_state_is_untouched(report):
    settings = dict(matplotlib.rcParams)
    pyplot = "matplotlib.pyplot" in sys.modules
    render_png(report, dark=True)
    assert dict(matplotlib.rcParams) == settings
    assert ("matplotlib.pyplot" in sys.modules) == pyplot


def test_user_settings_do_not_leak_in(report):
    expected = render_png(report)
    with matplotlib.rc_context({"text.usetex": True, "axes.facecolor": "red", "font.size": 30}):
        assert render_png(report) == expected


def bars(axes):
    return [patch.get_width() for patch in axes.patches]


def test_bars_are_per_cent_of_the_baseline(report):
    axes = render_figure(report).axes[0]
    base = report.variants[0]
    expected = [
        100 * value(variant) / value(base)
        for value in (
            lambda v: v.parameters,
            lambda v: v.macs,
            lambda v: v.file_bytes,
            lambda v: v.latency["p50"],
        )
        for variant in report.variants
    ]
    assert bars(axes) == pytest.approx(expected)


def test_layer_bars_are_the_share_that_is_kept(report):
    axes = next(x for x in render_figure(report).axes if "Channels" in x.get_title(loc="left"))
    assert bars(axes) == pytest.approx([100, 100, 25, 100])
    assert [text.get_text() for text in axes.texts] == ["5 of 20", "10 of 10"]


def test_speed_up_only_where_claimed(report):
    texts = [text.get_text() for text in render_figure(report).axes[0].texts]
    assert sum("faster" in text for text in texts) == 1
    texts = render_figure(make_report(comparisons=())).axes[0].texts
    assert not any("faster" in text.get_text() for text in texts)


def test_hostile_names_draw_without_a_warning(hostile_report):
    for tall in (False, True):
        assert min(png_size(render_png(hostile_report, tall=tall))) > 100


def test_a_model_of_many_layers_and_variants():
    layers = [
        LayerRow(name=f"block_{i}", kind="Conv2D", channels_before=64, channels_after=64 - i % 60)
        for i in range(150)
    ]
    variants = [
        Variant(name=f"variant of a long name {i}", parameters=9 - i, macs=9, accuracy=0.5) for i in range(9)
    ]
    report = Report(title="big", variants=variants, layers=layers)
    for tall in (False, True):
        assert max(png_size(render_png(report, tall=tall))) < 4000


@pytest.mark.parametrize(
    "fields",
    [
        {"variants": [Variant(name="a", parameters=0, macs=0)]},
        {"variants": [Variant(name="a", parameters=0, macs=0, accuracy=0.0)]},
        {"history": {"loss": [float("nan"), 2.0, 1.0], "live_groups": [3]}},
        {"history": {"live": [3, 2]}},
        {"history": {"loss": []}},
    ],
)
def test_little_to_draw(fields):
    variants = [Variant(name="a", parameters=5, macs=0)]
    assert min(png_size(render_png(Report(**{"title": "t", "variants": variants, **fields})))) > 100


def test_label_escapes_formulas_and_shortens():
    assert _label("a$b$c") == "a\\$b\\$c"
    assert _label("x" * 100, 10) == "x" * 9 + "…"
    assert _label("層") == "□"


def test_figure_is_given_for_other_formats(report):
    assert isinstance(render_figure(report), Figure)
