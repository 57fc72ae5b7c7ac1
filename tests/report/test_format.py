import pytest

from tf_wgsef.report import _format


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "–"), (0, "0"), (999, "999"), (1000, "1.00 k"), (9994, "9.99 k"), (9996, "10.0 k"),
     (999_499, "999 k"), (999_600, "1.00 M"), (2_293_000, "2.29 M"), (5e9, "5.00 G"),
     (12e15, "12000 T")],
)  # fmt: skip
def test_count(value, expected):
    assert _format.count(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "–"), (812, "812 B"), (112_904, "113 kB"), (1_729_512, "1.73 MB")],
)
def test_size(value, expected):
    assert _format.size(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, "–"), (0.3, "0.30 µs"), (5.3, "5.30 µs"), (54.24, "54.2 µs"), (1240, "1.24 ms"),
     (999.7, "1.00 ms"), (2e6, "2.00 s"), (3e9, "3000 s")],
)  # fmt: skip
def test_duration(value, expected):
    assert _format.duration(value) == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [(100, 8.4, "−91.6 %"), (100, 150, "+50.0 %"), (100, 100, "±0.0 %"), (100, 0, "−100.0 %"),
     (1_000_000, 1, "−99.99 %"), (10_000, 4, "−99.96 %"), (0, 5, ""), (None, 5, ""), (5, None, "")],
)  # fmt: skip
def test_change(before, after, expected):
    assert _format.change(before, after) == expected


def test_points():
    assert _format.points(0.9833, 0.9806) == "−0.27 points"
    assert _format.points(0.98, 0.98) == "±0.00 points"
    assert _format.points(None, 0.98) == ""


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(5.21, "5.2× faster"), (1.042, "1.04× faster"), (0.5, "2.0× slower"), (0.8, "1.25× slower"),
     (120.4, "120× faster")],
)  # fmt: skip
def test_speed_up(ratio, expected):
    assert _format.speed_up(ratio) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("conv/1", "conv/1"), ("a\x1b[31mb", "a\\x1b[31mb"), ("a\nb\tc", "a b c"),
     ("a\u202eb", "a\\u202eb"), ("\ud800", "\\ud800"), ("a\x00", "a\\x00"), ("層 é", "層 é")],
)  # fmt: skip
def test_clean(name, expected):
    assert _format.clean(name) == expected


def test_ascii_text_keeps_meaning():
    assert _format.ascii_text("5.2× −91.6 % µs 20 → 5 é") == "5.2x -91.6 % us 20 -> 5 \\xe9"


def test_clean_is_what_strip_reports_with():
    import keras

    import tf_wgsef

    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(3, name="a\x1b[2J"), keras.layers.Dense(1)]
    )
    assert "\x1b" not in tf_wgsef.strip(model).report()
