"""What a choice of groups costs, held to what strip leaves of the model; and latency tables."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_wgsef
from tests import architectures, models
from tf_wgsef.errors import InputError
from tf_wgsef.groups import GroupCosts, LatencyTable, LayerLatency

UNITS = {"params": "parameters", "macs": "macs", "bytes": "bytes"}


def some_stay(groups, share=0.5, seed=0) -> np.ndarray:
    """A random choice that leaves each layer a group."""
    stays = np.random.default_rng(seed).random(groups.num_groups) < share
    for layer in range(len(groups.layers)):
        inside = np.flatnonzero(groups.layer_of == layer)
        stays[inside[0]] |= not stays[inside].any()
    return stays


@pytest.mark.parametrize("kind", ["filter", "channel", "head", "depth"])
@pytest.mark.parametrize("name", models.ALL)
def test_the_cost_of_a_choice_is_that_of_the_stripped_model(name, kind):
    model = models.randomize(models.ALL[name]())
    groups = tf_wgsef.build_groups(model, kind=kind)
    if not groups.num_groups:
        pytest.skip(f"nothing of kind {kind}")
    before = [np.array(keras.ops.convert_to_numpy(weight)) for weight in model.weights]
    costs = {unit: GroupCosts(model, groups, unit) for unit in UNITS}
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)  # looking changed nothing
    dense, everything = tf_wgsef.profile(model), np.ones(groups.num_groups, bool)
    stays = some_stay(groups)
    groups.scale(model, stays.astype("float32"))
    stripped = tf_wgsef.profile(tf_wgsef.strip(model).model)
    for unit, attribute in UNITS.items():
        assert costs[unit].total(everything) == getattr(dense, attribute)
        expected = getattr(stripped, attribute)
        if (name, kind) == ("attention", "channel"):
            # Whole heads happen to go, and their queries with them: that is not foreseen.
            assert 1.5 * expected > costs[unit].total(stays) >= expected
        else:
            assert costs[unit].total(stays) == expected


@pytest.mark.parametrize("kind", ["filter", "depth"])
def test_the_cost_of_a_resnet(kind):
    model = models.randomize(architectures.resnet8())
    groups = tf_wgsef.build_groups(model, kind=kind)
    costs, stays = GroupCosts(model, groups, "macs"), some_stay(groups)
    groups.scale(model, stays.astype("float32"))
    assert costs.total(stays) == tf_wgsef.profile(tf_wgsef.strip(model).model).macs


def test_weights_of_what_stays_add_up_to_what_depends_on_groups():
    model = models.lenet()
    groups = tf_wgsef.build_groups(model)
    costs, stays = GroupCosts(model, groups, "macs"), some_stay(groups)
    # Every product of this network has channels with groups in it; each layer's are priced alike.
    weights = costs.weights(stays)
    assert weights[stays].sum() == pytest.approx(costs.total(stays))
    for layer in range(len(groups.layers)):
        assert np.ptp(weights[groups.layer_of == layer]) == 0
    more = stays.copy()
    more[np.flatnonzero(~stays & (groups.layer_of == 0))[0]] = True
    second = groups.layer_of == 1  # its filters are dearer when they read one channel more
    assert costs.weights(more)[second][0] > weights[second][0]


@pytest.mark.parametrize("kind", ["element", "block", "spatial", "filter_shape"])
def test_zeros_inside_kernels_make_no_model_cheaper(kind):
    model = models.lenet()
    with pytest.raises(InputError, match=f"groups that strip removes.*Received: {kind}"):
        GroupCosts(model, tf_wgsef.build_groups(model, kind=kind), "macs")


def table(model, name="conv1", inputs=(1,), outputs=(2, 4), values=((10.0, 30.0),), overhead=5.0):
    return LatencyTable("test", {name: LayerLatency(inputs, outputs, values)}, overhead)


def test_latency_follows_the_table():
    model = models.lenet()
    groups = tf_wgsef.build_groups(model)
    size = groups.sizes[0]
    times = np.array([[10.0, 30.0]])
    costs = GroupCosts(model, groups, "latency", table(model, outputs=(size // 2, size), values=times))
    stays = np.ones(groups.num_groups, bool)
    assert costs.total(stays) == 35
    stays[np.arange(size // 2)] = False
    assert costs.total(stays) == 15
    weights = costs.weights(stays)
    assert (weights[:size] == 10 / (size // 2)).all() and not weights[size:].any()


@pytest.mark.parametrize(
    ("inputs", "outputs", "expected"),
    [(2, 4, 10), (4, 8, 40), (3, 6, 22.5), (1, 1, 10), (0, 4, 0), (4, 0, 0), (4, 6, 30)],
)
def test_between_measured_numbers_latency_is_interpolated(inputs, outputs, expected):
    row = LayerLatency((2, 4), (4, 8), [[10.0, 20.0], [20.0, 40.0]])
    assert row.microseconds_of(inputs, outputs) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (((2, 2), (4,), [[1.0], [1.0]]), "rising numbers of channels"),
        (((0, 2), (4,), [[1.0], [1.0]]), "rising numbers of channels"),
        (((), (4,), np.zeros((0, 1))), "rising numbers of channels"),
        (((1, 2), (4,), [[1.0, 2.0]]), r"shape \(2, 1\)"),
        (((1,), (4,), [[np.nan]]), "finite microseconds"),
        (((1,), (4,), [[-1.0]]), "at least 0"),
        ((5, (4,), [[1.0]]), "whole numbers of channels"),
        (("a", (4,), [[1.0]]), "whole numbers of channels"),
        (((8.7,), (4,), [[1.0]]), "whole numbers of channels"),
        (((10**30,), (4,), [[1.0]]), "whole numbers of channels"),
        (((1, 2), (4,), [[1.0], [1.0, 2.0]]), "rows of numbers"),
        (((1,), (4,), [["a"]]), "rows of numbers"),
    ],
)
def test_a_row_that_cannot_be(arguments, match):
    with pytest.raises(InputError, match=match):
        LayerLatency(*arguments)


@pytest.mark.parametrize("overhead", [np.nan, np.inf, -1, "5", None, 10**400])
def test_an_overhead_that_cannot_be(overhead):
    """Every cost would be NaN, which is within no budget and beyond none: one group of a layer would stay."""
    with pytest.raises(InputError, match="`overhead` to be a finite number of at least 0"):
        LatencyTable("a board", {}, overhead)


@pytest.mark.parametrize("layers", [None, 5, [], {"conv": 3}], ids=str)
def test_layers_of_a_table_that_are_none(layers):
    with pytest.raises(InputError, match="`layers` to be"):
        LatencyTable("a board", layers)


def test_a_table_survives_json():
    one = table(None)
    again = LatencyTable.from_json(one.to_json())
    assert again.to_json() == one.to_json() and again.overhead == 5
    assert again.layers["conv1"].microseconds_of(1, 3) == 20


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"schema": "tf_wgsef.LatencyTable/1", "device": 1, "overhead": 0, "layers": 3}', "nan"],
)
def test_a_text_that_is_no_table(text):
    with pytest.raises(InputError, match="LatencyTable.to_json"):
        LatencyTable.from_json(text)


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (dict(name="other"), "with layer 'other', which it lacks"),
        (dict(outputs=(2, 999)), "'conv1' has up to 1 input and 999 output channels"),
    ],
)
def test_a_table_of_another_model(wrong, match):
    model = models.lenet()
    with pytest.raises(InputError, match=match):
        GroupCosts(model, tf_wgsef.build_groups(model), "latency", table(model, **wrong))


def test_channels_that_stay_although_their_group_is_zero_are_counted():
    """sigmoid(0) is 0.5, which 'same' padding does not let fold: these channels stay, and cost."""
    model = models.randomize(
        keras.Sequential(
            [
                keras.Input((6, 6, 2)),
                layers.Conv2D(4, 3, activation="sigmoid", name="a"),
                layers.Conv2D(4, 3, padding="same", activation="relu", name="b"),
                layers.GlobalAveragePooling2D(),
                layers.Dense(2),
            ]
        )
    )
    groups = tf_wgsef.build_groups(model)
    costs, stays = GroupCosts(model, groups, "macs"), some_stay(groups)
    assert not stays[:4].all()
    groups.scale(model, stays.astype("float32"))
    result = tf_wgsef.strip(model)
    assert result.kept["a"] == 4
    assert costs.total(stays) == tf_wgsef.profile(result.model).macs
