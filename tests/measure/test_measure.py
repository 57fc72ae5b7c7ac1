import hashlib
import json
import re
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import tf_wgsef
from tf_wgsef.errors import InputError, MeasurementError
from tf_wgsef.measure import LatencyComparison, Target, measure, measure_interleaved
from tf_wgsef.measure._model_file import read_model_file
from tf_wgsef.measure._runtime import LoadedFile, _delegated, _random_input, find_runtime

SHORT = {"min_runs": 20, "min_seconds": 0.02, "warmup_seconds": 0.0, "rounds": 4}


def test_a_real_file(tiny_tflite, tmp_path):
    path = tmp_path / "tiny.tflite"
    path.write_bytes(tiny_tflite)
    stats = measure(path, **SHORT)
    assert stats.name == "tiny.tflite"
    assert stats.runs == stats.samples.size >= 20
    assert 0 < stats.min <= stats.p50 <= stats.p90 <= stats.p95 <= stats.p99 <= stats.max
    assert stats.sha256 == hashlib.sha256(tiny_tflite).hexdigest()
    assert stats.file_bytes == len(tiny_tflite)
    assert (stats.threads, stats.target) == (1, "local")
    assert stats.runtime.startswith("ai-edge-litert ")
    assert stats.machine.cores >= 1
    json.dumps(stats.to_dict(samples=True))


def test_bytes_and_path_are_the_same_file(tiny_tflite, tmp_path):
    path = tmp_path / "tiny.tflite"
    path.write_bytes(tiny_tflite)
    assert measure(str(path), **SHORT).sha256 == measure(bytearray(tiny_tflite), **SHORT).sha256


def test_the_folder_can_be_called(tiny_tflite):
    assert tf_wgsef.measure(tiny_tflite, name="mine", **SHORT).name == "mine"


def test_several_files_in_one_run(tiny_tflite):
    shares = []
    files = {"one": tiny_tflite, "two": tiny_tflite, "three": tiny_tflite}
    stats = measure_interleaved(files, threads=2, progress=shares.append, **SHORT | {"rounds": 8})
    assert list(stats) == list(files)
    assert {one.session for one in stats.values()} == {stats["one"].session}
    assert stats["two"].threads == 2
    assert shares[-1] == 1
    assert LatencyComparison.from_stats(stats["one"], stats["three"]).ratio > 0


@pytest.mark.parametrize("files", [{}, ["a.tflite"]])
def test_files_must_be_named(files):
    with pytest.raises(InputError, match="Expected `files` as a dict"):
        measure_interleaved(files)


def test_the_delegate_is_described(tiny_tflite):
    file = read_model_file(tiny_tflite)
    text = LoadedFile(find_runtime(), file, threads=1, seed=0).describe_delegate()
    # Convolution and Dense go to XNNPACK; what Flatten makes of a dynamic batch (its shape, asked for
    # at run time) does not.
    found = re.fullmatch(r"XNNPACK \(default\): (\d+) of (\d+) operators in \d partitions?", text)
    assert found
    assert 2 <= int(found[1]) < int(found[2])


def test_operators_between_inputs_and_outputs_of_a_partition_are_delegated():
    def op(index, name, inputs, outputs):
        return {"index": index, "op_name": name, "inputs": inputs, "outputs": outputs}

    # 0 -> CONV -> 1 -> POOL -> 2 -> SHAPE -> 3 -> DENSE -> 4, weights 7 and 8; SHAPE stays.
    chain = [op(0, "CONV", [0, 7], [1]), op(1, "POOL", [1], [2])]
    chain += [op(2, "SHAPE", [2], [3]), op(3, "DENSE", [3, 8], [4])]
    partitions = [op(4, "DELEGATE", [0, 7], [2]), op(5, "DELEGATE", [3, 8], [4])]
    assert _delegated(chain + partitions, partitions) == {0, 1, 3}


def test_inputs_follow_the_seed_and_the_dtype():
    def draw(dtype, quantized, seed=0):
        return _random_input(np.random.default_rng(seed), (5000,), np.dtype(dtype), quantized)

    floats = draw("float32", False)
    assert floats.dtype == np.float32
    assert abs(floats.mean()) < 0.1
    assert floats.std() == pytest.approx(1, abs=0.1)
    np.testing.assert_array_equal(floats, draw("float32", False))
    assert (floats != draw("float32", False, seed=1)).any()
    assert (draw("int8", True).min(), draw("int8", True).max()) == (-128, 127)
    assert draw("uint8", False).max() == 255
    assert draw("int16", True).min() < -30000
    assert set(draw("int32", False)) == {0, 1}
    assert draw("bool", False).dtype == bool


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "which is empty"),
        (b"no", "bytes 4 to 8"),
        (b"PK\x03\x04 is a zip file, such as a .keras file", "bytes 4 to 8"),
    ],
)
@pytest.mark.parametrize("as_path", [True, False])
def test_no_tflite_file(content, said, as_path, tmp_path):
    if as_path:
        path = tmp_path / "bad.tflite"
        path.write_bytes(content)
        content = path
    with pytest.raises(InputError, match=said) as caught:
        measure(content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_file(tiny_tflite, share):
    cut = tiny_tflite[: max(8, int(share * len(tiny_tflite)))]
    with pytest.raises(InputError, match="Expected an intact .tflite file") as caught:
        measure(cut)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["missing.tflite", ".", "", "null\0character"])
def test_a_path_without_a_file(path):
    with pytest.raises(InputError, match="Expected the path of a .tflite file"):
        measure(path)


@pytest.mark.parametrize("value", [None, 3, ["a.tflite"]])
def test_neither_bytes_nor_path(value):
    with pytest.raises(InputError, match=type(value).__name__):
        measure(value)


@pytest.mark.parametrize("target", ["moon", "", None, 7, "ssh://"])
def test_a_target_that_nobody_knows(tiny_tflite, target):
    with pytest.raises(InputError, match="Expected .*Received: target="):
        measure(tiny_tflite, target=target)


def test_a_target_of_ones_own(tiny_tflite):
    class Remote(Target):
        def run(self, files, plan, *, progress=None):
            return [(file.name, plan.threads) for file in files]

    assert measure(tiny_tflite, target=Remote(), name="x", threads=3) == ("x", 3)


class FailingInterpreter:
    """Fails at the step of its name with a message of two lines, as the runtime does."""

    fails_at = ""

    def __init__(self, model_content, num_threads):
        self._at("load")

    def _at(self, step):
        if step == self.fails_at:
            raise RuntimeError("Encountered unresolved custom op: Foo.\nSee instructions")

    def get_input_details(self):
        return []

    def allocate_tensors(self):
        self._at("allocate")

    def invoke(self):
        self._at("run")


@pytest.mark.parametrize("step", ["load", "allocate", "run"])
def test_a_file_that_the_runtime_cannot_run(monkeypatch, step):
    module = type(sys)("ai_edge_litert.interpreter")
    module.Interpreter = type("Failing", (FailingInterpreter,), {"fails_at": step})
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", module)
    with pytest.raises(MeasurementError, match=f"not {step}.*custom op: Foo. See") as caught:
        measure(b"....TFL3", name="odd", **SHORT)
    assert "\n" not in str(caught.value)


def test_no_runtime(monkeypatch):
    for module in ("ai_edge_litert", "tflite_runtime"):
        monkeypatch.setitem(sys.modules, f"{module}.interpreter", None)
    with pytest.raises(MeasurementError, match="pip install ai-edge-litert"):
        measure(b"....TFL3", **SHORT)


BOARD = """
    import importlib.abc, sys, types

    class Block(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in {blocked!r}:
                raise ImportError("a board has no " + name)

    sys.meta_path.insert(0, Block())
    if {alias!r}:  # the same interpreter under the name of the other package
        import ai_edge_litert.interpreter as interpreter
        sys.modules["tflite_runtime"] = types.ModuleType("tflite_runtime")
        sys.modules["tflite_runtime.interpreter"] = interpreter
        sys.modules["ai_edge_litert.interpreter"] = None
    import tf_wgsef
    from tf_wgsef.measure import compare_latency
    options = dict(min_runs=1, min_seconds=0.01, warmup_seconds=0.0, rounds=8)
    path = sys.argv[1]
    print(tf_wgsef.measure(path, **options).runtime)
    print(compare_latency(path, path, **options).ratio > 0)
"""


@pytest.mark.parametrize("alias", [False, True])
def test_a_board_needs_numpy_and_a_runtime_only(tiny_tflite, tmp_path, alias):
    path = tmp_path / "tiny.tflite"
    path.write_bytes(tiny_tflite)
    blocked = {"keras", "tensorflow", "tf_keras", "rich", "absl", "scipy", "sklearn", "matplotlib"}
    blocked |= {"jinja2", "jax", "torch"}
    code = textwrap.dedent(BOARD).format(blocked=blocked, alias=alias)
    ran = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    runtime, compared = ran.stdout.split("\n")[:2]
    assert runtime.startswith("tflite-runtime " if alias else "ai-edge-litert ")
    assert compared == "True"
