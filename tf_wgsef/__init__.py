"""Make Keras models small and fast on edge devices without hurting what they compute.

One pipeline, one direction; a folder is a stage::

    keras.Model -> graph -> groups -> training (penalties) -> strip -> convert -> measure -> report

The public names are loaded on first use (PEP 562), so that ``tf_wgsef.measure`` runs on a board
that has NumPy and a LiteRT runtime but neither Keras nor TensorFlow.
"""

import importlib
import importlib.metadata
import sys

_HOMES = {
    "GroupL0": "penalties",
    "GroupL1MinusL2": "penalties",
    "GroupLasso": "penalties",
    "GroupMCP": "penalties",
    "GroupPenalty": "penalties",
    "GroupSCAD": "penalties",
    "GroupTransformedL1": "penalties",
    "WGSEF": "penalties",
    "LayerRule": "rules",
    "register_rule": "rules",
    "profile": "graph",
    "GroupSet": "groups",
    "LatencyTable": "groups",
    "LayerLatency": "groups",
    "build_groups": "groups",
    "custom_groups": "groups",
    "AdaHSPGPlus": "training",
    "ConvMuon": "training",
    "GradualRemoval": "training",
    "HSPG": "training",
    "MixedProx": "training",
    "ProxSGD": "training",
    "SparseProx": "training",
    "GroupTensorBoard": "training",
    "ProximalModel": "training",
    "WGSEFRegularizer": "training",
    "sparsify": "training",
    "StripResult": "strip",
    "strip": "strip",
    "convert": "convert",
    "cluster_weights": "convert.aware",
    "sparse_2_to_4": "convert.aware",
    "train_quantized": "convert.aware",
    "TFLiteFile": "convert",
    "Deployment": "workflows",
    "deploy": "workflows",
    "LatencyComparison": "measure",
    "LatencyStats": "measure",
    "compare_latency": "measure",
    "measure": "measure",
    "measure_accuracy": "measure",
    "Report": "report",
    "save_report": "report",
    "compare_methods": "workflows.compare",
    "calibrate_latency_table": "workflows.latency",
    "measure_latency_table": "workflows.latency",
    "WGSEFError": "errors",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name == "__version__":
        return importlib.metadata.version("tf-wgsef")
    if name in _HOMES:
        home = importlib.import_module(f"{__name__}.{_HOMES[name]}")
        return home if name == _HOMES[name] else getattr(home, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if "keras" in sys.modules:
    # Saved models name our classes, and Keras finds only those that are registered.
    importlib.import_module("tf_wgsef.training")
    importlib.import_module("tf_wgsef.baselines")


def __dir__():
    return sorted([*globals(), *_HOMES, "__version__"])
