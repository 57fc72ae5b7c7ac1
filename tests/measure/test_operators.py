"""Times per operator of LiteRT's profiler: its real output, and where it cannot run."""

import contextlib
import io
import json
import pathlib
import sys

import keras
import pytest

import tf_wgsef
from tf_wgsef.errors import MeasurementError
from tf_wgsef.measure import LatencyStats, SSHTarget, compare_latency, measure
from tf_wgsef.measure import _litert_profile as profile
from tf_wgsef.measure._messages import decode, encode, read_operators
from tf_wgsef.measure._model_file import ModelFile
from tf_wgsef.measure._tool_profile import read_profile, read_shares

from .boards import SHORT

# What libLiteRt 2.3.0 said of a network with an operator that XNNPACK leaves alone, 50 runs.
REAL = (pathlib.Path(__file__).parent / "data" / "litert_profile.txt").read_text()
KINDS = [
    "Convolution (NHWC, F32) IGEMM",
    "CUMSUM",
    "Mean (ND) Reduce2",
    "Static Reshape (NC)",
    "Fully Connected (NC, F32) GEMM",
]


@pytest.fixture(scope="module")
def network():
    """A file most of whose time is one convolution."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(32, 5), keras.layers.Flatten(), keras.layers.Dense(2)]
    return tf_wgsef.convert(keras.Sequential([keras.Input((24, 24, 8)), *layers]))


def test_real_output_is_read():
    total, rows = read_shares(REAL)
    assert [kind for kind, _, _ in rows] == KINDS
    assert rows[1][1] == "Builtin:1" and total > 100
    assert sum(share for _, _, share in rows) == pytest.approx(1, abs=1e-4)
    # The same table as that of benchmark_model, of which there is no real output here.
    assert [one.kind for one in read_profile(REAL)][0] == "Delegate/" + KINDS[0]
    assert read_shares("nothing") == (0, [])


def test_this_machine_tells_its_operators(network):
    both = compare_latency(network, network, operators=True, **SHORT)
    for stats in (both.a, both.b):
        assert "Convolution" in stats.operators[0].kind and stats.operators[0].share > 0.5
        assert stats.operators_by.startswith("LiteRT's profiler in ai-edge-litert ")
        # The parts are timed one by one, beside other work: near the whole, never many times it.
        assert 0.2 < sum(one.microseconds for one in stats.operators) / stats.min < 5
        assert LatencyStats.from_dict(json.loads(json.dumps(stats.to_dict()))) == stats
    assert measure(network, **SHORT).operators_by == ""


def test_a_file_with_an_open_batch_is_run_with_one_sample():
    import tensorflow as tf

    model = keras.Sequential([keras.Input((24, 24, 8)), keras.layers.Conv2D(32, 5)])
    with contextlib.redirect_stdout(io.StringIO()):  # the converter lists every variable there
        file = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    found = profile.profile_here(ModelFile("x", file), threads=2, version="v")
    assert "Convolution" in found.operators[0].kind


def test_a_board_tells_its_operators(network, native_board):
    board = SSHTarget("ssh://board", ssh_config=native_board.config)
    stats = measure(network, target=board, operators=True, **SHORT)
    assert "Convolution" in stats.operators[0].kind and stats.operators_by.startswith("LiteRT's profiler in")
    assert native_board.left(0) == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by signal 11"),
        ("import sys; sys.exit(3)", "ended with status 3"),
        ("print('{}'); print('[1]'); print('x' * 99); print('[' * 9999)", "ended with status 0"),
        ('print(\'{"error": "no\\x1b[2J such\'); print(\'{"error": "it is old"}\')', "says that it is old"),
        ('print(\'{"runs": 3, "summary": "none"}\')', "no operator"),
        ("import time; time.sleep(60)", "ended by signal 9"),
    ],
)
def test_a_profiler_that_fails_costs_no_measurement(network, monkeypatch, code, said):
    monkeypatch.setattr(profile, "_START", code)
    monkeypatch.setattr(profile, "_SECONDS", 5)
    stats = measure(network, operators=True, **SHORT)
    assert stats.operators == () and stats.runs >= 16
    assert stats.operators_by.startswith("none: LiteRT's profiler ") and said in stats.operators_by


def test_no_python_to_start(network):
    found = profile.profile_here(ModelFile("x", network), threads=1, version="v", python="/no/such/python")
    assert found.operators == () and "No such file" in found.by


def test_a_file_that_is_none_ends_only_the_profiler():
    found = profile.profile_here(ModelFile("x", b"....TFL3" + bytes(64)), threads=1, version="v")
    assert found.operators == () and found.by.startswith("none: ")


def test_only_its_own_library_is_profiled(network, tmp_path):
    python = tmp_path / "python"
    code = "import sys; sys.modules['ai_edge_litert'] = None; sys.argv.pop(0); exec(sys.argv.pop(1))"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    python.chmod(0o755)
    found = profile.profile_here(ModelFile("x", network), threads=1, version="v", python=str(python))
    assert found.operators == () and found.by.startswith("none: ")


TOLD = {"file": 0, "by": "x", "operators": [{"kind": "A", "name": "", "microseconds": 2.0, "share": 0.5}]}


def test_what_a_board_tells_is_checked():
    index, found = read_operators(decode(encode("operators", **TOLD)), 1)
    assert (index, found.operators[0].kind, found.by) == (0, "A", "x")
    one = TOLD["operators"][0]
    for change in (
        {"file": 1},
        {"file": True},
        {"operators": None},
        {"operators": [one] * 11},
        {"operators": [one | {"share": 2}]},
        {"operators": [one | {"microseconds": -1}]},
        {"operators": [one | {"kind": None}]},
        {"operators": [{}]},
    ):
        with pytest.raises(MeasurementError, match="Expected results from the runner"):
            read_operators(TOLD | change, 1)
    told = TOLD | {"operators": [one | {"kind": "\x1b[2J"}], "by": "\x1b"}
    assert "\x1b" not in str(read_operators(told, 1))
