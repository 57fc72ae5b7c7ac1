"""strip on the architectures of the field: exact, and every channel that its group allows is gone."""

import keras
import numpy as np
import pytest

import tf_wgsef
from tests import architectures, models


def scaled(model, seed=0):
    """Random weights that keep activations of order one through many layers; no term is zero by chance."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        shape = tuple(weight.shape)
        value = generator.normal(0, 0.1, shape)
        if "variance" in weight.path or "gamma" in weight.path:
            value = generator.uniform(0.5, 1.5, shape)
        elif len(shape) > 1 and "bias" not in weight.path:
            value = generator.normal(0, np.sqrt(1.5 / np.prod(shape[:-1])), shape)
        weight.assign(value)
    return model


def halved(model, seed=0):
    groups = tf_wgsef.build_groups(model)
    alive = np.random.default_rng(seed).random(groups.num_groups) < 0.5
    first = np.searchsorted(groups.layer_of, np.arange(len(groups.layers)))
    alive[first] = True  # one of each layer, so that a path is left
    groups.scale(model, alive.astype("float32"))
    return groups, alive


def difference(model, smaller):
    """Largest difference as a share of the range, and the range."""
    x = models.random_inputs(model, 6, seed=3)
    before, after = (np.asarray(one(x, training=False)) for one in (model, smaller))
    return np.abs(before - after).max() / np.ptp(before), np.ptp(before)


def silence_heads(model, seed=0):
    """Zeroes one head's values and one dimension of the others', in each attention of ``model``."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.MultiHeadAttention):
            kernel, bias = layer.value_dense.kernel, layer.value_dense.bias
            value, shift = (np.array(keras.ops.convert_to_numpy(v)) for v in (kernel, bias))
            value[:, 0], shift[0] = 0, 0
            value[:, 1:, 1], shift[1:, 1] = 0, 0
            kernel.assign(value)
            bias.assign(shift)
            key = np.array(keras.ops.convert_to_numpy(layer.key_dense.kernel))
            key[:, 1:, 0] = 0  # its bias stays: softmax does not see it
            layer.key_dense.kernel.assign(key)


@pytest.mark.parametrize("name", architectures.ALL)
def test_half_of_the_groups_gone_is_exact(name):
    model = scaled(architectures.ALL[name]())
    groups, alive = halved(model)
    silence_heads(model)
    before = [weight.copy() for weight in model.get_weights()]
    result = tf_wgsef.strip(model)
    share, span = difference(model, result.model)
    assert span > 1e-3
    assert share <= 1e-5
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)
    for number, label in enumerate(groups.layers):
        expected = int(alive[groups.layer_of == number].sum())
        assert {result.kept[layer] for layer in label.split("+")} == {expected}, label
    assert result.model.count_params() < 0.75 * model.count_params()


@pytest.mark.parametrize("name", ["vit", "transformer_encoder"])
def test_heads_and_their_dimensions_go(name):
    model = scaled(architectures.ALL[name]())
    silence_heads(model)
    result = tf_wgsef.strip(model)
    for layer in result.model.layers:
        if isinstance(layer, keras.layers.MultiHeadAttention):
            old = model.get_layer(layer.name)
            assert layer.num_heads == old.num_heads - 1
            assert layer.value_dim == old.value_dim - 1
            assert layer.key_dim == old.key_dim - 1


@pytest.mark.parametrize("name", ["unet", "vit", "two_layer_gru"])
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(name, policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = scaled(architectures.ALL[name]())
    finally:
        keras.config.set_dtype_policy(before)
    halved(model)
    result = tf_wgsef.strip(model)
    assert result.removed
    assert {layer.dtype_policy.name for layer in result.model.layers if layer.weights} == {policy}
