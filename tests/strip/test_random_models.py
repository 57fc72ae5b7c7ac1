"""strip on random models: a sample of what ``python -m tests.strip.fuzz`` runs for long."""

from collections import Counter

import keras
import numpy as np
import pytest
from keras import layers

from tests.random_models import random_model, traits, walk
from tests.strip.fuzz import check, make

pytestmark = pytest.mark.filterwarnings("ignore:You are using a softmax")

_CHUNK = 10
_DIMENSIONS = [
    f"{name}{dimensions}D"
    for name in (
        "Conv ConvTranspose MaxPooling AveragePooling GlobalMaxPooling GlobalAveragePooling UpSampling "
        "ZeroPadding Cropping".split()
    )
    for dimensions in (1, 2, 3)
]
"""Layers for sequences, images and volumes; a transposed one is called Conv2DTranspose."""

COVERED = [
    *(name.replace("Transpose", "") + "Transpose" if "Transpose" in name else name for name in _DIMENSIONS),
    *"DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D Dense EinsumDense Embedding".split(),
    *"BatchNormalization LayerNormalization GroupNormalization RMSNormalization".split(),
    *"UnitNormalization Activation ReLU LeakyReLU ELU PReLU Softmax Rescaling Identity".split(),
    *"Dropout SpatialDropout1D SpatialDropout2D GaussianDropout GaussianNoise AlphaDropout".split(),
    *"Flatten Reshape Permute RepeatVector Lambda Functional Sequential TimeDistributed".split(),
    *"Add Subtract Multiply Average Maximum Minimum Concatenate Dot".split(),
    *"MultiHeadAttention GroupedQueryAttention Attention AdditiveAttention".split(),
    *"LSTM GRU SimpleRNN Bidirectional".split(),
    # options
    *"Conv1D[causal] Conv1D[groups] Conv2D[groups] Conv1D[no_bias] Conv2D[no_bias] Dense[no_bias]".split(),
    *"Conv1D[strides] Conv2D[strides] Conv1D[dilation_rate] Conv2D[dilation_rate]".split(),
    *"DepthwiseConv2D[strides] DepthwiseConv2D[dilation_rate] Conv2DTranspose[strides]".split(),
    *"GlobalAveragePooling1D[keepdims] GlobalAveragePooling2D[keepdims]".split(),
    *"LSTM[return_sequences] GRU[return_sequences] SimpleRNN[return_sequences]".split(),
    *"LSTM[go_backwards] GRU[go_backwards] SimpleRNN[go_backwards] LSTM[no_bias]".split(),
    *"GRU[reset_after=True] GRU[reset_after=False] Embedding[mask_zero]".split(),
    *"Bidirectional[sum] Bidirectional[mul] Bidirectional[concat] Bidirectional[ave]".split(),
    *"TimeDistributed[Dense] TimeDistributed[Conv1D] TimeDistributed[DepthwiseConv1D]".split(),
    *"Concatenate[axis=-1] Concatenate[axis=1] Concatenate[axis=2]".split(),
    *"ops.Add ops.Subtract ops.Multiply ops.TrueDivide ops.Negative ops.Relu ops.Tanh".split(),
    *"ops.Concatenate ops.Split ops.GetItem ops.Mean ops.Softmax ops.Where ops.Matmul".split(),
    *["layer used twice", "model used twice", "model in a model in a model"],
    *["several inputs", "several outputs", "whole numbers as input"],
]


@pytest.mark.parametrize("first", range(0, 50 * _CHUNK, _CHUNK))
def test_random_models_compute_the_same_after_strip(first):
    failures = []
    for seed in range(first, first + _CHUNK):
        try:
            check(seed)
        except Exception as error:  # noqa: BLE001 - told below, with its seed
            failures.append(f"seed {seed}: {type(error).__name__}: {error}")
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("seed", range(8))
def test_a_seed_gives_the_same_model_weights_and_zeros(seed):
    made = []
    for other_state in (1, 2):
        keras.utils.set_random_seed(other_state)
        model, patterns = make(seed)
        named = [operation.name for operation, _ in walk(model) if isinstance(operation, layers.Layer)]
        made.append((named, patterns, model.get_weights()))
    (names, patterns, weights), (other_names, other_patterns, other_weights) = made
    assert names == other_names and patterns == other_patterns
    for one, other in zip(weights, other_weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_every_kind_of_layer_is_drawn():
    """300 seeds together: what the generator lost would not be tested any more, and nobody would see it."""
    found = Counter()
    for seed in range(300):
        found.update(traits(random_model(seed)).keys())
    missing = [kind for kind in COVERED if not found[kind]]
    assert not missing
