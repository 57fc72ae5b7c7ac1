"""Devices on one page: a table for each, the picture, and how it was measured."""

from collections.abc import Mapping, Sequence

from tf_wgsef.report import _format
from tf_wgsef.report._device_latency import DeviceLatency, FileLatency
from tf_wgsef.report._device_latency_plot import render_devices_png
from tf_wgsef.report._page import data_address, render_page

_TIMES = ("p50", "p90", "p95", "p99", "min", "max", "mean", "std", "load", "first_invoke")
_FACTS = ("delegate", "sha256", "file_bytes", "date")


def render_devices_html(
    devices: Sequence[DeviceLatency],
    *,
    title: str,
    facts: Mapping[str, object],
    failed: Mapping[str, str] | None = None,
) -> str:
    """Returns the page as text, with its pictures inside.

    Args:
        devices: what was measured, at least one.
        title: of the page.
        facts: what the reader must know to trust it: the command, versions.
        failed: why a device measured nothing, by its name.

    Example:
        ``render_devices_html(devices, title="dense against small", facts={"command": "tf-wgsef ..."})``
    """
    pictures = [
        ("(prefers-color-scheme: dark)", data_address(render_devices_png(devices, dark=True))),
        ("", data_address(render_devices_png(devices))),
    ]
    accurate = any(file.accuracy is not None for device in devices for file in device.files)
    headers = ["File", *(name.replace("_", " ") for name in _TIMES), "runs"] + ["accuracy"] * accurate
    return render_page(
        "devices.html",
        title=_format.clean(title),
        headers=headers,
        devices=[
            {
                "target": _format.clean(device.target),
                "device": _format.clean(device.device),
                "rows": [_cells(file, accurate) for file in device.files],
                "notes": [_format.clean(note) for note in device.notes],
                "facts": _facts(device),
                "operators": [
                    (_format.clean(file.name), [_operator(one) for one in file.operators])
                    for file in device.files
                    if file.operators
                ],
            }
            for device in devices
        ],
        failed={_format.clean(name): _format.clean(why) for name, why in (failed or {}).items()},
        pictures=pictures,
        facts={_format.clean(key): _format.plain(value) for key, value in facts.items()},
    )


def _cells(file: FileLatency, accurate: bool) -> list[str]:
    times = [_format.duration(file.latency[name]) for name in _TIMES]
    cells = [_format.clean(file.name), *times, _format.plain(file.latency["runs"])]
    return cells + [_format.percent(file.accuracy)] * accurate


def _facts(device: DeviceLatency) -> dict[str, str]:
    """What else is known: of the machine, of the conditions, and of each file."""
    machine = device.files[0].latency["machine"]
    found = {"system": _format.clean(machine["os"]), "governor": _format.clean(machine["governor"])}
    found |= {_format.clean(key): _format.clean(text) for key, text in device.facts.items()}
    for file in device.files:
        words = {name.replace("_", " "): file.latency[name] for name in _FACTS}
        found[_format.clean(file.name)] = _format.plain(words)
    return found


def _operator(one: tuple[str, str, float, float]) -> list[str]:
    kind, name, microseconds, share = one
    return [
        _format.clean(kind),
        _format.clean(name),
        _format.duration(microseconds),
        _format.percent(share, 1),
    ]
