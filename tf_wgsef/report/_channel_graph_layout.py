"""Where the boxes of a diagram stand and how its edges run; in points, y downwards, nothing drawn."""

import dataclasses
from collections.abc import Sequence

from tf_wgsef.errors import InputError

Point = tuple[float, float]

_OPTIONS = {
    "direction": "topbottom",
    "spacing": {"layer_gap": 22.0, "node_gap": 30.0, "dummy_gap": 16.0, "port_gap": 20.0, "stub": 10.0},
    "routing": {"style": "orthogonal"},
}
# A picture that would be taller than this continues in columns beside, of about this shape.
_TALLEST = 1600.0
_COLUMNS = {"wrap": {"viewport_aspect": 1.0}, "tuning": {"wrap": {"max_rows": 6}}}


@dataclasses.dataclass(frozen=True)
class Rectangle:
    """A box's place: its upper left corner and its size."""

    x: float
    y: float
    width: float
    height: float

    def inset(self, by: float) -> "Rectangle":
        """Returns the rectangle whose borders lie ``by`` inside these."""
        return Rectangle(self.x + by, self.y + by, self.width - 2 * by, self.height - 2 * by)


@dataclasses.dataclass(frozen=True)
class Layout:
    """Places of boxes and edges.

    Attributes:
        boxes: one rectangle per box.
        routes: per edge, the corners of its line, from border to border.
        width: of all together.
        height: of all together.
    """

    boxes: tuple[Rectangle, ...]
    routes: tuple[tuple[Point, ...], ...]
    width: float
    height: float

    def moved(self, right: float, down: float) -> "Layout":
        """Returns the same layout elsewhere."""
        return dataclasses.replace(
            self,
            boxes=tuple(dataclasses.replace(box, x=box.x + right, y=box.y + down) for box in self.boxes),
            routes=tuple(tuple((x + right, y + down) for x, y in route) for route in self.routes),
        )


def place_boxes(sizes: Sequence[Point], edges: Sequence[tuple[int, int]]) -> Layout:
    """Lays out boxes in layers from top to bottom; edges run around the boxes between.

    Args:
        sizes: (width, height) per box.
        edges: (from, to) as indices of boxes.

    Raises:
        InputError: if the library that does this is not installed.

    Example:
        >>> layout = place_boxes([(80, 20), (80, 20)], [(0, 1)])
        >>> layout.boxes[0].y < layout.boxes[1].y
        True
    """
    graphlay = load_library()
    graph = graphlay.Graph()
    for place, (width, height) in enumerate(sizes):
        graph.node(place, width=width, height=height)
    for source, target in edges:
        graph.edge(source, target)
    found = graphlay.layout(graph, options=_OPTIONS)
    if found.bounds["max"]["y"] - found.bounds["min"]["y"] > _TALLEST:
        found = graphlay.layout(graph, options={**_OPTIONS, **_COLUMNS})
    low, high = found.bounds["min"], found.bounds["max"]
    boxes = tuple(
        Rectangle(
            node["center"]["x"] - size[0] / 2 - low["x"], node["center"]["y"] - size[1] / 2 - low["y"], *size
        )
        for node, size in zip(found.nodes, sizes, strict=True)
    )
    routes = tuple(
        tuple((point["x"] - low["x"], point["y"] - low["y"]) for point in edge["points"])
        for edge in found.edges
    )
    return Layout(boxes, routes, high["x"] - low["x"], high["y"] - low["y"])


def load_library():
    """Returns the module that lays graphs out.

    Raises:
        InputError: if it is not installed.
    """
    try:
        import graphlay
    except ImportError as error:
        raise InputError(
            "Expected the package graphlay, which lays out the picture of a channel graph. It is not "
            "installed. Run: pip install 'tf-wgsef[graph]'"
        ) from error
    return graphlay
