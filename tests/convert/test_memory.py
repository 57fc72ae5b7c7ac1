"""How much memory a conversion takes, and that what saves it changes nothing."""

import gc
import json
import pathlib
import subprocess
import sys
import tracemalloc
import weakref

import keras
import numpy as np
import pytest

import tf_wgsef
from tests.convert.same import assert_same_files
from tf_wgsef.convert import _exporter, _saved_model, predict
from tf_wgsef.convert._metadata import write_metadata
from tf_wgsef.convert._schema import read_buffer, read_graph
from tf_wgsef.convert._two_steps import fits_two_steps, read_ranges, with_ranges
from tf_wgsef.convert._write_model import write_model
from tf_wgsef.errors import ConversionError
from tf_wgsef.memory import give_back_memory, use_little_memory

L = keras.layers
BENCHMARK = pathlib.Path(__file__).parents[2] / "benchmarks" / "conversion_memory.py"


@pytest.fixture(scope="module")
def residual():
    """A model whose sums TensorFlow computes over one of their terms."""
    keras.utils.set_random_seed(0)
    x = i = keras.Input((6, 16))
    x = L.LayerNormalization()(L.MultiHeadAttention(2, 8, name="attention")(x, x) + x)
    return keras.Model(i, L.Dense(5, activation="softmax", name="head")(L.Flatten()(x)))


def _values(count=40):
    return np.random.default_rng(0).normal(size=(count, 6, 16)).astype("float32")


@pytest.mark.skipif(sys.platform != "linux", reason="VmHWM is Linux's")
@pytest.mark.parametrize(
    ("quantization", "setting"),
    [
        ("int8", "library"),
        *(
            pytest.param(quantization, setting, marks=pytest.mark.slow)
            for quantization in ("none", "int8", "int16x8")
            for setting in ("library", "command")
        ),
    ],
)
def test_a_process_that_converts_holds_at_most_six_times_the_model(quantization, setting):
    command = [sys.executable, str(BENCHMARK), "--child", "small", quantization, setting, "dense"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1])["times"] <= 6


def test_metadata_takes_one_more_file():
    from ai_edge_litert import schema_py_generated as schema

    small = tf_wgsef.convert(keras.Sequential([keras.Input((4,)), L.Dense(2)]))
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(bytes(small), 0))
    entry, buffer, content = schema.MetadataT(), schema.BufferT(), np.ones(1 << 24, np.uint8)
    entry.name, entry.buffer, buffer.data = "large", len(model.buffers), content
    model.metadata.append(entry)
    model.buffers.append(buffer)
    large = write_model(model)
    tracemalloc.start()
    told = write_metadata(large, {"labels": ["a", "b"], "sparsity": 0.5})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.1 * len(told)
    np.testing.assert_array_equal(predict(told, np.ones((3, 4))), predict(small, np.ones((3, 4))))
    assert read_buffer(told, read_graph(told).metadata["large"]) == content.tobytes()


@pytest.mark.parametrize("io", ["int8", "float32"])
def test_int8_in_two_steps_is_what_tensorflow_makes(digits, io, in_two_steps_and_whole, monkeypatch):
    model, (x, _), test = digits
    monkeypatch.setattr(_saved_model, "folded_values", lambda flat: ())  # which rounds otherwise
    options = {"quantization": "int8", "calibration": x, "io": io, "test": test}
    steps, whole = in_two_steps_and_whole(model, **options)
    assert_same_files(steps, whole)
    assert steps.record.contents.integer_only == whole.record.contents.integer_only
    assert abs(steps.record.accuracy - whole.record.accuracy) < 0.01


def test_ranges_are_those_of_keras_where_a_sum_is_computed_in_place(residual):
    x = _values()
    tflite = bytes(tf_wgsef.convert(residual))
    told = with_ranges(tflite, read_ranges(tflite, [{residual.inputs[0].name: one[None]} for one in x]))
    from ai_edge_litert import schema_py_generated as schema

    tensors = schema.ModelT.InitFromObj(schema.Model.GetRootAs(told, 0)).subgraphs[0].tensors
    inner = keras.Model(residual.inputs, residual.get_layer("attention").output)(x).numpy()
    found = [
        (one.quantization.min[0], one.quantization.max[0])
        for one in tensors
        if b"attention_output" in one.name and one.quantization.min is not None
    ]
    assert any(np.allclose(pair, (inner.min(), inner.max()), rtol=1e-4) for pair in found)


def test_layers_differ_in_two_steps_too(residual, all_are_large):
    tflite = tf_wgsef.convert(residual, quantization={"*": "int8", "head": "float"}, calibration=_values())
    graph = read_graph(tflite)
    dense = [graph.tensors[a.inputs[1]].dtype for a in graph.operations if a.kind == "FULLY_CONNECTED"]
    assert dense[-1] == "float32" and "int8" in dense
    with pytest.raises(tf_wgsef.errors.InputError, match="fits none of"):
        tf_wgsef.convert(residual, quantization={"*": "int8", "nose": "float"}, calibration=_values())


@pytest.mark.parametrize("layers", [{"*": "int8", "last": "float"}, {"*": "float", "first": "int8"}])
def test_the_layer_that_makes_the_output_may_stay_in_float(layers, all_are_large):
    keras.utils.set_random_seed(0)
    stack = [L.Dense(8, activation="relu", name="first"), L.Dense(3, name="last")]
    model = keras.Sequential([keras.Input((6,)), *stack])
    x = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")
    record = tf_wgsef.convert(model, quantization=layers, calibration=x).record
    assert record.parity.relative < 0.05 and not record.contents.integer_only


def test_bad_calibration_is_told_of_in_two_steps_too(residual, all_are_large):
    x = _values()
    x[30, 0, 0] = np.nan
    with pytest.raises(tf_wgsef.errors.InputError, match="calibration"):
        tf_wgsef.convert(residual, quantization="int8", calibration=(x[i : i + 8] for i in range(0, 40, 8)))


def test_graphs_inside_are_left_to_tensorflow(residual):
    loop = keras.Sequential([keras.Input((6, 4)), L.LSTM(3)])
    one, other = (read_graph(tf_wgsef.convert(model)) for model in (residual, loop))
    assert fits_two_steps(one) and not fits_two_steps(other)


def test_only_a_process_without_tensorflow_is_set_up(monkeypatch):
    monkeypatch.delenv("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", raising=False)
    use_little_memory()
    give_back_memory()
    code = (
        "import os, sys; from tf_wgsef.memory import use_little_memory; {}; use_little_memory(); "
        "print(dict(os.environ))"
    )
    found = [
        "TF_ONEDNN_USE_SYSTEM_ALLOCATOR"
        in subprocess.run(
            [sys.executable, "-c", code.format(before)], capture_output=True, text=True, check=True
        ).stdout
        for before in ("pass", "sys.modules['tensorflow'] = sys")
    ]
    assert found == [True, False]


class Ring:
    """Garbage that only a collection finds."""

    def __init__(self):
        self.itself = self


def _small():
    return keras.Sequential([keras.Input((4,)), L.Dense(2)])


@pytest.fixture
def nothing_frozen():
    """As in a process that leaves Python's collector alone."""
    gc.unfreeze()


@pytest.mark.parametrize(("quantization", "times"), [("none", 1), ("int8", 2)])
def test_a_small_conversion_looks_at_new_objects_only(monkeypatch, nothing_frozen, quantization, times):
    looked_at, collect = [], gc.collect
    monkeypatch.setattr(gc, "collect", lambda *of: (looked_at.append(len(gc.get_objects())), collect(*of))[1])
    held = [[] for _ in range(400_000)]
    tf_wgsef.convert(_small(), quantization=quantization, calibration=np.eye(4))
    assert len(looked_at) >= times and max(looked_at) < len(
        held
    )  # ours, and TensorFlow's where it calibrates
    assert gc.get_freeze_count() == 0


def test_what_a_conversion_leaves_is_collected(monkeypatch, nothing_frozen):
    left, real = [], _exporter._convert

    def convert(*arguments):
        left.append(weakref.ref(Ring()))
        return real(*arguments)

    monkeypatch.setattr(_exporter, "_convert", convert)
    tf_wgsef.convert(_small())
    assert left[0]() is None


@pytest.fixture
def frozen():
    gc.freeze()
    yield
    gc.unfreeze()


def test_what_the_caller_has_frozen_stays_so(frozen):
    count = gc.get_freeze_count()
    tf_wgsef.convert(_small())
    assert gc.get_freeze_count() > count / 2  # but for those that nobody holds any more


def test_a_conversion_that_fails_leaves_nothing_frozen(monkeypatch):
    def fails(*arguments):
        raise ConversionError("no")

    monkeypatch.setattr(_exporter, "_convert", fails)
    with pytest.raises(ConversionError):
        tf_wgsef.convert(_small())
    assert gc.get_freeze_count() == 0
