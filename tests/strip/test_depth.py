"""Branches, identities and kernel borders that disappear; paths that must not."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers

import tf_wgsef
from tests import models
from tf_wgsef import errors


def same(model, smaller):
    x = models.random_inputs(model, 5, seed=2)
    before, after = (keras.tree.flatten(one(x, training=False)) for one in (model, smaller))
    for old, new in zip(before, after, strict=True):
        np.testing.assert_allclose(np.asarray(new), np.asarray(old), atol=1e-5)


def zero(model, *names):
    for name in names:
        for weight in model.get_layer(name).trainable_weights:
            weight.assign(np.zeros(weight.shape))


def names_of(model):
    return [layer.name for layer in model.layers]


def blocks(merge):
    """Two residual blocks; ``merge`` joins trunk and branch."""
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(inputs)
    for block in "ab":
        y = layers.Conv2D(5, 3, padding="same", activation="relu", name=f"{block}_in")(x)
        y = layers.Conv2D(4, 3, padding="same", use_bias=False, name=f"{block}_out")(y)
        y = layers.BatchNormalization(name=f"{block}_bn")(y)
        x = merge(x, y, f"{block}_merge")
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return models.randomize(keras.Model(inputs, layers.Dense(3, name="logits")(x)))


MERGES = {
    "Add": lambda x, y, name: layers.Add(name=name)([x, y]),
    "Add, the branch first": lambda x, y, name: layers.Add(name=name)([y, x]),
    "Subtract": lambda x, y, name: layers.Subtract(name=name)([x, y]),
    "+": lambda x, y, name: x + y,
    "-": lambda x, y, name: x - y,
}


@pytest.mark.parametrize("merge", MERGES)
def test_a_branch_of_zeros_disappears_with_its_merge(merge):
    model = blocks(MERGES[merge])
    zero(model, "a_out", "a_bn")
    result = tf_wgsef.strip(model)
    same(model, result.model)
    left = names_of(result.model)
    assert not any(name.startswith("a_") for name in left)
    assert {"b_in", "b_out", "b_bn"} <= set(left)
    assert result.kept["a_in"] == result.kept["a_out"] == 0
    assert {"a_in", "a_out", "a_bn"} < set(result.vanished) and len(result.vanished) == 4
    assert "vanished: a_in, a_out, a_bn, " in result.report()
    assert len(result.model.operations) == len(model.operations) - 4


def test_all_branches_of_zeros_leave_the_trunk():
    model = blocks(MERGES["Add"])
    zero(model, "a_out", "a_bn", "b_out", "b_bn")
    result = tf_wgsef.strip(model)
    same(model, result.model)
    assert names_of(result.model)[1:] == ["stem", "gap", "logits"]


def test_a_branch_that_adds_a_constant_stays():
    model = blocks(MERGES["Add"])
    zero(model, "a_out")  # its batch norm still adds beta
    result = tf_wgsef.strip(model)
    same(model, result.model)
    assert "a_merge" in names_of(result.model)


def test_one_of_three_summands_goes():
    inputs = keras.Input((5,))
    parts = [layers.Dense(4, name=name)(inputs) for name in "abc"]
    model = keras.Model(inputs, layers.Dense(2)(layers.Add(name="sum")(parts)))
    models.randomize(model)
    zero(model, "b")
    result = tf_wgsef.strip(model)
    same(model, result.model)
    assert "b" not in names_of(result.model)
    assert len(result.model.get_layer("sum").input) == 2


def test_an_empty_part_of_a_concatenation_goes():
    inputs = keras.Input((6, 6, 2))
    a = layers.Conv2D(3, 3, padding="same", activation="relu", name="a")(inputs)
    b = layers.Conv2D(4, 3, padding="same", activation="relu", name="b")(inputs)
    x = layers.Concatenate(name="joint")([a, b])
    x = layers.Conv2D(5, 3, name="after")(x)
    model = models.randomize(keras.Model(inputs, x))
    zero(model, "a")
    result = tf_wgsef.strip(model)
    same(model, result.model)
    assert names_of(result.model)[1:] == ["b", "after"]


IDENTITIES = {
    "activation": lambda name: layers.Activation("linear", name=name),
    "identity": lambda name: layers.Identity(name=name),
    "padding": lambda name: layers.ZeroPadding2D(0, name=name),
    "cropping": lambda name: layers.Cropping2D(0, name=name),
    "upsampling": lambda name: layers.UpSampling2D(1, name=name),
    "pooling": lambda name: layers.MaxPooling2D(1, name=name),
    "reshape": lambda name: layers.Reshape((6, 6, 4), name=name),
    "permute": lambda name: layers.Permute((1, 2, 3), name=name),
    "1×1 convolution": lambda name: layers.Conv2D(4, 1, name=name),
    "3×3 convolution": lambda name: layers.Conv2D(4, 3, padding="same", name=name),
    "dense": lambda name: layers.Dense(4, name=name),
}


def returning_its_input(layer):
    """The layer, with a kernel that returns its four channels if it has one."""
    layer.build((None, 6, 6, 4))
    if layer.weights:
        kernel = np.zeros(layer.kernel.shape, "float32")
        kernel[tuple(size // 2 for size in kernel.shape[:-2])] = np.eye(4)
        layer.kernel.assign(kernel)
    return layer


@pytest.mark.parametrize("kind", IDENTITIES)
@pytest.mark.parametrize("sequential", [True, False])
def test_runs_of_identity_disappear(kind, sequential):
    run = [returning_its_input(IDENTITIES[kind](f"same_{number}")) for number in range(2)]
    conv, last = layers.Conv2D(4, 3, padding="same", name="conv"), layers.Conv2D(3, 3, name="last")
    stack = (conv, *run, last)
    if sequential:
        model = keras.Sequential([keras.Input((6, 6, 2)), *stack])
    else:
        inputs = x = keras.Input((6, 6, 2))
        for layer in stack:
            x = layer(x)
        model = keras.Model(inputs, x)
    result = tf_wgsef.strip(model)
    same(model, result.model)
    assert [name for name in names_of(result.model) if not name.startswith("input")] == ["conv", "last"]


def convolution(activation):
    return lambda: layers.Conv2D(4, 3, padding="same", activation=activation)


CLIPPED = [
    (layers.ReLU, layers.ReLU, True),
    (layers.ReLU, lambda: layers.Activation("relu"), True),
    (convolution("relu"), layers.ReLU, True),
    (convolution(layers.ReLU(6.0)), lambda: layers.ReLU(6.0), True),
    (convolution("relu6"), layers.ReLU, True),
    (lambda: layers.Dense(4, activation="sigmoid"), lambda: layers.Activation("relu6"), True),
    (lambda: layers.Activation("softplus"), layers.ReLU, True),
    (lambda: layers.ReLU(max_value=2.0), lambda: layers.ReLU(max_value=3.0), True),
    (lambda: layers.ReLU(max_value=3.0), lambda: layers.ReLU(max_value=2.0), False),
    (layers.ReLU, lambda: layers.Activation("relu6"), False),
    (lambda: layers.Activation("softplus"), lambda: layers.Activation("relu6"), False),
    (layers.ReLU, lambda: layers.ReLU(threshold=0.5), False),
    (lambda: layers.ReLU(negative_slope=0.1), layers.ReLU, False),
    (layers.ReLU, lambda: layers.ReLU(negative_slope=0.1), False),
    (lambda: layers.Activation("tanh"), layers.ReLU, False),
    (layers.ReLU, lambda: layers.Activation("sigmoid"), False),
    (convolution(None), layers.ReLU, False),
]


@pytest.mark.parametrize(("first", "second", "goes"), CLIPPED)
@pytest.mark.parametrize("sequential", [True, False])
def test_a_relu_of_what_is_never_negative_disappears(first, second, goes, sequential):
    second = second()
    stack = [layers.Conv2D(4, 3, padding="same"), first(), layers.Identity(), second, layers.Conv2D(3, 3)]
    x = inputs = keras.Input((6, 6, 2))
    for layer in stack:
        x = layer(x)
    model = keras.Sequential([keras.Input((6, 6, 2)), *stack]) if sequential else keras.Model(inputs, x)
    result = tf_wgsef.strip(models.randomize(model))
    same(model, result.model)
    assert (second.name not in names_of(result.model)) == goes
    assert (second.name in result.vanished) == goes


def test_the_relu_behind_a_block_that_goes_disappears_too():
    inputs = keras.Input((6, 6, 2))
    x = layers.ReLU(name="first")(layers.Conv2D(4, 3, padding="same", name="stem")(inputs))
    y = layers.Conv2D(4, 3, padding="same", name="branch")(x)
    x = layers.ReLU(name="second")(layers.Add(name="sum")([x, y]))
    model = models.randomize(keras.Model(inputs, layers.Conv2D(3, 3, name="last")(x)))
    assert "second" in names_of(tf_wgsef.strip(model).model)
    zero(model, "branch")
    result = tf_wgsef.strip(model)
    same(model, result.model)
    assert names_of(result.model)[1:] == ["stem", "first", "last"]


@keras.saving.register_keras_serializable("tests")
@dataclasses.dataclass
class Cosine:
    """An activation that has no hash."""

    speed: float = 1.0

    def __call__(self, x):
        return keras.ops.cos(self.speed * x)

    def get_config(self):
        return {"speed": self.speed}


@pytest.mark.parametrize("first", [True, False])
def test_beside_a_relu_an_activation_without_a_hash_gets_the_usual_line(first):
    """Keras cannot make it again."""
    pair = [layers.Dense(5, activation=Cosine(), name="own"), layers.ReLU()]
    model = keras.Sequential([keras.Input((4,)), *(pair if first else pair[::-1]), layers.Dense(2)])
    with pytest.raises(errors.StripError, match="from_config.* can make again. Received: Dense 'own'"):
        tf_wgsef.strip(model)


def test_a_relu_that_works_in_another_dtype_stays():
    relu = layers.ReLU(dtype="float16", name="second")
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5, activation="relu", name="d"), relu])
    assert tf_wgsef.strip(models.randomize(model)).model.outputs[0].dtype == "float16"


def test_a_convolution_that_moves_the_picture_is_no_identity():
    layer = returning_its_input(layers.Conv2D(4, 3, padding="same", name="shift"))
    layer.kernel.assign(np.roll(np.asarray(layer.kernel), 1, axis=1))
    model = keras.Sequential([keras.Input((6, 6, 4)), layer, layers.Conv2D(3, 3, name="last")])
    result = tf_wgsef.strip(model)
    same(model, result.model)
    assert "shift" in names_of(result.model)


def test_a_layer_that_changes_the_dtype_stays():
    cast = layers.Activation("linear", dtype="float16", name="cast")
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5, name="d"), cast])
    assert tf_wgsef.strip(models.randomize(model)).model.outputs[0].dtype == "float16"


def test_a_model_of_identities_keeps_one():
    model = keras.Sequential([keras.Input((4,)), layers.Identity(), layers.Activation("linear")])
    result = tf_wgsef.strip(model)
    same(model, result.model)
    assert len(result.model.layers) == 1


def test_no_path_left_names_the_layer():
    model = blocks(MERGES["Add"])
    zero(model, "stem", "a_out", "a_bn", "b_out", "b_bn")
    with pytest.raises(errors.StripError, match="depends on its input.*Conv2D 'stem'"):
        tf_wgsef.strip(model)


CROPS = {
    "same": {"padding": "same"},
    "valid": {},
    "strides": {"padding": "same", "strides": 2},
    "dilation": {"padding": "same", "dilation_rate": 2},
}


@pytest.mark.parametrize("case", CROPS)
@pytest.mark.parametrize("kind", ["Conv2D", "DepthwiseConv2D", "SeparableConv2D", "grouped"])
def test_a_ring_of_zeros_around_a_kernel_goes(case, kind):
    options = CROPS[case]
    make = {
        "Conv2D": lambda: layers.Conv2D(3, 5, name="c", **options),
        "DepthwiseConv2D": lambda: layers.DepthwiseConv2D(5, name="c", **options),
        "SeparableConv2D": lambda: layers.SeparableConv2D(3, 5, name="c", **options),
        "grouped": lambda: layers.Conv2D(6, 5, groups=2, name="c", **options),
    }[kind]
    model = keras.Sequential([keras.Input((12, 11, 4)), make(), layers.Conv2D(2, 1)])
    models.randomize(model)
    layer = model.get_layer("c")
    kernel = layer.depthwise_kernel if kind == "SeparableConv2D" else layer.kernel
    ring = np.zeros((5, 5, 1, 1), "float32")
    ring[1:-1, 1:-1] = 1
    kernel.assign(np.asarray(kernel) * ring)
    result = tf_wgsef.strip(model)
    same(model, result.model)
    assert result.model.get_layer("c").kernel_size == (3, 3)
    assert result.changed and "window 5×5 → 3×3" in result.report()
    assert tf_wgsef.profile(result.model).macs < tf_wgsef.profile(model).macs


def test_a_window_of_a_shared_layer_is_cropped_where_that_needs_no_padding():
    shared = layers.Conv2D(2, 5, padding="same", name="c")
    inputs = keras.Input((8, 8, 2))
    model = models.randomize(keras.Model(inputs, shared(shared(inputs))))
    kernel = np.asarray(shared.kernel).copy()
    kernel[[0, -1]] = 0
    shared.kernel.assign(kernel)
    result = tf_wgsef.strip(model)
    same(model, result.model)
    assert result.model.get_layer("c").kernel_size == (3, 5)


@pytest.mark.parametrize("multiple", [1, 2, 4, 8, 16])
def test_round_to_keeps_a_multiple_and_every_live_channel(multiple):
    model = models.randomize(models.lenet(filters=(12, 12), units=20))
    groups = tf_wgsef.build_groups(model)
    alive = np.random.default_rng(5).random(groups.num_groups) < 0.4
    groups.scale(model, alive.astype("float32"))
    result = tf_wgsef.strip(model, round_to=multiple)
    same(model, result.model)
    for number, name in enumerate(groups.layers):
        live, size = int(alive[groups.layer_of == number].sum()), groups.sizes[number]
        assert result.kept[name] == min(-(-live // multiple) * multiple, size)
        if result.kept[name] > live:
            assert f"multiple of {multiple}" in result.skipped[name]


def test_round_to_holds_for_coupled_layers():
    model = blocks(MERGES["Add"])
    groups = tf_wgsef.build_groups(model)
    alive = np.ones(groups.num_groups)
    alive[np.flatnonzero(groups.layer_of == groups.layers.index("a_in"))[:2]] = 0
    alive[np.flatnonzero(groups.layer_of == 0)[:3]] = 0
    groups.scale(model, alive)
    result = tf_wgsef.strip(model, round_to=2)
    same(model, result.model)
    assert result.kept["stem"] == result.kept["a_out"] == 2
    assert result.kept["a_in"] == 4


@pytest.mark.parametrize("wrong", [0, -8, 2.5, "8", True, None])
def test_round_to_must_be_a_whole_number(wrong):
    with pytest.raises(errors.InputError, match="round_to"):
        tf_wgsef.strip(models.lenet(), round_to=wrong)
