import html.parser
import re

import pytest

from tests.report.conftest import make_report
from tf_wgsef.report import Comparison, Report, Variant, _html, render_html

VOID = {"meta", "img", "source", "br", "link", "input", "hr"}


class Page(html.parser.HTMLParser):
    """Keeps tags, attributes and text, and checks that every tag is closed in its order."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(autouse=True)
def one_small_picture(monkeypatch):
    """The pictures have tests of their own; here one pixel's worth is enough."""
    monkeypatch.setattr(_html, "render_png", lambda report, **options: b"\x89PNG")


def test_it_parses_and_every_tag_is_closed(report):
    page = Page(render_html(report))
    assert page.open == []
    assert page.tags[0] == "html"
    assert page.tags.count("h1") == 1


def test_no_external_references(report, hostile_report):
    for source in (render_html(report), render_html(hostile_report)):
        page = Page(source)
        assert not {"script", "link", "iframe", "object", "base", "form"} & set(page.tags)
        for tag, name, value in page.attributes:
            assert not name.startswith("on")
            if name in ("src", "srcset", "href"):
                assert value.startswith("data:image/png;base64,"), (tag, name)
        assert not re.search(r"""(src|href|srcset)\s*=\s*["']?\s*(https?:)?//""", source)
        assert not re.search(r"url\(|@import", source)


def test_the_page_forbids_itself_requests(report):
    policy = [v for t, n, v in Page(render_html(report)).attributes if t == "meta" and n == "content"]
    assert any("default-src 'none'" in value for value in policy)


def test_what_comes_from_a_file_is_escaped(hostile_report):
    source = render_html(hostile_report)
    page = Page(source)
    assert "script" not in page.tags
    assert "<script" not in source
    assert "<script>alert(1)</script>[red]x[/red]$\\frac{" in page.text
    assert "\x1b" not in source
    assert "\u202e" not in source


def test_attributes_cannot_be_left():
    name = '"><img src=x onerror=alert(1)>'
    report = Report(
        title=name,
        variants=(Variant(name=name, parameters=1, macs=1, latency={name: 1, "p50": 2}),),
        environment={name: name},
    )
    page = Page(render_html(report))
    assert page.tags.count("img") == 1


def test_numbers_of_the_totals_are_the_values(report):
    text = Page(render_html(report)).text
    for value in ("431 k", "27.0 k", "2.29 M", "193 k", "1.73 MB", "113 kB", "54.2 µs", "10.4 µs"):
        assert value in text
    for change in ("−93.7 %", "−91.6 %", "−93.5 %", "5.2× faster", "−0.27 points"):
        assert change in text


def test_every_section_of_a_full_report(report):
    text = Page(render_html(report)).text
    for expected in (
        "stripped float against dense float",
        "0.970 – 1.010",
        "no difference shown",
        "stays: it is the output",
        "Seed 0.",
        "ai-edge-litert 2.1.6",
        "machine cpu",
        "20 values, see report.json",
        "keras 3.15.1",
        "1.4e-08 of the output range",
        "Accuracy on 360 digits",
    ):
        assert expected in text


def test_what_is_missing_leaves_no_empty_section():
    report = Report(title="t", variants=(Variant(name="a", parameters=1, macs=1),))
    page = Page(render_html(report))
    assert page.open == []
    for absent in ("Layers", "Notes", "Latency compared", "How latency was measured"):
        assert absent not in page.text
    assert "–" in page.text


def test_no_speed_up_where_the_interval_contains_1():
    pair = Comparison(a="dense float", b="stripped float", ratio=1.3, low=0.9, high=1.7)
    text = Page(render_html(make_report(comparisons=(pair,), explanation=()))).text
    assert "faster" not in text
    assert "1.300" in text


def test_lone_surrogates_do_not_break_the_page():
    report = make_report(notes=("\ud800",), environment={"path": "\udcff"})
    assert b"udcff" in render_html(report).encode("utf-8")
