"""Weights stored sparse: what the file gains, and which layers sparse kernels would take."""

import keras
import numpy as np
import pytest

import tf_wgsef
from tf_wgsef.convert import predict, sparse_layers
from tf_wgsef.errors import InputError

L = keras.layers


def network(*, zeros=0.9, stem="valid", middle=None, channels=48):
    """The chain that XNNPACK takes, unless told otherwise; ``zeros`` of its weights are zero."""
    keras.utils.set_random_seed(0)
    padding = [L.ZeroPadding2D(1)] if stem == "valid" else []
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            *padding,
            L.Conv2D(16, 3, strides=2, padding=stem, activation="relu", name="stem"),
            L.Conv2D(channels, 1, activation="relu", name="a"),
            L.DepthwiseConv2D(3, padding="same", name="dw"),
            *([middle] if middle else []),
            L.Conv2D(channels, 1, name="b"),
            L.GlobalAveragePooling2D(),
            L.Dense(4, name="head"),
        ]
    )
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        kernel = model.get_layer(name).kernel
        order = rng.permutation(kernel.shape[-1] * kernel.shape[-2]).reshape(kernel.shape)
        kernel.assign(np.where(order < round(zeros * order.size), 0, kernel.numpy()))
    return model


@pytest.mark.parametrize("quantization", ["none", "float16"])
def test_a_sparse_file_is_smaller_and_computes_the_same(quantization):
    model = network()
    dense = tf_wgsef.convert(model, quantization=quantization)
    sparse = tf_wgsef.convert(model, quantization=quantization, sparse=True)
    assert len(sparse) < 0.8 * len(dense)
    x = np.random.default_rng(1).normal(size=(20, 16, 16, 3)).astype("float32")
    np.testing.assert_allclose(predict(sparse, x), predict(dense, x), atol=1e-5)
    stored = [layer for layer in sparse.record.sparse_layers if layer.stored]
    assert [layer.dense_bytes for layer in stored] == [
        (2 if quantization == "float16" else 4) * size for size in (16 * 48, 48 * 48)
    ]
    assert all(layer.zeros == pytest.approx(0.9, abs=1e-3) for layer in stored)
    assert all(layer.bytes <= 0.11 * layer.dense_bytes for layer in stored)
    assert dense.record.sparse_layers == ()


@pytest.mark.parametrize(
    ("options", "obstacle"),
    [
        ({}, None),
        ({"zeros": 0.6}, "60% zeros, not more than 67 %"),
        ({"stem": "same"}, "no stem: a 3×3 convolution"),
        ({"middle": L.MaxPooling2D()}, "its chain meets MAX_POOL_2D"),
        ({"middle": L.Conv2D(48, 3, padding="same", name="wide")}, "its chain meets CONV_2D"),
        ({"middle": L.DepthwiseConv2D(3, strides=2, padding="same")}, "its chain meets DEPTHWISE_CONV_2D"),
        ({"middle": L.ReLU(6.0)}, None),
    ],
)
def test_each_condition_of_the_sparse_kernels_is_told(options, obstacle):
    layers = sparse_layers(tf_wgsef.convert(network(**options), sparse=True))
    found = [layer.obstacle for layer in layers if "/a_1/" in layer.name or "/b_1/" in layer.name]
    assert len(found) == 2
    for one in found:
        assert one is None if obstacle is None else obstacle in one
    others = [layer.obstacle for layer in layers if layer.obstacle not in found]
    assert all(one == "not a 1×1 convolution of stride 1" for one in others) and others


def test_the_report_says_where_there_is_no_speed():
    text = tf_wgsef.convert(network(), sparse=True).report()
    assert "none on x86 with AVX" in text and "stored sparse" in text and "90% zeros" in text


def test_damaged_files_are_said_to_be_damaged():
    """Bytes changed at random: a line each, or an answer, but nothing else."""
    whole, rng, refused = bytes(tf_wgsef.convert(network(), sparse=True)), np.random.default_rng(0), 0
    for _ in range(300):
        damaged = np.frombuffer(whole, np.uint8).copy()
        places = rng.integers(0, 6000, 4) * rng.choice([1, -1])  # the structure is at both ends
        damaged[places] = rng.choice([0, 1, 2, 255], 4)
        try:
            sparse_layers(damaged.tobytes())
        except InputError:
            refused += 1
    assert refused > 10
