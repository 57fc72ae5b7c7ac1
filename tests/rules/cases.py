"""One row per thing a layer or operation can do to channels: what it is, and what strip may cut there.

Each input has eight channels (unless its shape says otherwise), of which 1, 4 and 5 will be silent.
"""

import keras
import numpy as np
from keras import layers, ops

IMAGE, SEQUENCE, VECTOR = (4, 6, 8), (6, 8), (8,)
SILENT = (1, 4, 5)


def _by_name(module, name, *arguments):
    """A layer of ``keras.applications`` that is not public."""
    return getattr(getattr(keras.src.applications, module), name)(*arguments)


def _adapted(axis):
    """A normalization that has seen data: its weights count, and not its configuration."""
    layer = layers.Normalization(axis)
    layer.adapt(np.random.default_rng(0).normal(2.0, 3.0, (9, *IMAGE)).astype("float32"))
    return layer


def _optional(name, *arguments, **options):
    """A layer that not every version of Keras has: another one that passes channels on in its place."""
    return getattr(layers, name)(*arguments, **options) if hasattr(layers, name) else layers.ReLU()


# name: (function of the inputs, shapes of the inputs, channels of each input that stay where the silent
# ones are 0, and where they are 0.75).
CASES = {
    # Channel by channel.
    "identity": (lambda x: layers.Identity()(x), [IMAGE], [5], [5]),
    "alpha_dropout": (lambda x: layers.AlphaDropout(0.5)(x), [IMAGE], [5], [5]),
    "activity": (lambda x: layers.ActivityRegularization(l2=0.1)(x), [IMAGE], [5], [5]),
    "random_flip": (lambda x: layers.RandomFlip()(x), [IMAGE], [5], [5]),
    "random_crop": (lambda x: layers.RandomCrop(4, 6)(x), [IMAGE], [5], [5]),
    "random_contrast": (lambda x: layers.RandomContrast(0.5)(x), [IMAGE], [8], [8]),
    "stochastic_depth": (lambda x: _by_name("convnext", "StochasticDepth", 0.5)(x), [IMAGE], [5], [5]),
    "masking": (lambda x: layers.Masking()(x), [SEQUENCE], [5], [8]),
    "masking_by_number": (lambda x: layers.Masking(0.75)(x), [SEQUENCE], [8], [8]),
    # Scales.
    "rescaling": (lambda x: layers.Rescaling(2.0, 0.5)(x), [IMAGE], [5], [5]),
    "rescaling_each": (lambda x: layers.Rescaling([0.0, 1.0] * 4, 0.5)(x), [IMAGE], [8], [8]),
    "normalization": (
        lambda x: layers.Normalization(mean=[0.5] * 8, variance=[0.1, 2.0] * 4)(x),
        [IMAGE],
        [8],
        [8],
    ),
    "normalization_rows": (lambda x: _adapted((1, 3))(x), [IMAGE], [8], [8]),
    "normalization_back": (
        lambda x: layers.Normalization(axis=None, mean=0.5, variance=3.0, invert=True)(x),
        [IMAGE],
        [8],
        [8],
    ),
    "layer_scale": (lambda x: _by_name("convnext", "LayerScale", 0.1, 8)(x), [IMAGE], [4], [4]),
    "batch_norm_without_scale": (lambda x: layers.BatchNormalization(scale=False)(x), [IMAGE], [5], [5]),
    # Statistics of the input itself. The third of each vector of weights is zero in these models.
    "layer_norm": (lambda x: layers.LayerNormalization()(x), [IMAGE], [8], [8]),
    "layer_norm_pixels": (lambda x: layers.LayerNormalization(axis=[1, 2, 3])(x), [IMAGE], [8], [8]),
    "layer_norm_rows": (lambda x: layers.LayerNormalization(axis=1)(x), [IMAGE], [8], [8]),
    "rms_norm": (lambda x: layers.RMSNormalization(epsilon=0.5)(x), [IMAGE], [5], [8]),
    "rms_norm_pixels": (lambda x: layers.RMSNormalization([1, 2, 3], 0.5)(x), [IMAGE], [5], [8]),
    "unit_norm": (lambda x: layers.UnitNormalization()(x), [IMAGE], [5], [8]),
    "unit_norm_rows": (lambda x: layers.UnitNormalization(axis=1)(x), [IMAGE], [5], [8]),
    "unit_norm_both": (lambda x: layers.UnitNormalization(axis=[1, 3])(x), [IMAGE], [5], [8]),
    "group_norm_pairs": (lambda x: layers.GroupNormalization(4)(x), [IMAGE], [6], [8]),
    "group_norm_halves": (lambda x: layers.GroupNormalization(2, center=False)(x), [IMAGE], [8], [8]),
    "group_norm_one": (lambda x: layers.GroupNormalization(1)(x), [IMAGE], [8], [8]),
    "instance_norm": (lambda x: layers.GroupNormalization(-1)(x), [IMAGE], [4], [7]),
    "instance_norm_bare": (
        lambda x: layers.GroupNormalization(8, center=False, scale=False)(x),
        [IMAGE],
        [5],
        [8],
    ),
    "softmax": (lambda x: layers.Softmax()(x), [IMAGE], [8], [8]),
    "softmax_positions": (lambda x: layers.Softmax(axis=(1, 2))(x), [IMAGE], [5], [5]),
    "softmax_activation": (lambda x: layers.Activation("softmax")(x), [IMAGE], [8], [8]),
    # Positions.
    "resizing": (lambda x: layers.Resizing(5, 9)(x), [IMAGE], [5], [8]),
    "resizing_nearest": (lambda x: layers.Resizing(5, 9, interpolation="nearest")(x), [IMAGE], [5], [5]),
    "resizing_padded": (
        lambda x: layers.Resizing(5, 5, "nearest", pad_to_aspect_ratio=True, fill_value=2.0)(x),
        [IMAGE],
        [8],
        [8],
    ),
    "up_nearest": (lambda x: layers.UpSampling2D((1, 2))(x), [IMAGE], [5], [5]),
    "up_bilinear": (lambda x: layers.UpSampling2D(2, interpolation="bilinear")(x), [IMAGE], [5], [8]),
    "center_crop": (lambda x: layers.CenterCrop(2, 4)(x), [IMAGE], [5], [8]),
    "center_crop_up": (lambda x: layers.CenterCrop(8, 8)(x), [IMAGE], [5], [8]),
    "adaptive_average": (lambda x: _optional("AdaptiveAveragePooling2D", 3)(x), [IMAGE], [5], [5]),
    "adaptive_max": (lambda x: _optional("AdaptiveMaxPooling1D", 4)(x), [SEQUENCE], [5], [5]),
    "pooling_keeps_axes": (lambda x: layers.GlobalMaxPooling2D(keepdims=True)(x), [IMAGE], [5], [5]),
    "average_same": (lambda x: layers.AveragePooling2D(3, 2, "same")(x), [IMAGE], [5], [5]),
    # Several tensors.
    "scaled_sum": (
        lambda x, y: _by_name("inception_resnet_v2", "CustomScaleLayer", 0.2)([x, y]),
        [IMAGE] * 2,
        [5, 5],
        [5, 5],
    ),
    "gate": (lambda x, g: layers.Multiply()([x, g]), [IMAGE, (4, 6, 1)], [5, 1], [8, 1]),
    "one_channel_added": (lambda x, g: layers.Add()([g, x]), [IMAGE, (1, 1, 1)], [8, 1], [8, 1]),
    "concatenate": (lambda x, y: layers.Concatenate()([x, y]), [IMAGE, (4, 6, 8)], [5, 5], [5, 5]),
    "concatenate_rows": (lambda x, y: layers.Concatenate(1)([x, y]), [IMAGE, (2, 6, 8)], [5, 5], [5, 5]),
    "dot": (lambda x, y: layers.Dot(-1)([x, y]), [SEQUENCE, (3, 8)], [5, 5], [8, 8]),
    "dot_one_side": (
        lambda x, y: layers.Dot(-1)([x, layers.Dense(8)(y)]),
        [SEQUENCE, (3, 4)],
        [5, 4],
        [8, 4],
    ),
    "dot_of_vectors": (lambda x, y: layers.Dot(1)([x, y]), [VECTOR] * 2, [5, 5], [8, 8]),
    "cosine": (lambda x, y: layers.Dot(2, normalize=True)([x, y]), [SEQUENCE] * 2, [5, 5], [8, 8]),
    "dot_positions": (lambda x, y: layers.Dot(1)([x, y]), [(6, 4), SEQUENCE], [4, 5], [4, 8]),
    "dot_weights": (lambda x, y: layers.Dot((2, 1))([x, y]), [(4, 6), SEQUENCE], [6, 5], [6, 8]),
    "dot_with_vector": (lambda x, y: layers.Dot((1, 1))([x, y]), [SEQUENCE, (6,)], [5, 6], [8, 6]),
    "dot_mixed": (lambda x, y: layers.Dot((1, 2))([x, y]), [(8, 4), SEQUENCE], [4, 8], [4, 8]),
    "attention": (
        lambda q, v, k: layers.Attention(use_scale=True)([q, v, k]),
        [(3, 8), SEQUENCE, SEQUENCE],
        [5, 5, 5],
        [8, 8, 8],
    ),
    "attention_to_values": (lambda q, v: layers.Attention()([q, v]), [(3, 8), SEQUENCE], [5, 5], [8, 8]),
    "additive_attention": (
        lambda q, v, k: layers.AdditiveAttention()([q, v, k]),
        [(3, 8), SEQUENCE, SEQUENCE],
        [4, 5, 4],
        [7, 8, 7],
    ),
    # Raw operations.
    "raw_gate": (lambda x, g: x * g, [IMAGE, (4, 6, 1)], [5, 1], [8, 1]),
    "raw_number_first": (lambda x: 2.0 - x, [IMAGE], [5], [5]),
    "raw_power": (lambda x: x**2, [IMAGE], [5], [5]),
    "raw_concatenate": (lambda x, y: ops.concatenate([x, y], -1), [IMAGE] * 2, [5, 5], [5, 5]),
    "raw_concatenate_rows": (lambda x, y: ops.concatenate([x, y], 1), [IMAGE] * 2, [5, 5], [5, 5]),
    "raw_stack": (lambda x, y: ops.stack([x, y], 1), [IMAGE] * 2, [5, 5], [5, 5]),
    "raw_stack_behind": (lambda x, y: ops.stack([x, y], -1), [IMAGE] * 2, [8, 8], [8, 8]),
    "raw_reshape": (lambda x: ops.reshape(x, (-1, 24, 8)), [IMAGE], [5], [5]),
    "raw_reshape_rows": (lambda x: ops.reshape(x, (-1, 12, 16)), [IMAGE], [5], [5]),
    "raw_reshape_rest": (lambda x: ops.reshape(x, (-1, 192)), [IMAGE], [5], [5]),
    "raw_reshape_cuts": (lambda x: ops.reshape(x, (-1, 48, 4)), [IMAGE], [8], [8]),
    "raw_transpose": (lambda x: ops.transpose(x, (0, 2, 1, 3)), [IMAGE], [5], [5]),
    "raw_transpose_channels": (lambda x: ops.transpose(x, (0, 3, 1, 2)), [IMAGE], [8], [8]),
    "raw_mean": (lambda x: ops.mean(x, (1, 2), keepdims=True), [IMAGE], [5], [5]),
    "raw_mean_channels": (lambda x: ops.mean(x, -1), [IMAGE], [8], [8]),
    "raw_max": (lambda x: ops.max(x, 1), [IMAGE], [5], [5]),
    "raw_max_from": (lambda x: ops.max(x, 1, initial=0.5), [IMAGE], [8], [8]),
    "raw_sum": (lambda x: ops.sum(x, 1), [IMAGE], [5], [8]),
    "raw_expand": (lambda x: ops.expand_dims(x, 1), [IMAGE], [5], [5]),
    "raw_expand_behind": (lambda x: ops.expand_dims(x, -1), [IMAGE], [8], [8]),
    "raw_squeeze": (lambda x: ops.squeeze(ops.mean(x, 1, keepdims=True), 1), [IMAGE], [5], [5]),
    "raw_pad": (lambda x: ops.pad(x, ((0, 0), (1, 1), (2, 0), (0, 0))), [IMAGE], [5], [8]),
    "raw_pad_number": (
        lambda x: ops.pad(x, ((0, 0), (1, 1), (2, 0), (0, 0)), constant_values=0.75),
        [IMAGE],
        [8],
        [5],
    ),
    "raw_pad_mirror": (lambda x: ops.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)), "reflect"), [IMAGE], [5], [5]),
    "raw_pad_channels": (lambda x: ops.pad(x, ((0, 0), (0, 0), (0, 0), (1, 0))), [IMAGE], [8], [8]),
    "raw_softmax": (lambda x: ops.softmax(x, -1), [IMAGE], [8], [8]),
    "raw_softmax_rows": (lambda x: ops.log_softmax(x, 1), [IMAGE], [5], [5]),
    "raw_rows": (lambda x: x[:, 1:3], [IMAGE], [5], [5]),
    "raw_row": (lambda x: x[:, 0], [IMAGE], [5], [5]),
    "raw_new_axis": (lambda x: x[:, None, ..., 2:5, :], [IMAGE], [5], [5]),
    "raw_new_axis_early": (lambda x: x[:, None], [IMAGE], [5], [5]),
    "raw_new_axis_behind": (lambda x: x[..., None], [IMAGE], [8], [8]),
    "raw_channels": (lambda x: x[..., :6:2], [IMAGE], [8], [8]),
    "raw_channel": (lambda x: x[..., 0], [IMAGE], [8], [8]),
    "raw_split": (lambda x: ops.concatenate(ops.split(x, [2, 5], -1)[::-1], -1), [IMAGE], [5], [5]),
    "raw_split_one": (lambda x: ops.split(x, 2, -1)[1], [IMAGE], [2], [2]),
    "raw_split_some": (lambda x: ops.split(x, 4, -1)[1], [IMAGE], [8], [8]),
    "raw_split_sum": (lambda x: ops.add(*ops.split(x, 2, -1)), [IMAGE], [6], [6]),
    "raw_split_rows": (lambda x: ops.split(x, 2, 1)[1], [IMAGE], [5], [5]),
    "raw_flip": (lambda x: ops.flip(x, 1), [IMAGE], [5], [5]),
    "raw_flip_channels": (lambda x: ops.flip(x, -1), [IMAGE], [8], [8]),
    "raw_resize": (lambda x: ops.image.resize(x, (5, 9)), [IMAGE], [5], [8]),
    "raw_pool": (lambda x: ops.average_pool(x, (2, 2), (2, 2)), [IMAGE], [5], [5]),
    "raw_unit_norm": (lambda x: ops.normalize(x, order=1), [IMAGE], [5], [8]),
    "raw_where": (lambda x: ops.where(x > 0, x, 0.0), [IMAGE], [8], [8]),
}
