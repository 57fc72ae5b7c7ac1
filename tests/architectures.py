"""Architectures that users of the field build, with random weights: what strip must be exact on."""

import keras
from keras import layers, ops


def _conv_bn(x, filters, kernel=3, strides=1, activation="relu"):
    x = layers.Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation(activation)(x) if activation else x


def _cifar_resnet(depth):
    """ResNet for CIFAR (He et al. 2016, section 4.2): 6n + 2 layers, shortcuts by 1×1 convolutions."""
    inputs = keras.Input((32, 32, 3))
    x = _conv_bn(inputs, 16)
    for stage, filters in enumerate((16, 32, 64)):
        for block in range((depth - 2) // 6):
            strides = 2 if stage and not block else 1
            y = _conv_bn(x, filters, strides=strides)
            y = _conv_bn(y, filters, activation=None)
            if strides == 2:
                x = _conv_bn(x, filters, kernel=1, strides=2, activation=None)
            x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(10)(x), name=f"resnet{depth}")


def resnet8():
    return _cifar_resnet(8)


def resnet20():
    return _cifar_resnet(20)


def resnet56():
    return _cifar_resnet(56)


def densenet40():
    """DenseNet-40 with a growth of 12 (Huang et al. 2017): 3 blocks of 12 layers."""
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(16, 3, padding="same", use_bias=False)(inputs)
    for block in range(3):
        for _ in range(12):
            y = layers.ReLU()(layers.BatchNormalization()(x))
            y = layers.Conv2D(12, 3, padding="same", use_bias=False)(y)
            x = layers.Concatenate()([x, y])
        if block < 2:
            x = layers.ReLU()(layers.BatchNormalization()(x))
            x = layers.Conv2D(x.shape[-1], 1, use_bias=False)(x)
            x = layers.AveragePooling2D(2)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)), name="densenet40")


def unet():
    """U-Net (Ronneberger et al. 2015): down, up by transposed convolutions, and skips that concatenate."""
    inputs = keras.Input((16, 16, 3))
    x, skips = inputs, []
    for filters in (4, 8):
        x = _conv_bn(_conv_bn(x, filters), filters)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = _conv_bn(x, 16)
    for filters, skip in zip((8, 4), reversed(skips), strict=True):
        x = layers.Conv2DTranspose(filters, 2, strides=2, padding="same")(x)
        x = _conv_bn(layers.Concatenate()([x, skip]), filters)
    return keras.Model(inputs, layers.Conv2D(2, 1, activation="softmax")(x), name="unet")


def _encoder_block(x, heads, width, hidden, *, before):
    """A transformer block, normalized before (ViT) or after (Vaswani et al. 2017) each part."""
    y = layers.LayerNormalization(epsilon=1e-6)(x) if before else x
    y = layers.MultiHeadAttention(heads, width // heads, dropout=0.1)(y, y)
    x = layers.Add()([x, layers.Dropout(0.1)(y)])
    x = x if before else layers.LayerNormalization(epsilon=1e-6)(x)
    y = layers.LayerNormalization(epsilon=1e-6)(x) if before else x
    y = layers.Dense(hidden, activation="gelu")(y)
    x = layers.Add()([x, layers.Dense(width)(y)])
    return x if before else layers.LayerNormalization(epsilon=1e-6)(x)


def vit():
    """A stack of ViT blocks (Dosovitskiy et al. 2021) on patches of 4×4, with learned positions."""
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(16, 4, strides=4)(inputs)
    x = layers.Reshape((16, 16))(x)
    positions = layers.Embedding(16, 16)(ops.cumsum(ops.ones_like(x[:, :, 0], dtype="int32"), axis=1) - 1)
    x = layers.Add()([x, positions])
    for _ in range(3):
        x = _encoder_block(x, 4, 16, 32, before=True)
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(inputs, layers.Dense(10)(x), name="vit")


def transformer_encoder():
    """A text classifier as in Keras's examples: embedded tokens and positions, one encoder, two dense."""
    inputs = keras.Input((12,), dtype="int32")
    x = layers.Embedding(2, 16)(inputs)
    positions = layers.Embedding(12, 16)(ops.cumsum(ops.ones_like(inputs), axis=1) - 1)
    x = _encoder_block(layers.Add()([x, positions]), 2, 16, 24, before=False)
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dense(20, activation="relu")(layers.Dropout(0.1)(x))
    return keras.Model(inputs, layers.Dense(2, activation="softmax")(x), name="transformer_encoder")


def two_layer_gru():
    return keras.Sequential(
        [
            keras.Input((10, 6)),
            layers.GRU(12, return_sequences=True),
            layers.GRU(8),
            layers.Dense(5),
        ],
        name="two_layer_gru",
    )


ALL = {
    builder.__name__: builder
    for builder in (
        unet,
        resnet8,
        resnet20,
        resnet56,
        densenet40,
        vit,
        two_layer_gru,
        transformer_encoder,
    )
}
