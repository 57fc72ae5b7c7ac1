"""Stages in sequence: the only place that knows them all.

The names are loaded on first use (PEP 562): to look at a file takes neither Keras nor TensorFlow.
"""

import importlib

_HOMES = {
    "run_demo": "_demo",
    "Deployment": "_deployment",
    "deploy": "_deploy",
    "DeviceFacts": "_device",
    "channel_step": "_device",
    "probe_device": "_device",
    "contents_view": "_file_inspection",
    "inspect_file": "_file_inspection",
    "Inspection": "_inspection",
    "inspect_model": "_inspection",
    "WorkflowProgress": "_progress",
    "TestData": "_report_models",
    "compare_two_models": "_report_models",
    "convert_models": "_report_models",
    "report_models": "_report_models",
    "SparseGain": "_sparse_gain",
    "load_digits_28": "data",
    "lenet5": "networks",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *_HOMES])
