"""What is read from a file, against the runtime's own view of it and TFLite Micro's."""

import dataclasses
import io
import itertools
import json
import pickle
import shutil
import subprocess
import zipfile

import keras
import numpy as np
import pytest

import tf_wgsef
from tests.convert import models
from tf_wgsef.convert import c_array, predict, read_contents, read_metadata, weights_hash
from tf_wgsef.convert._exporter import export_tflite
from tf_wgsef.convert._flat import flat_model
from tf_wgsef.convert._metadata import write_metadata
from tf_wgsef.convert._options import check_quantization
from tf_wgsef.convert._schema import read_buffer, read_graph
from tf_wgsef.convert._signature import input_specs
from tf_wgsef.errors import ConversionError, InputError

NOTES = {
    "labels": [f"digit {i}" for i in range(10)],
    "normalization": {"mean": 0, "std": 16},
    "sparsity": 0.5,
}


@pytest.fixture(scope="module")
def int8(digits):
    model, (x, _), test = digits
    return tf_wgsef.convert(model, quantization="int8", calibration=x, test=test, metadata=NOTES)


@pytest.mark.parametrize("quantization", ["none", "dynamic", "int8", "int16x8"])
@pytest.mark.parametrize("name", ["sequential", "two_in_two_out"])
def test_contents_are_what_the_runtime_says(converted, name, quantization):
    from ai_edge_litert.interpreter import Interpreter

    _, _, tflite = converted(name, quantization)
    contents = read_contents(tflite)
    interpreter = Interpreter(model_content=tflite)
    runner = interpreter.get_signature_runner()
    for ports, details in (
        (contents.inputs, runner.get_input_details()),
        (contents.outputs, runner.get_output_details()),
    ):
        assert {port.name for port in ports} == set(details)
        for port in ports:
            one = details[port.name]
            assert (port.shape, port.dtype) == (tuple(one["shape"]), np.dtype(one["dtype"]).name)
            assert (port.scale, port.zero_point) == pytest.approx(one["quantization"])
    assert sum(contents.sections.values()) == contents.bytes == len(tflite)
    assert contents.integer_only == (quantization in ("int8", "int16x8"))
    assert contents.computes_with == ("integers" if quantization in ("int8", "int16x8") else "floats")
    assert contents.to_dict()["integer_only"] == contents.integer_only
    assert contents.custom == ()
    json.dumps(contents.to_dict(), allow_nan=False)


def test_weights_are_counted_by_hand():
    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.Flatten()])
    (kernel, bias), shape = read_contents(tf_wgsef.convert(model)).weights[:2], (4, 3, 3, 3)
    assert (kernel.operator, kernel.shape, kernel.bytes) == ("CONV_2D", shape, 4 * 4 * 27)
    assert (bias.shape, bias.bytes) == ((4,), 16)


def test_the_file_is_bytes_with_a_record(int8, digits):
    assert isinstance(int8, bytes) and isinstance(bytes(int8), bytes)
    record, text = int8.record, int8.report()
    assert "integers only" in text and "CONV_2D" in text and "accuracy" in text
    assert "quantization='int8'" in repr(int8) and len(repr(int8)) < 100
    again = pickle.loads(pickle.dumps(int8))  # noqa: S301
    assert again == int8 and again.record == record
    json.dumps(record.to_dict(), allow_nan=False)
    assert record.parity.samples == len(digits[2][1])
    assert record.contents == read_contents(bytes(int8))


def test_metadata_changes_nothing_that_is_computed(digits):
    model, (x, _), _ = digits
    flat, specs = flat_model(model), input_specs(model)
    plain = export_tflite(
        flat, specs, quantization=check_quantization("none", None, False), samples=None, batch_size=1
    )
    told = write_metadata(plain, {"labels": ["a", "b"], "sparsity": 0.5})
    np.testing.assert_array_equal(predict(plain, x[:50]), predict(told, x[:50]))
    before, after = read_graph(plain), read_graph(told)
    assert before.operations == after.operations
    for one, other in zip(before.tensors, after.tensors, strict=True):
        assert one == other
        if one.stored:
            assert read_buffer(plain, one.buffer) == read_buffer(told, other.buffer)
    assert read_metadata(plain) is None
    # A second time the entries are replaced.
    assert read_metadata(write_metadata(told, {"sparsity": 0.7})) == {"sparsity": 0.7}


def test_metadata_is_in_the_file(int8, digits, tmp_path):
    found = read_metadata(int8)
    expected = {"source_sha256": weights_hash(digits[0]), "quantization": "int8"}
    assert found == {**NOTES, "normalization": {"mean": [0.0], "std": [16.0]}, **expected}
    (tmp_path / "m.tflite").write_bytes(int8)
    with zipfile.ZipFile(tmp_path / "m.tflite") as archive:
        assert archive.read("labels.txt").decode().splitlines() == NOTES["labels"]
    # The parts of the standard's FlatBuffer; all of it was read by tflite-support's own reader, by hand.
    standard = read_buffer(int8, read_graph(int8).metadata["TFLITE_METADATA"])
    assert standard[4:8] == b"M001" and b"labels.txt" in standard
    assert np.float32(16).tobytes() in standard


def test_buffers_are_aligned_as_the_format_asks(int8):
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(bytes(int8), 0)
    buffers = [model.Buffers(i) for i in range(model.BuffersLength())]
    starts = [b._tab.Vector(b._tab.Offset(4)) for b in buffers if b.DataLength()]
    assert len(starts) > 5 and {start % 16 for start in starts} == {0}


def test_the_hash_tells_models_apart(digits, tmp_path):
    model = digits[0]
    model.save(tmp_path / "m.keras")
    same = keras.models.load_model(tmp_path / "m.keras", compile=False)
    assert weights_hash(same) == weights_hash(model)
    same.layers[0].kernel.assign(same.layers[0].kernel * 1.0001)
    assert weights_hash(same) != weights_hash(model)


@pytest.mark.parametrize("cut", [12, 100, 1000, 5000])
def test_a_damaged_file_is_one_clear_line(int8, cut):
    with pytest.raises(InputError, match="whole .tflite file|tf_wgsef wrote"):
        read_contents(int8[:cut])


def test_random_damage_never_ends_in_a_traceback(int8):
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(int8)
        for position in rng.integers(8, len(damaged), 30):
            damaged[position] = rng.integers(256)
        try:
            read_contents(bytes(damaged)).to_dict()
        except InputError as error:
            assert "\n" not in str(error)


def test_names_from_a_file_cannot_drive_a_terminal(int8):
    evil = bytes(int8).replace(b"image", b"i\x1b[2J")
    assert "\x1b" not in read_contents(evil).inputs[0].name


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_the_c_header_holds_the_same_bytes(int8, tmp_path):
    (tmp_path / "net.h").write_text("\n".join(c_array(int8, "net")) + "\n")
    (tmp_path / "main.c").write_text(
        '#include <stdio.h>\n#include "net.h"\n#include "net.h"\n'
        "int main(void) { return fwrite(net, 1, net_len, stdout) != net_len || (unsigned long)net % 16; }\n"
    )
    program = tmp_path / "main"
    options = ["-std=c11", "-Wall", "-Wextra", "-Werror"]
    subprocess.run(["gcc", *options, str(tmp_path / "main.c"), "-o", str(program)], check=True)
    assert subprocess.run([str(program)], capture_output=True, check=True).stdout == int8


@pytest.mark.parametrize("name", ["1net", "a b", "int", "x;y", "é", ""])
def test_a_name_that_c_does_not_take_is_refused(int8, name):
    with pytest.raises(InputError, match="name of an array in C"):
        c_array(int8, name)


def test_tflite_micro_gives_the_same_and_needs_no_less_than_the_estimate(int8, digits):
    runtime = pytest.importorskip("tflite_micro").runtime
    estimate = int8.record.contents.arena_bytes
    interpreter = runtime.Interpreter.from_bytes(bytes(int8), arena_size=64 * estimate)
    port = int8.record.contents.inputs[0]
    x = digits[2][0][:40]
    received = []
    for sample in np.clip(np.rint(x / port.scale) + port.zero_point, -128, 127).astype(np.int8):
        interpreter.set_input(sample[None], 0)
        interpreter.invoke()
        received.append(interpreter.get_output(0)[0])
    out = int8.record.contents.outputs[0]
    expected = np.rint(predict(int8, x) / out.scale) + out.zero_point
    # Other kernels round otherwise: a few steps of 1/256.
    assert np.abs(np.array(received) - expected).max() <= 5
    assert np.ptp(expected) > 100
    with pytest.raises(RuntimeError):
        runtime.Interpreter.from_bytes(bytes(int8), arena_size=estimate)


def _chain(*sizes):
    layers = [keras.layers.Dense(size, activation="relu") for size in sizes[1:]]
    return keras.Sequential([keras.Input((sizes[0],)), *layers])


@pytest.mark.parametrize(
    ("sizes", "values"),
    # A chain keeps two tensors at a time: the largest pair, each rounded up to 16 bytes.
    [((64, 32, 16), 64 + 32), ((16, 32, 64, 8), 32 + 64), ((8, 128, 8, 128, 8), 8 + 128)],
)
def test_the_arena_of_a_chain_by_hand(sizes, values):
    assert read_contents(tf_wgsef.convert(_chain(*sizes))).arena_bytes == 4 * values


def test_what_fails_its_check_is_only_returned_by_force(digits):
    model, (x, _), _ = digits
    options = {"quantization": "int8", "calibration": x, "tolerance": 1e-6}
    with pytest.raises(ConversionError, match="force=True"):
        tf_wgsef.convert(model, **options)
    assert "within 1e-06" in tf_wgsef.convert(model, force=True, **options).record.problem


def test_a_test_set_that_does_not_fit_is_refused(digits):
    model, _, (x, y) = digits
    with pytest.raises(InputError, match="each of the 20 samples"):
        tf_wgsef.convert(model, test=(x[:20], y[:21]))
    with pytest.raises(InputError, match="each of the 20 samples. Received: 10 classes"):
        tf_wgsef.convert(model, test=(x[:20], y[:10]))
    with pytest.raises(InputError, match="from 0 to 9"):
        tf_wgsef.convert(model, test=(x[:20], y[:20] + 10))
    with pytest.raises(InputError, match="from 0 to 9"):
        tf_wgsef.deploy(model, test=(x[:20], y[:20] - 10), latency=False)
    # What is read batch after batch may go on: it has no length.
    endless = itertools.repeat(x[:10])
    assert tf_wgsef.convert(model, test=(endless, y[:10])).record.accuracy is not None
    with pytest.raises(InputError, match="one output of class scores"):
        two = models.same_shapes()
        tf_wgsef.convert(two, test=({name: np.ones((4, 6)) for name in "ab"}, np.zeros(4)))


def test_records_are_frozen(int8):
    with pytest.raises(dataclasses.FrozenInstanceError):
        int8.record.problem = "none"


def test_an_operator_that_the_runtime_lacks_is_named():
    import tensorflow as tf

    function = tf.function(tf.linalg.det, input_signature=[tf.TensorSpec((1, 2, 2))], autograph=False)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    tflite = converter.convert()
    assert read_contents(tflite).custom == ("FlexMatrixDeterminant",)
    with pytest.raises(InputError, match="that LiteRT can run"):
        predict(tflite, np.zeros((1, 2, 2), np.float32))


def test_what_a_hostile_file_says_of_itself_is_shown_and_does_nothing(digits):
    from rich.console import Console

    from tf_wgsef.workflows import contents_view

    plain = tf_wgsef.convert(digits[0])
    told = write_metadata(plain, {"\x1b]0;owned\x1b\\\x1b[2J": 1})
    console = Console(file=io.StringIO())
    console.print(contents_view(read_contents(told)))
    shown = console.file.getvalue()
    assert "\x1b" not in shown and "owned" in shown


def test_metadata_that_is_no_json_is_refused(digits):
    plain = tf_wgsef.convert(digits[0])
    told = write_metadata(plain, {"x": float("nan")})
    with pytest.raises(InputError, match="metadata that tf_wgsef wrote.*NaN is no JSON"):
        read_metadata(told)


def test_sizes_beyond_any_memory_have_no_arena():
    from tf_wgsef.convert._arena import estimate_arena
    from tf_wgsef.convert._schema import Graph, Tensor

    names = [field.name for field in dataclasses.fields(Tensor)]
    empty = dict.fromkeys(names, ()) | {"name": "t", "dtype": "float32", "stored": 0, "sparse": False}
    huge = Tensor(**{**empty, "shape": (2**31 - 1,) * 600, "buffer": 0})
    fields = {field.name: () for field in dataclasses.fields(Graph)}
    graph = Graph(**{**fields, "tensors": (huge,), "inputs": {"x": 0}, "outputs": {"y": 0}, "subgraphs": 1})
    assert estimate_arena(graph) is None


def test_operations_in_float_between_integers_are_named():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(4), layers.Activation("selu"), layers.ELU(), layers.Dense(2)]
    )
    x = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")
    record = tf_wgsef.convert(model, quantization="int16x8", calibration=x).record
    assert record.contents.computes_with == "both"
    assert (
        record.contents.float_operators["ELU"] == 1
        and "FULLY_CONNECTED" not in record.contents.float_operators
    )
    assert "integers, and floats in " in record.report() and "1 ELU" in record.report()
    assert record.to_dict()["contents"]["integer_only"] is False


def test_the_report_says_what_int8_harms_and_what_to_do():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), keras.layers.LayerNormalization(epsilon=1e-6)])
    size = 10 ** np.random.default_rng(1).uniform(-2, 1, (64, 1))
    x = (np.random.default_rng(0).normal(size=(64, 6)) * size).astype("float32")
    int8, int16 = (
        tf_wgsef.convert(model, quantization=q, calibration=x, force=True) for q in ("int8", "int16x8")
    )
    assert int8.record.parity.relative > 0.05 > int16.record.parity.relative
    assert int8.record.harmed == ("RSQRT",) and int16.record.harmed == ()
    assert "int8 can lose what RSQRT give" in int8.report() and 'quantization="int16x8"' in int8.report()
    assert "int8 can lose" not in int16.report()


@pytest.mark.parametrize("quantization", ["none", "float16", "dynamic"])
def test_arithmetic_of_numbers_of_rows_is_no_computing_with_integers(quantization):
    i = keras.Input((6,), dtype="int32")
    model = keras.Model(i, keras.layers.Dense(2)(keras.layers.Embedding(2000, 16)((i + 3) % 2000)))
    contents = tf_wgsef.convert(model, quantization=quantization).record.contents
    assert contents.computes_with == "floats" and contents.numbers == "floats only"
