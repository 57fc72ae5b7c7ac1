"""A vision transformer that trains on 32×32 images."""

import keras
from keras import layers


def small_vit(classes: int = 10, width: int = 96, depth: int = 6, heads: int = 3) -> keras.Model:
    """Returns a small vision transformer (Dosovitskiy et al. 2021, arXiv:2010.11929), patches of 4×4 pixels.

    Tokens are averaged, there is no class token; where a patch is comes from a depthwise convolution in
    front of the blocks (conditional positions: Chu et al. 2021, arXiv:2102.10882).

    Args:
        classes: number of classes; the model returns their logits.
        width: channels of a token.
        depth: number of blocks.
        heads: attention heads in a block.
    """
    inputs = keras.Input((32, 32, 3), name="image")
    x = layers.Conv2D(width, 4, 4, name="patches")(inputs)
    places = layers.DepthwiseConv2D(3, padding="same", name="positions")(x)
    x = layers.Reshape((64, width), name="tokens")(layers.Add(name="placed")([x, places]))
    for number in range(1, depth + 1):
        x = _block(x, width, heads, f"block{number}")
    x = layers.GlobalAveragePooling1D(name="pool")(layers.LayerNormalization(name="head_norm")(x))
    return keras.Model(inputs, layers.Dense(classes, name="logits")(x), name="small_vit")


def _block(x, width: int, heads: int, name: str):
    y = layers.LayerNormalization(name=f"{name}_norm1")(x)
    y = layers.MultiHeadAttention(heads, width // heads, name=f"{name}_attention")(y, y)
    x = layers.Add(name=f"{name}_add1")([x, y])
    y = layers.LayerNormalization(name=f"{name}_norm2")(x)
    y = layers.Dense(4 * width, activation="gelu", name=f"{name}_mlp1")(y)
    return layers.Add(name=f"{name}_add2")([x, layers.Dense(width, name=f"{name}_mlp2")(y)])
