"""A report on disk: written whole or not at all, and refused on reading if it is something else."""

import json
import os
import secrets
from pathlib import Path

from tf_wgsef.errors import InputError
from tf_wgsef.report._html import render_html
from tf_wgsef.report._plot import render_png
from tf_wgsef.report._values import Report

JSON_NAME = "report.json"
HTML_NAME = "report.html"
PNG_NAME = "report.png"


def render_json(report: Report) -> str:
    """Returns the report as one JSON object, strict: what is not finite is null.

    Args:
        report: the values.
    """
    return json.dumps(report.to_dict(), ensure_ascii=False, allow_nan=False, indent=2) + "\n"


def save_report(report: Report, folder: str | Path) -> dict[str, Path]:
    """Writes report.json, report.html and report.png into ``folder``, which is made if missing.

    All three are rendered before the first is written, and each file replaces an older one in one
    step: whatever fails, an older file stays whole and no temporary file stays behind.

    Args:
        report: the values.
        folder: where to write.

    Returns:
        File name → path of what was written.

    Raises:
        InputError: if the folder cannot be made or written.

    Example:
        >>> sorted(save_report(report, "out"))
        ['report.html', 'report.json', 'report.png']
    """
    folder = Path(folder)
    contents = {
        JSON_NAME: _encoded(render_json(report)),
        HTML_NAME: _encoded(render_html(report)),
        PNG_NAME: render_png(report),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace_all(folder, contents)
    except OSError as error:
        raise InputError(
            f"Expected a folder that can be written. Received: folder={str(folder)!r} "
            f"({error.strerror or error}). Pass another folder."
        ) from error
    return {name: folder / name for name in contents}


def load_report(path: str | Path) -> Report:
    """Reads a report.json, or the one in a folder.

    Args:
        path: the file, or the folder that :func:`save_report` wrote.

    Raises:
        InputError: if it cannot be read, or is no report of this package and version.

    Example:
        >>> _ = save_report(report, "out")
        >>> load_report("out").headline.name
        'stripped float'
    """
    path = Path(path)
    file = path / JSON_NAME if path.is_dir() else path
    try:
        return Report.from_dict(json.loads(file.read_bytes()))
    except InputError as error:
        raise InputError(f"{file}: {error}") from error
    except OSError as error:
        raise InputError(
            f"Expected a {JSON_NAME} or its folder. Received: path={str(path)!r} "
            f"({error.strerror or error}). Run `tf-wgsef demo` to make one."
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"Expected a {JSON_NAME}. Received: path={str(path)!r}, which is no JSON "
            f"({error}). Pass the file that save_report wrote."
        ) from error


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _replace_all(folder: Path, contents: dict[str, bytes]) -> None:
    staged = {}
    try:
        for name, data in contents.items():
            staged[name] = folder / f".{name}.{secrets.token_hex(8)}.tmp"
            with staged[name].open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for name, temporary in staged.items():
            temporary.replace(folder / name)
    finally:
        for temporary in staged.values():
            temporary.unlink(missing_ok=True)
