"""The picture of a comparison: whatever the methods are called and cost, each is named and none is lost."""

import math

import matplotlib
import pytest
from matplotlib.colors import to_hex

from tf_wgsef.report import method_rows
from tf_wgsef.report._methods_plot import methods_figure
from tf_wgsef.report._theme import Theme, style

pytestmark = pytest.mark.filterwarnings("error")


def run(method, level=0.5, **figures):
    return {"method": method, "level": level, "seed": 0, "accuracy": 0.9, "macs": 1000, **figures}


def drawn(runs):
    """The figure, with everything in its place."""
    runs = [{"strength": None, **one} for one in runs]
    with matplotlib.rc_context(style(Theme.of(False))):
        figure = methods_figure(method_rows(runs), Theme.of(False))
        figure.canvas.draw()
    return figure


def names(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()] if figure.legends else []


@pytest.mark.parametrize(
    ("methods", "shown"),
    [
        (["_hidden", "__"], [" _hidden", " __"]),  # what begins with a _ matplotlib leaves out
        (["a$b$c", "$\\frac{1"], [r"a\$b\$c", r"\$\frac{1"]),
        (["", "a\nb\x1b"], ["–", r"a b\x1b"]),
        (["m" * 60 + ", λ=0.1", "m" * 60 + ", λ=0.2"], [f"{'m' * 27}…mmmmm, λ=0.{end}" for end in "12"]),
        (["x" * 39 + "$y"], ["x" * 27 + "…" + "x" * 10 + r"\$y"]),
    ],
    ids=["underscore", "dollar", "empty", "long", "cut at a dollar"],
)
def test_every_method_is_named(methods, shown):
    assert names(drawn([run(method) for method in methods])) == shown


@pytest.mark.parametrize("latency", [{}, {"latency_us": 5.0}])
def test_forty_methods_are_all_inside_the_picture_and_leave_the_plots_their_height(latency):
    figure = drawn([run(f"method number {number} with a long name", **latency) for number in range(40)])
    legend, picture = figure.legends[0].get_window_extent(), figure.bbox
    assert len(names(figure)) == 40
    assert legend.x0 >= 0 and legend.x1 <= picture.x1 and legend.y0 >= 0
    assert all(axes.get_window_extent().height > 2 * figure.dpi for axes in figure.axes)


@pytest.mark.parametrize("macs", [0, -1, math.nan, math.inf])
def test_a_cost_that_has_no_place_on_an_axis_of_logarithms_is_left_out(macs):
    figure = drawn([run("a", macs=macs), run("b"), run("b", level=0.75, macs=300)])
    assert names(figure) == ["b"]
    least, most = figure.axes[0].get_xlim()
    assert least > 100 and most < 3000
    assert names(drawn([run("a", macs=macs)])) == []


def test_a_method_without_latency_does_not_shift_the_colours_of_the_others():
    figure = drawn([run("a"), run("b", latency_us=5.0), run("c", latency_us=7.0)])
    first, second = ([to_hex(bars[0].get_color()) for bars in axes.containers] for axes in figure.axes)
    assert len(first) == 3 and second == first[1:]


@pytest.mark.parametrize("macs", [1000, 3000])
def test_there_is_a_number_at_the_axis_of_a_single_run(macs):
    axes = drawn([run("a", macs=macs)]).axes[0]
    least, most = axes.get_xlim()
    assert least < macs < most and any(least <= tick <= most for tick in axes.get_xticks())


def test_no_run_is_said():
    assert [text.get_text() for text in drawn([]).axes[0].texts] == ["no run yet"]
