"""Every group kind: what a group holds, against loops over kernels, and what strip makes of zero groups."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_wgsef
from tests import architectures, models
from tests.groups.test_groups import entries, variable_named
from tf_wgsef.errors import InputError
from tf_wgsef.groups import KINDS


def convolutions():
    model = keras.Sequential(
        [
            keras.Input((9, 9, 2)),
            layers.Conv2D(6, 3, padding="same", activation="relu", name="conv1"),
            layers.BatchNormalization(name="bn"),
            layers.Conv2D(4, 5, padding="same", activation="relu", name="conv2"),
            layers.Flatten(name="flatten"),
            layers.Dense(5, activation="relu", name="dense"),
            layers.Dense(3, name="logits"),
        ]
    )
    return models.randomize(model)


def zeroed(groups, model, dead):
    """The values of all variables with the groups ``dead`` at zero, computed by a loop."""
    values = {weight.path: weight.numpy().copy() for weight in model.weights}
    for member in (*groups.members, *groups.shifts):
        variable = variable_named(model, member.variable)
        for group, index in entries(member, values[variable.path]):
            if group in dead:
                values[variable.path][index] = 0
    return values


def strip_without(model, groups, dead):
    """Zeroes the groups ``dead`` and strips; the outputs must be the same."""
    factors = np.ones(groups.num_groups)
    factors[list(dead)] = 0
    groups.scale(model, factors)
    x = models.random_inputs(model, 4)
    result = tf_wgsef.strip(model)
    before, after = (np.asarray(one(x, training=False)) for one in (model, result.model))
    np.testing.assert_allclose(after, before, atol=1e-5 * np.ptp(before))
    return result


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", models.ALL)
def test_groups_of_every_kind_are_disjoint_and_zero_alone(kind, name):
    model = models.randomize(models.ALL[name]())
    groups = tf_wgsef.build_groups(model, kind=kind)
    seen = {}
    for member in groups.members:
        counts = seen.setdefault(member.variable, np.zeros(variable_named(model, member.variable).shape, int))
        for _, index in entries(member, counts):
            counts[index] += 1
    assert all(counts.max() == 1 for counts in seen.values())
    if groups.num_groups:
        dead = set(np.random.default_rng(0).permutation(groups.num_groups)[: groups.num_groups // 2 + 1])
        expected = zeroed(groups, model, dead)
        factors = np.ones(groups.num_groups)
        factors[list(dead)] = 0
        groups.scale(model, factors)
        for weight in model.weights:
            np.testing.assert_array_equal(weight.numpy(), expected[weight.path])
        norms = np.asarray(groups.norms(model))
        assert (norms[list(dead)] == 0).all()
        assert (np.delete(norms, list(dead)) > 0).all()
        again = tf_wgsef.GroupSet.from_json(groups.to_json())
        np.testing.assert_array_equal(again.norms(model), norms)


def test_channels_are_removed_where_they_are_read():
    model = convolutions()
    groups = tf_wgsef.build_groups(model, kind="channel")
    assert dict(zip(groups.layers, groups.sizes.tolist(), strict=True)) == {
        "conv2": 6,
        "dense": 4,
        "logits": 5,
    }
    conv2 = np.asarray(model.get_layer("conv2").kernel)
    np.testing.assert_allclose(
        np.asarray(groups.norms(model))[:6], np.sqrt((conv2**2).sum((0, 1, 3))), rtol=1e-5
    )
    result = strip_without(model, groups, {0, 2, 6, 10})
    assert result.kept == {"conv1": 4, "bn": 4, "conv2": 3, "dense": 4, "logits": 3}


def test_channels_that_several_layers_read_are_one_group():
    model = models.randomize(models.residual())
    groups = tf_wgsef.build_groups(model, kind="channel")
    trunk = next(label for label in groups.layers if "inner" in label)
    assert trunk == "inner+logits"  # the flattened trunk goes on to the last layer
    result = strip_without(model, groups, np.flatnonzero(groups.layer_of == groups.layers.index(trunk))[:2])
    assert result.kept["stem"] == result.kept["outer"] == 4


def test_filter_shapes_and_spatial_positions():
    model = convolutions()
    kernel = np.asarray(model.get_layer("conv1").kernel)
    shapes = tf_wgsef.build_groups(model, kind="filter_shape", only=["conv1", "dense"])
    assert dict(zip(shapes.layers, shapes.sizes.tolist(), strict=True)) == {"conv1": 18, "dense": 324}
    expected = np.sqrt((kernel**2).sum(-1)).reshape(-1)
    np.testing.assert_allclose(np.asarray(shapes.norms(model))[:18], expected, rtol=1e-5)
    spatial = tf_wgsef.build_groups(model, kind="spatial", only=["conv2"])
    assert spatial.num_groups == 25
    ring = [i * 5 + j for i in range(5) for j in range(5) if {i, j} & {0, 4}]
    result = strip_without(model, spatial, ring)
    assert result.model.get_layer("conv2").kernel_size == (3, 3)


def test_blocks_of_the_lowered_matrix():
    model = convolutions()
    kernel = np.asarray(model.get_layer("conv1").kernel).reshape(18, 6)
    groups = tf_wgsef.build_groups(model, kind="block", only=["conv1"], block=(4, 4))
    expected = [
        np.linalg.norm(kernel[row : row + 4, column : column + 4])
        for row in range(0, 18, 4)
        for column in range(0, 6, 4)
    ]
    np.testing.assert_allclose(groups.norms(model), expected, rtol=1e-5)


def test_elements():
    model = convolutions()
    groups = tf_wgsef.build_groups(model, kind="element")
    kernels = [w.numpy() for w in model.weights if w.path.endswith("kernel")]
    assert groups.num_groups == sum(kernel.size for kernel in kernels)
    expected = np.abs(np.concatenate([kernel.reshape(-1) for kernel in kernels]))
    np.testing.assert_allclose(groups.norms(model), expected, rtol=1e-6)


def test_depth_removes_whole_branches_and_keeps_a_path():
    model = models.randomize(architectures.resnet20())
    groups = tf_wgsef.build_groups(model, kind="depth")
    assert groups.layers == ("depth",)
    assert groups.num_groups == 9  # one branch per block; a shortcut with a convolution is no branch
    result = strip_without(model, groups, {0, 3, 8})
    convolutions_of = lambda m: sum(isinstance(layer, layers.Conv2D) for layer in m.layers)  # noqa: E731
    assert convolutions_of(result.model) == convolutions_of(model) - 6
    result = strip_without(model, groups, range(9))
    assert convolutions_of(result.model) == 3  # the stem and two shortcuts


def test_patterns_of_depth_name_the_layers_with_weights():
    model = models.randomize(models.residual())
    branch = dict.fromkeys(["relu_a", "inner", "bn_[ab]", "outer"], "depth")
    for pattern in (branch, {**branch, "relu_b": "depth"}, {"*": "depth"}):
        assert tf_wgsef.build_groups(model, kind=pattern).layers == ("depth",)
    del branch["outer"]  # a branch is not taken apart
    assert "depth" not in tf_wgsef.build_groups(model, kind={**branch, "*": "filter"}).layers


def test_depth_of_a_transformer():
    model = models.randomize(architectures.vit())
    groups = tf_wgsef.build_groups(model, kind="depth")
    result = strip_without(model, groups, {1})
    assert len(result.vanished) >= 2


def test_heads():
    model = models.randomize(architectures.vit())
    groups = tf_wgsef.build_groups(model, kind="head")
    assert groups.sizes.tolist() == [4, 4, 4]
    result = strip_without(model, groups, {0, 3, 5})
    heads = [one.num_heads for one in result.model.layers if isinstance(one, layers.MultiHeadAttention)]
    assert heads == [2, 3, 4]


def test_query_heads_that_share_a_key_head_are_one_group():
    inputs = keras.Input((5, 6))
    x = layers.GroupQueryAttention(3, 6, 2, name="heads")(inputs, inputs)
    model = models.randomize(keras.Model(inputs, layers.Dense(2)(x)))
    groups = tf_wgsef.build_groups(model, kind="head")
    assert groups.num_groups == 2
    assert strip_without(model, groups, {1}).model.get_layer("heads").num_query_heads == 3


def test_kinds_by_pattern():
    model = convolutions()
    kinds = {"conv1": "filter", "conv*": "element", "logits": "channel"}
    groups = tf_wgsef.build_groups(model, kind=kinds)
    assert groups.kind == "filter+element+channel"
    sizes = dict(zip(groups.layers, groups.sizes.tolist(), strict=True))
    assert sizes == {"conv1": 6, "conv2": 5 * 5 * 6 * 4, "logits": 5}
    result = strip_without(model, groups, {0, 1, groups.num_groups - 1})
    assert (result.kept["conv1"], result.kept["dense"]) == (4, 4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "filters"}, "kind"),
        ({"kind": {"*": "row"}}, "kind"),
        ({"kind": {}}, "at least one pattern"),
        ({"kind": {3: "filter"}}, "patterns"),
        ({"kind": None}, "kind"),
        ({"kind": "block", "block": (0, 4)}, "block"),
        ({"kind": "block", "block": 4}, "block"),
        ({"kind": "block", "block": (2.5, 4)}, "block"),
        ({"kind": {"conv1": "filter", "bn": "filter", "conv2": "element"}, "only": 5}, "only"),
        ({"kind": {"dense": "filter", "logits": "element"}, "only": ["nowhere"]}, "nowhere"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        tf_wgsef.build_groups(convolutions(), **arguments)


def test_kinds_that_share_weights_are_refused():
    # A depthwise kernel goes with the filters of the layer before it.
    with pytest.raises(InputError, match="share no weights.*'depthwise/kernel'"):
        tf_wgsef.build_groups(models.separable(), kind={"depthwise": "element", "*": "filter"})


def test_a_level_of_no_groups_is_an_error():
    groups = tf_wgsef.build_groups(convolutions(), only=[])
    assert groups.num_groups == 0
    with pytest.raises(InputError, match="channels to remove"):
        tf_wgsef.sparsify(convolutions(), sparsity=0.5, groups=groups)


def test_groups_of_ones_own():
    model = convolutions()
    kernel = np.random.default_rng(0).integers(-1, 3, model.get_layer("dense").kernel.shape)
    pairs = np.arange(6) // 2
    ids = {"dense/kernel": kernel, "conv1/kernel": pairs, "conv1/bias": pairs}
    groups = tf_wgsef.custom_groups(model, ids, label="mine")
    assert (groups.layers, groups.num_groups) == (("mine",), 3)
    values = {name: np.asarray(variable_named(model, name)).astype(float) for name in ids}
    expected = [
        np.sqrt(
            (values["dense/kernel"][kernel == group] ** 2).sum()
            + (values["conv1/kernel"][..., pairs == group] ** 2).sum()
            + (values["conv1/bias"][pairs == group] ** 2).sum()
        )
        for group in range(3)
    ]
    np.testing.assert_allclose(groups.norms(model), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ({}, "ids"),
        ([0, 1], "ids"),
        ({"conv1/bias": [0, 0, 1]}, r"shape \(6,\)"),
        ({"conv1/bias": np.arange(6.0)}, "whole numbers"),
        ({"conv1/bias": [0, 0, 2, 2, 3, 3]}, "none in 1"),
        ({"conv1/bias": [0, 0, -2, 1, 1, 1]}, "at least -1"),
        ({"conv9/bias": [0]}, "conv9/bias"),
    ],
)
def test_wrong_numbers_are_named(ids, message):
    with pytest.raises(InputError, match=message):
        tf_wgsef.custom_groups(convolutions(), ids)


def test_custom_groups_take_a_shared_variable_once():
    inside = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4, name="d")], name="inside")
    again = keras.Sequential([keras.Input((4,)), inside.layers[0]], name="again")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, again(inside(inputs)))
    with pytest.raises(tf_wgsef.WGSEFError, match="each variable once.*inside/d/kernel.*again/d/kernel"):
        tf_wgsef.custom_groups(model, {"inside/d/kernel": np.arange(4), "again/d/kernel": np.arange(4)})


def test_a_branch_with_frozen_layers_is_silent_without_its_group():
    from tests.training.test_whole_branches import branches

    model = models.randomize(branches())
    for name in ("shift0", "norm0", "in1", "norm1", "back1", "shift1"):
        model.get_layer(name).trainable = False
    groups = tf_wgsef.build_groups(model, kind="depth")
    assert groups.num_groups == 2
    groups.scale(model, np.zeros(2))
    assert {"add0", "add1"} <= set(tf_wgsef.strip(model).vanished)
