"""Latency tables, measured on a device whose latencies are known."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from keras import layers

import tf_wgsef
from tests.workflows.latency.clockwork import ClockworkTarget
from tf_wgsef.cli._latency_table import _proposal
from tf_wgsef.errors import InputError
from tf_wgsef.graph import build_channel_graph
from tf_wgsef.report import explain_prediction
from tf_wgsef.workflows._device import file_of_any_weights
from tf_wgsef.workflows.latency import (
    LatencyCache,
    check_latency_table,
    least_latency,
    measure_latency_table,
    staircase,
)
from tf_wgsef.workflows.latency._layers import measured_layers
from tf_wgsef.workflows.latency._measure_table import fit


def network():
    inputs = keras.Input((6, 6, 4))
    x = layers.Conv2D(20, 3, padding="same", use_bias=False, name="first")(inputs)
    x = layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(x))
    x = layers.DepthwiseConv2D(3, name="deep")(x)
    x = layers.Conv2D(24, 1, activation="relu", name="second")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(3, name="out")(x))


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """(model, table, target, folder of the cache) on a device with steps of 16."""
    keras.utils.set_random_seed(0)
    folder, target, model = tmp_path_factory.mktemp("cache"), ClockworkTarget(scale=1.25), network()
    return model, measure_latency_table(model, target=target, cache=LatencyCache(folder)), target, folder


def test_the_step_of_the_device_is_found(measured):
    assert measured[1].channel_step == 16


def test_layers_that_the_converter_merges_have_no_row(measured):
    assert set(measured[1].layers) == {"first", "deep", "second", "pool", "out"}


def test_the_dense_model_and_stripped_ones_are_predicted(measured):
    model, table, target, _ = measured
    assert table.predict(model) == pytest.approx(target.microseconds(file_of_any_weights(model)), rel=0.01)
    check = check_latency_table(model, table, count=6, target=target)
    assert len(set(check.measured)) > 3  # they differ
    assert check.median_error < 0.01 and check.errors.max() < 0.03


def test_a_budget_of_latency_is_kept_on_the_device(measured):
    model, table, target, _ = measured
    dense = target.microseconds(file_of_any_weights(model))
    sparse = tf_wgsef.sparsify(network(), budget={"latency": (0.6 * dense, table)})
    sparse.freeze()
    small = tf_wgsef.strip(sparse).model
    assert 0.4 * dense < target.microseconds(file_of_any_weights(small)) <= 1.03 * 0.6 * dense


def test_the_smallest_latency_is_that_of_single_filters(measured):
    model, table, target, _ = measured
    groups, alone = tf_wgsef.build_groups(model), network()
    first = np.unique(groups.layer_of, return_index=True)[1]
    groups.scale(alone, np.isin(np.arange(groups.num_groups), first).astype("float32"))
    small = target.microseconds(file_of_any_weights(tf_wgsef.strip(alone).model))
    # Below a quarter of the inputs nothing was measured, and nothing is said to be cheaper.
    assert small <= least_latency(model, table) <= 1.1 * small
    with pytest.raises(InputError, match="at least .* µs"):
        tf_wgsef.sparsify(network(), budget={"latency": (0.9 * least_latency(model, table), table)})


@pytest.mark.parametrize(
    ("dense", "least", "said"),
    [(100.0, 20.0, "(50, table)"), (1.0, 0.8, "(0.9, table)"), (1.0, 0.95, "no budget")],
)
def test_the_proposed_budget_can_be_met(dense, least, said):
    assert said in _proposal("table.json", dense, least)


def test_a_table_that_predicts_badly_is_said_to_be_bad():
    assert "measure again" in explain_prediction([10.0], [14.0])
    assert "measure again" not in explain_prediction([10.0], [10.4])


def test_what_is_in_the_cache_is_not_measured_again(measured):
    model, table, _, folder = measured
    target = ClockworkTarget(scale=1.25)
    again = measure_latency_table(model, target=target, cache=LatencyCache(folder))
    assert again.to_json() == table.to_json()
    assert target.files == 6 + 7  # the device itself, and the model in seven shapes


def test_a_damaged_cache_counts_as_empty(measured, tmp_path):
    stats = ClockworkTarget().run([_file()], _plan())[0]
    cache = LatencyCache(tmp_path)
    for text in ("", "[]", "{", '{"schema": "tf_wgsef.LatencyCache/1", "times": {"a": "b"}}', "[" * 99999):
        cache.path(stats).write_text(text)
        assert cache.read(stats) == {}
    cache.add(stats, {"a": 1.5})
    assert cache.read(stats) == {"a": 1.5}


def _file():
    from tf_wgsef.measure._model_file import read_model_file

    return read_model_file(file_of_any_weights(keras.Sequential([keras.Input((2,)), layers.Dense(1)])))


def _plan():
    from tf_wgsef.measure._plan import SamplingPlan

    return SamplingPlan()


@pytest.mark.parametrize(("overhead", "scale"), [(3.0, 1.1), (0.0, 0.9), (7.5, 1.0)])
def test_the_fit_finds_what_the_numbers_were_made_of(overhead, scale):
    sums = np.array([10.0, 25.0, 60.0, 33.0])
    assert fit(sums, overhead + scale * sums) == pytest.approx((overhead, scale), abs=1e-9)


def test_neither_overhead_nor_scale_is_negative():
    sums = np.array([10.0, 20.0, 40.0])
    assert fit(sums, 2 * sums - 8)[0] == 0 and 1 < fit(sums, 2 * sums - 8)[1] < 2
    assert fit(sums, 50 - sums)[1] == 0


@pytest.mark.parametrize("step", [4, 16])
def test_a_staircase_costs_within_a_step_what_its_end_costs(step):
    counts = [*range(step, 50, step), 50]
    numbers, times = staircase(counts, [float(-(-count // step)) for count in counts], step)
    for count in range(1, 51):
        assert np.interp(count, numbers, times) == -(-count // step)


def test_every_measured_layer_stands_alone_with_fewer_channels():
    model = network()
    for layer in measured_layers(build_channel_graph(model)).values():
        inputs = layer.inputs if layer.fixed else 2
        outputs = inputs if layer.tied else 1
        alone = layer.model(inputs, outputs)
        assert alone.input_shape[-1] == inputs and alone.output_shape[-1] == outputs


def test_the_names_of_layers_do_not_matter_to_the_cache():
    twins = keras.Sequential(
        [keras.Input((8,)), layers.Dense(8, name="a"), layers.Dense(8, name="b"), layers.Dense(2, name="c")]
    )
    found = measured_layers(build_channel_graph(twins))
    assert found["a"].key(4, 4) == found["b"].key(4, 4) != found["a"].key(4, 8)


def test_a_model_of_open_size_is_refused():
    model = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(4, 3)])
    with pytest.raises(InputError, match="fixed sizes"):
        measure_latency_table(model, target=ClockworkTarget())


def test_a_model_without_such_layers_is_refused():
    model = keras.Sequential([keras.Input((4,)), layers.ReLU()])
    with pytest.raises(InputError, match="can be measured alone"):
        measure_latency_table(model, target=ClockworkTarget())


def test_a_table_of_another_model_does_not_predict(measured):
    other = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="elsewhere")])
    with pytest.raises(InputError, match="without|lacks"):
        measured[1].predict(other)
    larger = keras.Sequential([keras.Input((6, 6, 4)), layers.Conv2D(99, 3, padding="same", name="first")])
    with pytest.raises(InputError, match="first"):
        measured[1].predict(larger)


def unrelated(**changes):
    """A model with layers of the same names, kinds and channels as the table's, but for ``changes``."""
    options = {"size": 6, "kernel_size": 3, "strides": 1, "padding": "same", "kind": layers.Conv2D} | changes
    size, kind = options.pop("size"), options.pop("kind")
    inputs = keras.Input((size, size, 4))
    x = kind(20, use_bias=False, name="first", **options)(inputs)
    return keras.Model(inputs, layers.GlobalAveragePooling2D(name="pool of the whole")(x))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size": 12}, "'first' is Conv2D on 6x6, .*; here it is Conv2D on 12x12"),
        ({"kernel_size": 5}, "kernel_size 3x3.* here it is .*kernel_size 5x5"),
        ({"strides": 2}, "strides 1x1.* here it is .*strides 2x2"),
        ({"kind": layers.Conv2DTranspose}, "here it is Conv2DTranspose"),
        ({"padding": "valid"}, "padding same; here it is .* padding valid"),
    ],
)
def test_a_layer_of_the_same_name_is_not_enough(measured, changes, said):
    assert measured[1].predict(unrelated()) > 0
    with pytest.raises(InputError, match=said):
        measured[1].predict(unrelated(**changes))


def test_a_layer_that_the_table_does_not_know_is_refused(measured):
    _, table, _, _ = measured
    assert table.others == ()
    model = network()
    more = layers.Dense(3, name="more")(model.output)
    with pytest.raises(InputError, match=r"without 'more' \(Dense\).*name its layers"):
        table.predict(keras.Model(model.input, more))


def test_a_table_written_by_hand_knows_no_kinds(measured):
    data = json.loads(measured[1].to_json())
    for row in data["layers"].values():
        del row["of"]
    del data["others"]
    table = tf_wgsef.LatencyTable.from_json(json.dumps(data))
    assert table.predict(network()) == measured[1].predict(network())
    assert table.predict(unrelated(kernel_size=5)) > 0


def test_layers_that_cannot_stand_alone_are_others(tmp_path):
    inputs = keras.Input((6, 6, 8))
    x = layers.Conv2D(8, 3, groups=2, name="grouped")(layers.Conv2D(8, 3, name="plain")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="out")(layers.GlobalAveragePooling2D(name="pool")(x)))
    table = measure_latency_table(model, target=ClockworkTarget(), cache=LatencyCache(tmp_path))
    assert "grouped" in table.others and "plain" in table.layers
    assert table.predict(model) > 0


@pytest.mark.parametrize("off", [0.8, 1.25])
def test_a_table_that_is_off_is_set_right_where_the_budget_leads(measured, off):
    model, table, target, _ = measured
    rows = {
        name: tf_wgsef.LayerLatency(row.inputs, row.outputs, off * row.microseconds, row.of)
        for name, row in table.layers.items()
    }
    wrong = dataclasses.replace(table, layers=rows, overhead=off * table.overhead)
    asked = 0.7 * target.microseconds(file_of_any_weights(model))
    right = tf_wgsef.calibrate_latency_table(model, wrong, asked, target=target)
    sparse = tf_wgsef.sparsify(network(), budget={"latency": (asked, right)})
    sparse.freeze()
    small = tf_wgsef.strip(sparse).model
    found = target.microseconds(file_of_any_weights(small))
    assert right.predict(small) == pytest.approx(found, rel=0.02)
    assert 0.85 * asked < found <= 1.02 * asked  # the toy has few filters: one more would be too much
    assert wrong.predict(small) == pytest.approx(off * found, rel=0.05)


def test_the_table_proposes_the_multiple(measured):
    _, table, _, _ = measured
    budget = {"latency": (0.9 * table.predict(network()), table)}
    sparse = tf_wgsef.sparsify(network(), budget=budget, round_to="table")
    assert all(pool.round_to == 16 for pool in sparse.level.pools)
    sparse.freeze()
    kept = {layer.name: layer.output.shape[-1] for layer in tf_wgsef.strip(sparse).model.layers}
    assert kept["first"] in (16, 20) and kept["second"] in (16, 24)  # a multiple, or all
    plain = tf_wgsef.LatencyTable("x", table.layers, table.overhead)
    for options, said in (
        ({"budget": {"latency": (budget["latency"][0], plain)}, "round_to": "table"}, "shows no step"),
        ({"sparsity": 0.5, "round_to": "table"}, "no latency budget"),
        ({"budget": {"macs": 0.5}, "round_to": "table"}, "no latency budget"),
        ({"sparsity": 0.5, "round_to": "16"}, "a whole number, or"),
    ):
        with pytest.raises(InputError, match=said):
            tf_wgsef.sparsify(network(), **options)


def test_a_table_is_read_from_its_file(measured, tmp_path):
    (tmp_path / "table.json").write_text(measured[1].to_json())
    assert tf_wgsef.LatencyTable.load(tmp_path / "table.json").to_json() == measured[1].to_json()
    for name, content in (("none.json", None), ("bad.json", b"\xff\xfe"), ("list.json", b"[]")):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="Expected a"):
            tf_wgsef.LatencyTable.load(tmp_path / name)


def test_a_step_that_is_no_number_is_refused():
    text = json.dumps(
        {"schema": "tf_wgsef.LatencyTable/1", "device": "x", "overhead": 0, "layers": {}, "channel_step": "a"}
    )
    with pytest.raises(InputError):
        tf_wgsef.LatencyTable.from_json(text)
