"""The picture of a channel graph: what it says, and that boxes, lines and text keep clear of each other."""

import itertools
import re
import sys
import xml.etree.ElementTree as ElementTree

import keras
import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import FancyBboxPatch

from tests import models
from tf_wgsef.errors import InputError
from tf_wgsef.graph import build_channel_graph
from tf_wgsef.report import plot_channel_graph
from tf_wgsef.report._channel_graph_boxes import read_diagram
from tf_wgsef.report._channel_graph_card import make_cards, set_letters
from tf_wgsef.report._channel_graph_layout import place_boxes
from tf_wgsef.report._channel_graph_plot import _draw
from tf_wgsef.report._channel_graph_shapes import BARRIER, Pen
from tf_wgsef.report._theme import Theme

pytest.importorskip("graphlay")
pytestmark = pytest.mark.filterwarnings("error")

BIG = {
    "ResNet50": lambda: keras.applications.ResNet50(weights=None, input_shape=(32, 32, 3)),
    "EfficientNetB0": lambda: keras.applications.EfficientNetB0(weights=None, input_shape=(32, 32, 3)),
    "InceptionV3": lambda: keras.applications.InceptionV3(weights=None, input_shape=(75, 75, 3)),
}


@pytest.fixture(params=models.ALL)
def graph(request):
    return build_channel_graph(models.ALL[request.param]())


def every_second(graph):
    """Keeps the channels with even ids, pinned ones too: enough for a picture."""
    return {key: ids % 2 == 0 for key, ids in graph.ids.items()}


def written(graph, folder, **options):
    """The text of the picture, piece by piece, after a strict XML parser has read it."""
    plot_channel_graph(graph, folder / "graph.svg", **options)
    root = ElementTree.parse(folder / "graph.svg").getroot()  # noqa: S314  written just now
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return [text.strip() for text in root.itertext() if text.strip()]


def arranged(diagram):
    cards = make_cards(diagram.boxes)
    return place_boxes([(card.width, card.height) for card in cards], diagram.edges)


def inside(segment, box, slack=0.01):
    """Whether a horizontal or vertical segment enters a box."""
    (x0, y0), (x1, y1) = segment
    return (
        min(x0, x1) < box.x + box.width - slack
        and max(x0, x1) > box.x + slack
        and min(y0, y1) < box.y + box.height - slack
        and max(y0, y1) > box.y + slack
    )


def check_geometry(diagram):
    layout = arranged(diagram)
    boxes = layout.boxes
    for one, other in itertools.combinations(boxes, 2):
        apart_x = one.x + one.width <= other.x - 8 or other.x + other.width <= one.x - 8
        apart_y = one.y + one.height <= other.y - 8 or other.y + other.height <= one.y - 8
        assert apart_x or apart_y
    for (source, target), route in zip(diagram.edges, layout.routes, strict=True):
        for segment in itertools.pairwise(route):
            assert segment[0][0] == pytest.approx(segment[1][0]) or segment[0][1] == pytest.approx(
                segment[1][1]
            )
            assert not any(inside(segment, box) for box in boxes)
        (x0, y0), (x1, y1) = route[0], route[-1]
        assert boxes[source].x < x0 < boxes[source].x + boxes[source].width
        assert y0 == pytest.approx(boxes[source].y + boxes[source].height)
        assert boxes[target].x < x1 < boxes[target].x + boxes[target].width
        assert y1 == pytest.approx(boxes[target].y)
    for box in boxes:
        assert box.x >= -0.01 and box.x + box.width <= layout.width + 0.01
        assert box.y >= -0.01 and box.y + box.height <= layout.height + 0.01
    return layout


def check_text_fits(diagram):
    """No text leaves its box, and no two texts overlap, as drawn."""
    figure = _draw(diagram)
    figure.set_dpi(130)
    renderer = figure.canvas.get_renderer()
    axes = figure.axes[0]
    frames = [patch.get_window_extent(renderer) for patch in axes.patches if type(patch) is FancyBboxPatch]
    texts = [(text.get_text(), text.get_window_extent(renderer)) for text in axes.texts if text.get_text()]
    for (one, a), (other, b) in itertools.combinations(texts, 2):
        wide = min(a.x1, b.x1) - max(a.x0, b.x0)
        high = min(a.y1, b.y1) - max(a.y0, b.y0)
        # Lines of text stand close: letters below the line of one reach to tall ones of the next.
        assert wide <= 0 or high <= 0.3 * min(a.height, b.height), (one, other)
    for text, place in texts:
        assert place.x0 >= 0 and place.x1 <= figure.bbox.width, text
        around = [f for f in frames if f.x0 <= place.x0 <= f.x1 and f.y0 <= place.y0 <= f.y1]
        assert all(place.x1 <= frame.x1 for frame in around), text


def box_colours(diagram):
    """{layer name: colour of its box's border} as drawn."""
    axes = _draw(diagram).axes[0]
    found = {}
    for box in diagram.boxes:
        (name,) = [text for text in axes.texts if text.get_text() == box.name]
        x, y = name.get_position()
        frame = min(
            (p for p in axes.patches if type(p) is FancyBboxPatch and p.get_x() < x and p.get_y() < y),
            key=lambda p: (x - p.get_x()) ** 2 + (y - p.get_y()) ** 2,
        )
        found[box.name] = to_hex(frame.get_edgecolor())
    return found


@pytest.mark.parametrize("name", models.ALL)
def test_svg_names_every_layer(name, tmp_path):
    graph = build_channel_graph(models.ALL[name]())
    words = re.split(r"[\s]+", " ".join(written(graph, tmp_path, keeps=every_second(graph))))
    assert {call.name.split()[0] for call in graph.calls} <= set(words)


def test_boxes_lines_and_text_keep_clear_of_each_other(graph):
    diagram = read_diagram(graph, every_second(graph), {one: "a reason " * 12 for one in range(3)})
    layout = check_geometry(diagram)
    check_text_fits(diagram)
    assert sum(1 + len(box.folded) for box in diagram.boxes) == len(graph.calls)
    assert len(layout.boxes) <= len(graph.calls)


@pytest.mark.slow
@pytest.mark.parametrize("name", BIG)
def test_big_models_stay_readable(name, tmp_path):
    graph = build_channel_graph(BIG[name]())
    diagram = read_diagram(graph, every_second(graph))
    layout = check_geometry(diagram)
    assert len(diagram.boxes) < 0.65 * len(graph.calls)
    assert 0.3 < layout.width / layout.height < 3
    check_text_fits(diagram)
    names = set(written(graph, tmp_path, keeps=every_second(graph)))
    assert {box.name for box in diagram.boxes} <= names
    plot_channel_graph(graph, tmp_path / "graph.png")
    assert 10**5 < (tmp_path / "graph.png").stat().st_size < 10**7


def test_skip_connections_run_beside_the_boxes():
    diagram = read_diagram(build_channel_graph(models.residual()))
    names = [box.name for box in diagram.boxes]
    edge = diagram.edges.index((names.index("stem"), names.index("add")))
    layout = arranged(diagram)
    beside = [place for name, place in zip(names, layout.boxes, strict=True) if name in ("inner", "outer")]
    xs = [x for x, _ in layout.routes[edge]]
    assert all(max(xs) > box.x + box.width or min(xs) < box.x for box in beside)


def test_a_long_chain_continues_in_columns():
    sizes, edges = [(160.0, 50.0)] * 100, [(place, place + 1) for place in range(99)]
    layout = place_boxes(sizes, edges)
    assert layout.height < 2500 and len({box.x for box in layout.boxes}) > 2
    assert len({box.x for box in place_boxes(sizes[:12], edges[:11]).boxes}) == 1


def test_coupled_layers_share_a_colour_and_others_do_not():
    diagram = read_diagram(build_channel_graph(models.residual()))
    colours = box_colours(diagram)
    tied = {"stem", "bn_a", "outer", "add", "pool", "flatten"}
    assert len({colours[name] for name in tied}) == 1
    assert colours["stem"] not in {colour for name, colour in colours.items() if name not in tied}
    colours = box_colours(read_diagram(build_channel_graph(models.decoder())))
    assert colours["up_a"] == colours["up_b"] == colours["maximum"]
    assert len({colours[name] for name in ("rescale", "up_a", "side", "after")}) == 4


def test_colours_of_many_sets_differ_and_none_is_a_barriers():
    pen = Pen(Theme.of(False))
    colours = [pen.set_colour(index) for index in [None, *range(200)]] + [BARRIER]
    assert len(set(colours)) == len(colours)
    assert len({set_letters(index) for index in range(2000)}) == 2000


def test_a_concatenation_shows_all_sets_it_carries():
    diagram = read_diagram(build_channel_graph(models.dense_concat()))
    sets = {box.name: dict(box.sets) for box in diagram.boxes}
    assert sets["concat"] == {**sets["left"], **sets["right"]}
    assert sorted(sets["concat"].values()) == [4, 5]
    assert set(sets["left"]) != set(sets["right"])


def test_only_element_wise_layers_share_a_box():
    boxes = {box.name: box for box in read_diagram(build_channel_graph(models.separable())).boxes}
    assert boxes["stem"].folded == ("bn1", "relu1")
    assert boxes["depthwise"].folded == ("bn2", "relu2")
    assert boxes["pointwise"].folded == ()
    boxes = {box.name: box for box in read_diagram(build_channel_graph(models.residual())).boxes}
    assert boxes["stem"].folded == ()  # the shortcut reads it too


def test_a_layer_that_makes_channels_stay_has_a_box_of_its_own():
    layers = [keras.layers.Dense(6), keras.layers.Softmax(name="softmax"), keras.layers.ReLU(name="relu")]
    graph = build_channel_graph(keras.Sequential([keras.Input((4,)), *layers, keras.layers.Dense(2)]))
    (box,) = [box for box in read_diagram(graph).boxes if box.name == "softmax"]
    assert "softmax" in " ".join(graph.pins.values())
    assert box.folded in ((), ("relu",))


def test_counts_of_what_stays_and_goes(tmp_path):
    graph = build_channel_graph(models.lenet())
    keeps = {key: np.ones(len(ids), bool) for key, ids in graph.ids.items()}
    keeps[("conv1", 0, 0)] = np.array([True, False, False, False])
    text = written(graph, tmp_path, keeps=keeps)
    assert "1 of 4" in text and "−3" in text and "6 of 6" in text
    boxes = {box.name: box for box in read_diagram(graph, keeps).boxes}
    assert (boxes["conv1"].kept, boxes["conv1"].channels) == (1, 4)


def test_without_a_plan_nothing_goes(tmp_path):
    text = " ".join(written(build_channel_graph(models.lenet()), tmp_path))
    assert "4 channels" in text and "−" not in text


def test_barriers_and_reasons_are_told(tmp_path):
    class Mystery(keras.layers.Layer):
        def call(self, inputs):
            return inputs * 2.0

    dense = keras.layers.Dense
    layers = [keras.Input((4,)), dense(3, name="before"), Mystery(name="mystery"), dense(5, name="after")]
    graph = build_channel_graph(keras.Sequential([*layers, dense(2)]))
    (reason,) = graph.barriers().values()
    one = int(graph.ids[("after", 0, 0)][0])
    text = " ".join(written(graph, tmp_path, reasons={one: "it is dear to me"}))
    assert f"barrier: {reason}" in text
    assert "all stay: feeds Mystery 'mystery'" in text
    assert "1 stay: it is dear to me" in text
    (barrier,) = [box for box in read_diagram(graph).boxes if box.barrier]
    assert (barrier.name, barrier.stays) == ("mystery", ())


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".SVG", b"<?xml")])
def test_the_suffix_chooses_the_format_and_equal_pictures_are_equal_files(suffix, start, tmp_path):
    graph = build_channel_graph(models.residual())
    for name in "ab":
        plot_channel_graph(graph, tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes().startswith(start)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_global_state_is_untouched(tmp_path):
    settings, pyplot = dict(matplotlib.rcParams), "matplotlib.pyplot" in sys.modules
    plot_channel_graph(build_channel_graph(models.lenet()), tmp_path / "graph.svg")
    assert dict(matplotlib.rcParams) == settings
    assert ("matplotlib.pyplot" in sys.modules) == pyplot


def test_strange_and_long_names(tmp_path):
    name = "<b>&$\\frac{" + "\x1b[2J\u202e層"
    layers = [keras.Input((4,)), keras.layers.Dense(3, name=name), keras.layers.Dense(2, name="x" * 400)]
    graph = build_channel_graph(keras.Sequential(layers, name=name))
    text = " ".join(written(graph, tmp_path))
    assert "<b>&$\\frac{" in text and "\x1b" not in text and "\u202e" not in text
    check_text_fits(read_diagram(graph))
    for suffix in ("png", "pdf"):
        plot_channel_graph(graph, tmp_path / f"graph.{suffix}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("graph.jpg", "ends in .svg, .png or .pdf"),
        ("graph", "ends in .svg"),
        ("no/graph.svg", "a folder that exists"),
        ("taken.svg", "--overwrite"),
        ("folder.svg", "a folder"),
    ],
)
def test_files_that_cannot_be_written(name, message, tmp_path):
    (tmp_path / "taken.svg").write_text("precious")
    (tmp_path / "folder.svg").mkdir()
    graph = build_channel_graph(models.lenet())
    with pytest.raises(InputError, match=message) as error:
        plot_channel_graph(graph, tmp_path / name)
    assert "\n" not in str(error.value)
    assert (tmp_path / "taken.svg").read_text() == "precious"
    assert {path.name for path in tmp_path.iterdir()} == {"taken.svg", "folder.svg"}


def test_overwrite(tmp_path):
    (tmp_path / "taken.svg").write_text("old")
    plot_channel_graph(build_channel_graph(models.lenet()), tmp_path / "taken.svg", overwrite=True)
    assert (tmp_path / "taken.svg").read_bytes().startswith(b"<?xml")


def test_a_missing_library_is_named_with_its_command(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "graphlay", None)
    with pytest.raises(InputError, match=r"pip install 'tf-wgsef\[graph\]'"):
        plot_channel_graph(build_channel_graph(models.lenet()), tmp_path / "graph.svg")
    assert not list(tmp_path.iterdir())
