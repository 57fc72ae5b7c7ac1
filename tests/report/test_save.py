import base64
import json
import pathlib
import re

import pytest

from tests.report.conftest import make_report
from tf_wgsef.errors import InputError
from tf_wgsef.report import _save, load_report, save_report


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_three_files_and_nothing_else(report, tmp_path):
    written = save_report(report, tmp_path / "a" / "b")
    assert names(tmp_path / "a" / "b") == ["report.html", "report.json", "report.png"]
    assert sorted(written) == names(tmp_path / "a" / "b")
    assert all(path.stat().st_size > 0 for path in written.values())
    assert json.loads(written["report.json"].read_text("utf-8"))["schema"]["version"] == 1
    assert load_report(tmp_path / "a" / "b") == report
    assert load_report(written["report.json"]) == report


def test_the_page_carries_the_picture(report, tmp_path):
    written = save_report(report, tmp_path)
    page = written["report.html"].read_text("utf-8")
    pictures = re.findall(r"data:image/png;base64,([A-Za-z0-9+/=]+)", page)
    assert len(pictures) == 4
    assert base64.b64decode(pictures[-1]) == written["report.png"].read_bytes()


@pytest.fixture
def stand_ins(monkeypatch):
    """Rendering has tests of its own; here only the writing matters."""
    monkeypatch.setattr(_save, "render_html", lambda report: "<html>")
    monkeypatch.setattr(_save, "render_png", lambda report: b"\x89PNG")


def test_saving_again_replaces(stand_ins, tmp_path):
    save_report(make_report(title="old"), tmp_path)
    save_report(make_report(title="new"), tmp_path)
    assert load_report(tmp_path).title == "new"
    assert len(names(tmp_path)) == 3


def test_other_files_of_the_folder_stay(stand_ins, report, tmp_path):
    (tmp_path / "model.keras").write_text("mine")
    save_report(report, tmp_path)
    assert (tmp_path / "model.keras").read_text() == "mine"


def test_a_failed_write_leaves_the_old_files_whole(stand_ins, monkeypatch, tmp_path):
    save_report(make_report(title="old"), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    calls = []

    def full_disk(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(_save.os, "fsync", full_disk)
    with pytest.raises(InputError, match=r"folder=.*No space left on device"):
        save_report(make_report(title="new"), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_interrupt_leaves_the_old_files_whole(stand_ins, monkeypatch, tmp_path):
    save_report(make_report(title="old"), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(_save.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_report(make_report(title="new"), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_failed_rendering_makes_no_folder(stand_ins, monkeypatch, report, tmp_path):
    def fail(report):
        raise RuntimeError("no font")

    monkeypatch.setattr(_save, "render_png", fail)
    with pytest.raises(RuntimeError):
        save_report(report, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_file_in_the_place_of_the_folder(stand_ins, report, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="Expected a folder that can be written"):
        save_report(report, tmp_path / "file")


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"\xff\xfe", b"\x89PNG", b"[" * 100_000, b"NaN", b"[]", b"{}", b'{"a": 1}'],
)
def test_what_is_no_report_gets_one_line(tmp_path, content):
    file = tmp_path / "report.json"
    file.write_bytes(content)
    with pytest.raises(InputError, match="Expected") as caught:
        load_report(file)
    assert "\n" not in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_report_nested_too_deeply_gets_one_line(report, tmp_path):
    text = json.dumps({**report.to_dict(), "environment": {"a": "HERE"}})
    deep = "[" * 400 + "]" * 400
    (tmp_path / "report.json").write_text(text.replace('"HERE"', deep))
    try:
        load_report(tmp_path)
    except InputError as error:
        assert "\n" not in str(error)


def test_a_missing_file_gets_one_line(tmp_path):
    with pytest.raises(InputError, match=r"path=.*No such file.*tf-wgsef demo"):
        load_report(tmp_path / "none")
    assert not pathlib.Path(tmp_path / "none").exists()
