"""Groups against loops over the model's own weights and activations."""

import json

import keras
import numpy as np
import pytest
from keras import layers

import tf_wgsef
from tests import models
from tf_wgsef.errors import InputError

GROUPED = [name for name in models.ALL]


def variable_named(model, key):
    """The variable ``layer/variable``, or ``model/layer/variable`` in a nested model."""
    for layer in model.layers:
        inside = key.removeprefix(f"{layer.name}/")
        if inside != key and isinstance(layer, keras.Model):
            return variable_named(layer, inside)
        if inside != key:
            return next(w for w in layer.weights if w.path.endswith(f"{layer.name}/{inside}"))
    raise KeyError(key)


def entries(member, value):
    """(group, index of an entry or slice of ``value``) of everything in a group."""
    for place, group in np.ndenumerate(member.ids):
        if group >= 0:
            index = [slice(None)] * value.ndim
            for axis, position in zip(member.axes, place, strict=True):
                index[axis] = position
            yield int(group), tuple(index)


@pytest.mark.parametrize("name", GROUPED)
def test_norms_are_those_of_a_loop(name):
    model = models.randomize(models.ALL[name]())
    groups = tf_wgsef.build_groups(model)
    squares = np.zeros(groups.num_groups)
    for member in groups.members:
        value = variable_named(model, member.variable).numpy()
        for group, index in entries(member, value):
            squares[group] += (value[index].astype(float) ** 2).sum()
    np.testing.assert_allclose(groups.norms(model), np.sqrt(squares), rtol=1e-6)


@pytest.mark.parametrize("name", GROUPED)
def test_scaling_touches_the_groups_and_nothing_else(name):
    model = models.randomize(models.ALL[name]())
    before = {w.path: w.numpy().copy() for w in model.weights}
    groups = tf_wgsef.build_groups(model)
    factors = np.random.default_rng(0).uniform(0, 2, groups.num_groups)
    expected = dict(before)
    for member in groups.members:
        path = variable_named(model, member.variable).path
        value = before[path].copy()
        for group, index in entries(member, value):
            value[index] *= np.float32(factors[group])
        expected[path] = value
    groups.scale(model, factors)
    for weight in model.weights:
        np.testing.assert_allclose(weight.numpy(), expected[weight.path], rtol=1e-6)


@pytest.mark.parametrize("name", GROUPED)
def test_a_zeroed_group_is_a_silent_channel(name):
    """Zero-invariance: with group g at zero, no weight that reads its channel matters to the outputs."""
    model = models.randomize(models.ALL[name]())
    groups = tf_wgsef.build_groups(model)
    factors = np.ones(groups.num_groups)
    factors[0] = 0
    groups.scale(model, factors)
    graph = tf_wgsef.graph.build_channel_graph(model)
    x = models.random_inputs(model, 4)
    before = [np.array(y) for y in keras.tree.flatten(model(x))]
    (first, *_) = groups.members
    channel = graph_id_of(graph, first.variable.split("/")[0], int(np.argmax(first.ids == 0)))
    touched = 0
    for axes in graph.parameters:
        for axis in axes:
            if axis.role == "consume" and (axis.ids == channel).any():
                value = np.moveaxis(axis.variable.numpy(), axis.axis, 0)
                value[axis.ids == channel] = 1e3
                axis.variable.assign(np.moveaxis(value, 0, axis.axis))
                touched += 1
    assert touched
    for old, new in zip(before, keras.tree.flatten(model(x)), strict=True):
        np.testing.assert_allclose(np.array(new), old, atol=1e-5)


def graph_id_of(graph, layer, index):
    for call in graph.calls:
        if call.name == layer:
            return graph.ids[call.outputs[0]][index]
    raise LookupError(layer)


def test_tied_producers_are_one_layer_of_groups():
    groups = tf_wgsef.build_groups(models.residual())
    assert groups.layers == ("stem+outer", "inner")
    assert groups.sizes.tolist() == [6, 5]
    assert {m.variable for m in groups.members} >= {"stem/kernel", "bn_a/gamma", "outer/bias"}


@pytest.mark.parametrize("name", GROUPED)
def test_outputs_and_inputs_are_never_grouped(name):
    model = models.ALL[name]()
    grouped = {m.variable.split("/")[0] for m in tf_wgsef.build_groups(model).members}
    assert grouped and not grouped & {"logits", "y", "z", "after" if name == "with_barrier" else ""}


@pytest.mark.parametrize("name", GROUPED)
def test_json_round_trip(name):
    model = models.randomize(models.ALL[name]())
    groups = tf_wgsef.build_groups(model)
    again = tf_wgsef.GroupSet.from_json(groups.to_json())
    assert again.to_json() == groups.to_json()
    np.testing.assert_array_equal(again.norms(model), groups.norms(model))


def test_groups_fit_the_model_after_saving_and_loading(tmp_path):
    model = keras.Sequential([layers.Dense(5, name="hidden"), layers.Dense(2, name="out")])
    model(np.zeros((1, 3), "float32"))  # a model built late names its variables with its own name in front
    groups = tf_wgsef.build_groups(model)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    np.testing.assert_array_equal(groups.norms(loaded), groups.norms(model))


def test_skip_leaves_a_layer_and_all_it_is_tied_to():
    groups = tf_wgsef.build_groups(models.residual(), skip=["outer"])
    assert groups.layers == ("inner",)


def test_skip_by_the_batch_norm_skips_the_channels_it_carries():
    assert tf_wgsef.build_groups(models.residual(), skip=["bn_b"]).layers == ("stem+outer",)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: tf_wgsef.build_groups(m, skip=["conv9"]), "'conv9'. The model has: conv1"),
        (lambda m: tf_wgsef.build_groups(m, skip="conv1"), r"Pass skip=\['conv1'\]"),
        (lambda m: tf_wgsef.build_groups(m, skip=3), r"Pass skip=\[3\]"),
        (lambda m: tf_wgsef.build_groups(m, kind="rows"), "Received: kind='rows'"),
        (
            lambda m: tf_wgsef.build_groups(m).scale(m, [1.0]),
            r"shape \(20,\). Received: shape \(1,\)",
        ),
        (lambda m: tf_wgsef.build_groups(m).norms(models.residual()), "has no 'conv1/kernel'"),
        (
            lambda m: tf_wgsef.build_groups(m).norms(models.lenet((8, 8))),
            "Build the groups from this",
        ),
        (lambda m: tf_wgsef.GroupSet.from_json("{}"), "written by GroupSet.to_json"),
        (lambda m: tf_wgsef.GroupSet.from_json("nonsense"), "written by GroupSet.to_json"),
        (lambda m: tf_wgsef.GroupSet.from_json(json.dumps({"schema": "x"})), "schema 'x'"),
    ],
)
def test_bad_input_gets_one_clear_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call(models.lenet())
    assert "\n" not in str(caught.value)


def ids(numbers):
    return {"shape": [len(numbers)], "numbers": numbers}


@pytest.mark.parametrize(
    "change",
    [
        {"layer_of": {"shape": [4], "runs": [[9, 0, 4]]}},
        {"layer_of": {"shape": [4], "runs": [[0, 0, 5]]}},
        {"layer_of": [0] * 4},
        {"weights": {"shape": [1], "numbers": [1.0]}},
        {"members": [{"variable": "h/kernel", "axes": [1], "ids": ids([0, 1, 2, 7]), "rank": 2}]},
        {"members": [{"variable": "h/kernel", "axes": [5], "ids": ids([0, 1, 2, 3]), "rank": 2}]},
        {"members": [{"variable": "h/kernel", "axes": [0.5], "ids": ids([0, 1, 2, 3]), "rank": 2}]},
        {"members": [{"variable": "h/kernel", "axes": [1], "ids": ids([0, 1, 2, 3]), "rank": "2"}]},
        {"members": [{"variable": ["h/kernel"], "axes": [1], "ids": ids([0, 1, 2, 3]), "rank": 2}]},
        {"members": [{"variable": "h/kernel", "axes": [1], "ids": ids([0, 1, 2, 3]), "rank": 2}] * 2},
        {"members": [{"variable": "h/kernel", "axes": [1], "ids": ids([0, 1, 2, -1]), "rank": 2}]},
        {"members": [{"variable": "h/kernel", "axes": [1], "ids": ids(["0", "1", "2", "3"]), "rank": 2}]},
        {"members": [{"variable": "h/kernel", "axes": [1], "ids": ids([0.9, 1, 2, 3]), "rank": 2}]},
        {"members": []},
        {"kind": ["filter"]},
        {"layers": [1]},
        {"layers": ["h", "i"]},
        {"weights": ids([1.0, 1.0, 1.0, None])},
        {"weights": ids([1.0, 1.0, 1.0, float("nan")])},
        {"weights": ids([1.0, 1.0, 1.0, -1.0])},
        {"weights": ids([1.0, 1.0, 1.0, 1e300])},
        {"layer_of": {"shape": [4], "runs": [[0, 0, 4.0]]}},
        {"layer_of": {"shape": [-2, -2], "runs": [[0, 0, 4]]}},
        {"layer_of": {"shape": [10**12], "runs": [[0, 0, 10**12]]}},
    ],
    ids=str,
)
def test_json_that_points_nowhere_is_refused(change):
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, name="h"), keras.layers.Dense(2)])
    text = json.dumps({**json.loads(tf_wgsef.build_groups(model).to_json()), **change})
    with pytest.raises(tf_wgsef.WGSEFError, match="to_json"):
        tf_wgsef.GroupSet.from_json(text)


def test_a_short_text_for_more_weights_than_the_model_has_makes_no_array():
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, name="h"), keras.layers.Dense(2)])
    text = tf_wgsef.build_groups(model).to_json()
    most = model.count_params()
    assert tf_wgsef.GroupSet.from_json(text, most=most).num_groups == 4
    huge = {"shape": [most + 1], "runs": [[0, 0, most + 1]]}
    with pytest.raises(tf_wgsef.WGSEFError, match=f"more than {most} numbers"):
        tf_wgsef.GroupSet.from_json(json.dumps({**json.loads(text), "layer_of": huge}), most=most)


@pytest.mark.parametrize("factor", [np.nan, np.inf, 1e40, "a"])
def test_factors_that_are_no_numbers_leave_the_model_alone(factor):
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4), keras.layers.Dense(2)])
    before = model.get_weights()
    with pytest.raises(tf_wgsef.WGSEFError, match="factors"):
        tf_wgsef.build_groups(model).scale(model, [factor] * 4)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("outer", ["lstm", "rnn", "y"])
def test_the_parts_of_a_wrapper_have_keys_of_their_own(outer):
    """Keras names the inner layers after the outer one: a search for "lstm/" finds "forward_lstm/" too."""
    inner = keras.layers.LSTM(4, return_sequences=True, name="lstm")
    model = keras.Sequential([keras.Input((5, 3)), keras.layers.Bidirectional(inner, name=outer)])
    model.add(keras.layers.Dense(2))
    groups = tf_wgsef.build_groups(model)
    keys = [member.variable for member in groups.members]
    assert len(set(keys)) == len(keys)
    groups.scale(model, np.zeros(groups.num_groups))
    assert not np.asarray(groups.norms(model)).any()
    for name in ("forward", "backward"):
        kernel = getattr(model.get_layer(outer), f"{name}_layer").cell.kernel
        assert not np.asarray(kernel).any()


def compound():
    inputs = keras.Input((5, 3))
    x = keras.layers.Bidirectional(keras.layers.GRU(4, return_sequences=True), name="both")(inputs)
    x = keras.layers.TimeDistributed(keras.layers.Dense(6, "relu", name="inner"), name="td")(x)
    x = keras.layers.Dense(5, "relu", name="dense")(x)
    return keras.Model(inputs, keras.layers.Dense(2, name="out")(x))


def test_the_name_of_a_compound_layer_stands_for_its_parts():
    everything = tf_wgsef.build_groups(compound()).layers
    assert any(name.startswith("td/") for name in everything)
    assert not any("td/" in name for name in tf_wgsef.build_groups(compound(), skip=["td"]).layers)
    assert not any("both/" in name for name in tf_wgsef.build_groups(compound(), skip=["both"]).layers)
    assert tf_wgsef.build_groups(compound(), only=["td"]).layers == ("td/inner",)
    mixed = tf_wgsef.build_groups(compound(), kind={"td": "filter", "dense": "element"})
    assert set(mixed.layers) == {"td/inner", "dense"}
