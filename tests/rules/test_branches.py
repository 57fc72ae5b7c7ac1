"""Calls that strip can do without: branches that add nothing, layers that change nothing."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import tf_wgsef
from tests import models
from tf_wgsef.graph import build_channel_graph


def _scaled_sum(tensors):
    return keras.src.applications.inception_resnet_v2.CustomScaleLayer(0.5)(tensors)


def branches(merge, *, value=0.0, shape=(4, 4, 6), dead="second"):
    """Two convolutions merged, one of them constant."""
    inputs = keras.Input((4, 4, 2))
    first = layers.Conv2D(6, 1, name="first")(inputs)
    if shape == (4, 4, 6):
        second = layers.Conv2D(6, 1, name="second")(inputs)
    else:
        second = layers.Dense(shape[-1], name="second")(layers.GlobalAveragePooling2D(keepdims=True)(inputs))
    x = layers.Conv2D(3, 3, name="after")(merge([first, second]))
    model = models.randomize(keras.Model(inputs, layers.Flatten()(x)))
    layer = model.get_layer(dead)
    layer.kernel.assign(np.zeros(layer.kernel.shape))
    layer.bias.assign(np.full(layer.bias.shape, value))
    return model


def outputs(model):
    return keras.ops.convert_to_numpy(model(models.random_inputs(model, 5), training=False))


def stripped(model):
    before = outputs(model)
    result = tf_wgsef.strip(model)
    np.testing.assert_allclose(outputs(result.model), before, atol=1e-5 * np.ptp(before))
    return {type(one).__name__ for one in result.model.operations}, result


WIDE, ONE_PIXEL, ONE_CHANNEL = (4, 4, 6), (1, 1, 6), (1, 1, 1)


@pytest.mark.parametrize(
    ("merge", "value", "shape", "dead"),
    [
        (layers.Add(), 0.0, WIDE, "first"),
        (layers.Add(), 0.0, WIDE, "second"),
        (layers.Add(), 0.0, ONE_PIXEL, "second"),
        (layers.Add(), 0.0, ONE_CHANNEL, "second"),
        (layers.Subtract(), 0.0, WIDE, "second"),
        (layers.Multiply(), 1.0, WIDE, "first"),
        (layers.Multiply(), 1.0, ONE_CHANNEL, "second"),
        (layers.Concatenate(), 0.0, WIDE, "first"),
        (_scaled_sum, 0.0, WIDE, "second"),
        (lambda two: two[0] + two[1], 0.0, WIDE, "first"),
        (lambda two: two[0] - two[1], 0.0, WIDE, "second"),
        (lambda two: two[0] * two[1], 1.0, ONE_PIXEL, "second"),
        (lambda two: two[0] / two[1], 1.0, WIDE, "second"),
        (lambda two: ops.concatenate(two, axis=3), 0.0, WIDE, "second"),
    ],
)
def test_a_branch_that_adds_nothing_goes_and_the_merge_with_it(merge, value, shape, dead):
    model = branches(merge, value=value, shape=shape, dead=dead)
    (merging,) = {type(one).__name__ for one in model.operations} & {
        *("Add", "Subtract", "Multiply", "Divide", "TrueDivide", "Concatenate", "CustomScaleLayer")
    }
    left, result = stripped(model)
    assert merging not in left
    assert dead not in {layer.name for layer in result.model.layers}


@pytest.mark.parametrize(
    ("merge", "value", "shape", "dead"),
    [
        (layers.Subtract(), 0.0, WIDE, "first"),
        (layers.Average(), 0.0, WIDE, "second"),
        (layers.Maximum(), 0.0, WIDE, "second"),
        (layers.Concatenate(axis=1), 0.0, WIDE, "second"),
        (layers.Multiply(), 0.5, WIDE, "second"),
        (layers.Add(), 0.0, ONE_PIXEL, "first"),  # what is left has one pixel, the sum has all
        (_scaled_sum, 0.0, WIDE, "first"),
        (lambda two: two[0] / two[1], 1.0, WIDE, "first"),
        (lambda two: two[0] + 2.0 * two[1], 0.0, ONE_PIXEL, "first"),
    ],
)
def test_a_merge_that_still_does_something_stays(merge, value, shape, dead):
    model = branches(merge, value=value, shape=shape, dead=dead)
    _, result = stripped(model)
    assert len(result.model.operations) == len(model.operations)


def test_one_of_three_goes_and_the_sum_stays():
    inputs = keras.Input((5,))
    three = [layers.Dense(4, name=f"d{number}")(inputs) for number in range(3)]
    model = models.randomize(keras.Model(inputs, layers.Dense(2)(layers.Add(name="sum")(three))))
    for weight in model.get_layer("d1").weights:
        weight.assign(np.zeros(weight.shape))
    left, result = stripped(model)
    assert "Add" in left and "d1" not in {layer.name for layer in result.model.layers}
    assert len(keras.tree.flatten(result.model.get_layer("sum").input)) == 2


NOTHING = {
    "Identity": layers.Identity(),
    "Activation": layers.Activation("linear"),
    "ZeroPadding2D": layers.ZeroPadding2D(0),
    "Cropping2D": layers.Cropping2D(((0, 0), (0, 0))),
    "UpSampling2D": layers.UpSampling2D(1, interpolation="bilinear"),
    "MaxPooling2D": layers.MaxPooling2D(1),
    "AveragePooling2D": layers.AveragePooling2D(1, strides=1, padding="same"),
    "Reshape": layers.Reshape((4, 4, 6)),
    "Permute": layers.Permute((1, 2, 3)),
    "Add": lambda x: x + 0.0,
    "Subtract": lambda x: x - 0.0,
    "Multiply": lambda x: 1.0 * x,
    "Transpose": lambda x: ops.transpose(x, (0, 1, 2, -1)),
    "Concatenate": lambda x: ops.concatenate([x], axis=-1),
}
SOMETHING = {
    "Activation": layers.Activation("relu"),
    "ZeroPadding2D": layers.ZeroPadding2D(((0, 1), (0, 0))),
    "Cropping2D": layers.Cropping2D(((0, 1), (0, 0))),
    "UpSampling2D": layers.UpSampling2D((1, 2)),
    "MaxPooling2D": layers.MaxPooling2D(1, strides=2),
    "AveragePooling2D": layers.AveragePooling2D((1, 2), strides=1, padding="same"),
    "Reshape": layers.Reshape((2, 8, 6)),
    "Permute": layers.Permute((2, 1, 3)),
    "Dropout": layers.Dropout(0.5),  # it has its work in training
    "Add": lambda x: x + 1.0,
    "Subtract": lambda x: 0.0 - x,
    "Multiply": lambda x: 2.0 * x,
    "Transpose": lambda x: ops.transpose(x, (0, 2, 1, 3)),
    "Relu": ops.relu,
    "CenterCrop": layers.CenterCrop(2, 2),
}


@pytest.mark.parametrize("name", NOTHING)
def test_a_layer_that_changes_nothing_goes(name):
    assert name not in stripped(between(NOTHING[name]))[0]


@pytest.mark.parametrize("name", SOMETHING)
def test_a_layer_that_changes_something_stays(name):
    assert name in stripped(between(SOMETHING[name]))[0]


def between(layer):
    inputs = keras.Input((4, 4, 2))
    x = layer(layers.Conv2D(6, 1, name="before")(inputs))
    return models.randomize(keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x))))


def masked(merge):
    """Zeros of the index stand for "nothing here": Keras passes a mask on to whoever reads it."""
    inputs = keras.Input((24,), dtype="int32")
    x = layers.Embedding(2, 5, mask_zero=True, name="words")(inputs)
    y = layers.Embedding(2, 5, name="others")(inputs)
    x = layers.GlobalAveragePooling1D(name="mean")(merge([x, y]))
    return models.randomize(keras.Model(inputs, layers.Dense(3, name="logits")(x)))


def silence(layer, *columns):
    table = keras.ops.convert_to_numpy(layer.embeddings).copy()
    table[:, list(columns)] = 0
    layer.embeddings.assign(table)


def test_an_average_under_a_mask_is_cut_channel_by_channel():
    model = masked(lambda two: two[0])
    silence(model.get_layer("words"), 1, 3)
    assert "mask" in build_channel_graph(model).calls[-2].given
    assert stripped(model)[1].removed == {"words": 2}


@pytest.mark.parametrize("merge", [layers.Multiply(), layers.Maximum(), layers.Minimum()])
def test_a_merge_that_reads_a_mask_is_a_barrier(merge):
    """Where the mask says no, Multiply takes 1 for the value: zero times anything is not zero there."""
    model = masked(merge)
    silence(model.get_layer("words"), 1, 3)
    _, result = stripped(model)
    assert result.removed == {}
    assert "its inputs carry a mask, which it reads" in result.skipped["words"]


def test_a_sum_that_ends_a_mask_stays():
    """Without the sum, the mask of its first input would reach the average."""
    model = masked(layers.Add(name="sum"))
    silence(model.get_layer("others"), *range(5))
    assert "Add" in stripped(model)[0]


def test_one_channel_that_meets_many_is_no_group():
    groups = tf_wgsef.build_groups(branches(layers.Multiply(), shape=ONE_CHANNEL))
    assert groups.layers == ("first",)


@pytest.mark.parametrize("scale", [True, False])
def test_a_group_is_silent_behind_a_batch_norm(scale):
    """Without a scale, the moving mean would make the channel a constant: it goes with the group."""
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(6, 1, name="conv")(inputs)
    x = layers.BatchNormalization(scale=scale, name="norm")(x)
    model = models.randomize(keras.Model(inputs, layers.Conv2D(2, 1, name="last")(x)))
    groups = tf_wgsef.build_groups(model)
    groups.scale(model, np.arange(6) != 4)
    norm = keras.Model(model.inputs, model.get_layer("norm").output)
    output = outputs(norm)
    assert not output[..., 4].any() and output.any(axis=(0, 1, 2)).sum() == 5
