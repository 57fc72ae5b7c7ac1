"""Toy models shared by the tests: one per thing that can go wrong, each small."""

import keras
import numpy as np
from keras import layers


def lenet(filters=(4, 6), units=10):
    """Conv - pool - conv - pool - flatten - dense: channels that become units."""
    return keras.Sequential(
        [
            keras.Input((20, 20, 1)),
            layers.Conv2D(filters[0], 5, name="conv1"),
            layers.MaxPooling2D(name="pool1"),
            layers.Conv2D(filters[1], 3, activation="relu", name="conv2"),
            layers.MaxPooling2D(name="pool2"),
            layers.Flatten(name="flatten"),
            layers.Dense(units, activation="relu", name="dense1"),
            layers.Dropout(0.2, name="dropout"),
            layers.Dense(3, activation="softmax", name="logits"),
        ],
        name="lenet",
    )


def batch_norm_chain():
    """Conv - BN - ReLU twice, 'same' padding, no bias."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(6, 3, padding="same", use_bias=False, name="conv1"),
            layers.BatchNormalization(name="bn1"),
            layers.ReLU(name="relu1"),
            layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="conv2"),
            layers.BatchNormalization(name="bn2"),
            layers.Activation("relu6", name="relu2"),
            layers.GlobalAveragePooling2D(name="gap"),
            layers.Dense(3, name="logits"),
        ],
        name="batch_norm_chain",
    )


def residual():
    """A block with a shortcut: two producers tied by Add."""
    inputs = keras.Input((8, 8, 3))
    trunk = layers.Conv2D(6, 3, padding="same", name="stem")(inputs)
    x = layers.BatchNormalization(name="bn_a")(trunk)
    x = layers.ReLU(name="relu_a")(x)
    x = layers.Conv2D(5, 3, padding="same", name="inner")(x)
    x = layers.BatchNormalization(name="bn_b")(x)
    x = layers.LeakyReLU(name="relu_b")(x)
    x = layers.Conv2D(6, 1, name="outer")(x)
    x = layers.Add(name="add")([trunk, x])
    x = layers.AveragePooling2D(2, name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x), name="residual")


def dense_concat():
    """Two branches concatenated, then batch norm over both."""
    inputs = keras.Input((8, 8, 2))
    a = layers.Conv2D(4, 3, padding="same", activation="relu", name="left")(inputs)
    b = layers.Conv2D(5, 1, activation="tanh", name="right")(inputs)
    x = layers.Concatenate(name="concat")([a, b])
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.Activation("gelu", name="gelu")(x)
    x = layers.Conv2D(6, 3, name="after")(x)
    x = layers.GlobalMaxPooling2D(name="gmp")(x)
    return keras.Model(inputs, layers.Dense(2, name="logits")(x), name="dense_concat")


def separable():
    """MobileNet's block: depthwise with a multiplier of 2, then 1x1."""
    return keras.Sequential(
        [
            keras.Input((9, 9, 3)),
            layers.Conv2D(4, 3, strides=2, use_bias=False, name="stem"),
            layers.BatchNormalization(name="bn1"),
            layers.ReLU(max_value=6.0, name="relu1"),
            layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="depthwise"),
            layers.BatchNormalization(name="bn2"),
            layers.ReLU(name="relu2"),
            layers.Conv2D(6, 1, activation="relu", name="pointwise"),
            layers.GlobalAveragePooling2D(name="gap"),
            layers.Dense(3, name="logits"),
        ],
        name="separable",
    )


def two_heads():
    """Two inputs, two outputs, a dense layer shared by both inputs."""
    a, b = keras.Input((5,), name="a"), keras.Input((5,), name="b")
    shared = layers.Dense(6, activation="relu", name="shared")
    left, right = shared(a), shared(b)
    joint = layers.Concatenate(name="joint")([left, right])
    hidden = layers.Dense(7, activation="elu", name="hidden")(joint)
    return keras.Model(
        [a, b],
        {"y": layers.Dense(2, name="y")(hidden), "z": layers.Dense(3, name="z")(left)},
        name="two_heads",
    )


def with_barrier():
    """A layer that no rule knows in the middle; what it touches must stay."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(4, 3, name="before"),
            layers.BatchNormalization(axis=1, name="norm"),
            layers.Conv2D(5, 3, activation="relu", name="between"),
            layers.Conv2D(4, 1, name="after"),
            layers.GlobalAveragePooling2D(name="gap"),
        ],
        name="with_barrier",
    )


def squeeze_and_excite():
    """MobileNetV3's block: a branch that scales channels through Reshape and Multiply; zero padding."""
    inputs = keras.Input((9, 9, 2))
    x = layers.Conv2D(6, 3, strides=2, use_bias=False, name="stem")(inputs)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.Activation("hard_silu", name="act")(x)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name="pad")(x)
    x = layers.DepthwiseConv2D(3, strides=2, name="depthwise")(x)
    s = layers.GlobalAveragePooling2D(name="squeeze")(x)
    s = layers.Reshape((1, 1, 6), name="reshape")(s)
    s = layers.Conv2D(3, 1, activation="relu", name="reduce")(s)
    s = layers.Conv2D(6, 1, activation="hard_sigmoid", name="expand")(s)
    x = layers.Multiply(name="excite")([x, s])
    x = layers.Conv2D(5, 1, name="project")(x)
    x = layers.UpSampling2D(2, name="up")(x)
    x = layers.Cropping2D(1, name="crop")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x), name="squeeze_and_excite")


def sequence():
    """1D convolutions over an embedding, with a flattening Reshape at the end."""
    return keras.Sequential(
        [
            keras.Input((12,), dtype="int32"),
            layers.Embedding(2, 5, name="embedding"),
            layers.ZeroPadding1D(1, name="pad"),
            layers.Conv1D(6, 3, name="conv"),
            layers.PReLU(shared_axes=[1], name="prelu"),
            layers.MaxPooling1D(2, name="pool"),
            layers.DepthwiseConv1D(3, activation="relu", name="depthwise"),
            layers.SeparableConv1D(4, 3, padding="same", activation="elu", name="separable"),
            layers.Permute((1, 2), name="permute"),
            layers.Reshape((16,), name="reshape"),
            layers.Dense(3, name="logits"),
        ],
        name="sequence",
    )


def decoder():
    """Transposed and separable convolutions, merged in every way there is."""
    inputs = keras.Input((6, 6, 3))
    x = layers.Rescaling(2.0, offset=-1.0, name="rescale")(inputs)
    x = layers.SeparableConv2D(5, 3, padding="same", depth_multiplier=2, name="separable")(x)
    a = layers.Conv2DTranspose(4, 2, strides=2, activation="relu", name="up_a")(x)
    b = layers.Conv2DTranspose(4, 3, strides=2, padding="same", name="up_b")(x)
    c = layers.Conv2DTranspose(4, 2, strides=2, use_bias=False, name="up_c")(x)
    joined = layers.Concatenate(name="joined")(
        [
            layers.Subtract(name="subtract")([a, b]),
            layers.Maximum(name="maximum")([a, c]),
            layers.Conv2D(3, 1, name="side")(b),
        ]
    )
    y = layers.Average(name="average")([joined, layers.Conv2D(11, 1, name="mixed")(joined)])
    y = layers.Minimum(name="minimum")([y, joined])
    y = layers.Conv2D(6, 3, name="after")(y)
    y = layers.GlobalMaxPooling2D(name="gmp")(y)
    return keras.Model(inputs, layers.Dense(2, name="logits")(y), name="decoder")


def raw_operations():
    """``keras.ops`` and arithmetic in the graph: hard swish by hand, a residual sum, a scaled branch."""
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(6, 3, padding="same", name="conv1")(inputs)
    x = x * (keras.ops.relu6(x + 3.0) * (1.0 / 6.0))
    y = layers.Conv2D(6, 1, name="conv2")(x)
    y = keras.ops.maximum(keras.ops.tanh(y), x) - y
    z = 1.0 - layers.Conv2D(5, 3, name="conv3")(y)
    z = layers.GlobalAveragePooling2D(name="gap")(z)
    return keras.Model(inputs, layers.Dense(3, name="logits")(z), name="raw_operations")


def recurrent():
    """Masked steps, every kind of cell, both directions side by side and added, a layer per step."""
    inputs = keras.Input((7,), dtype="int32")
    x = layers.Embedding(2, 5, mask_zero=True, name="embedding")(inputs)
    x = layers.GRU(6, return_sequences=True, name="gru")(x)
    x = layers.TimeDistributed(layers.Dense(5, activation="relu", name="inner"), name="steps")(x)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode="sum", name="added")(x)
    x = layers.Bidirectional(layers.SimpleRNN(4), name="joined")(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x), name="recurrent")


def encoder_decoder():
    """A decoder that starts from the encoder's final states: their units are the same channels."""
    source, target = keras.Input((6, 4), name="source"), keras.Input((5, 3), name="target")
    _, *states = layers.LSTM(6, return_state=True, name="encoder")(source)
    x = layers.LSTM(6, return_sequences=True, name="decoder")(target, initial_state=states)
    x = layers.RNN(layers.GRUCell(5, reset_after=False), name="last")(x)
    return keras.Model([source, target], layers.Dense(3, name="logits")(x), name="encoder_decoder")


def grouped():
    """Convolutions in groups of two channels, and with one channel per group."""
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(6, 3, name="stem"),
            layers.Conv2D(6, 3, padding="same", groups=6, activation="relu", name="one_each"),
            layers.Conv2D(12, 1, groups=6, name="two_each"),
            layers.ReLU(name="relu"),
            layers.Conv2D(5, 3, name="after"),
            layers.GlobalAveragePooling2D(name="gap"),
            layers.Dense(3, name="logits"),
        ],
        name="grouped",
    )


def nested():
    """A model in a model in a model; one of them applied twice."""
    block = keras.Sequential(
        [
            keras.Input((6, 6, 5)),
            layers.Conv2D(4, 3, padding="same", activation="relu", name="inner"),
            layers.Conv2D(5, 1, name="outer"),
        ],
        name="block",
    )
    a = keras.Input((6, 6, 5))
    twice = keras.Model(a, layers.Add(name="sum")([a, block(block(a))]), name="twice")
    b = keras.Input((6, 6, 5))
    c = layers.Conv2D(6, 3, activation="relu", name="fork")(twice(b))
    ends = {"mean": layers.GlobalAveragePooling2D(name="gap")(c), "map": layers.Flatten(name="flat")(c)}
    tail = keras.Model(b, ends, name="tail")
    inputs = keras.Input((6, 6, 2))
    found = tail(layers.Conv2D(5, 3, padding="same", name="stem")(inputs))
    joint = layers.Concatenate(name="joint")([found["mean"], found["map"]])
    return keras.Model(inputs, layers.Dense(3, name="logits")(joint), name="nested")


def attention():
    """An encoder block: attention and dense layers between residual sums and layer norms."""
    inputs = keras.Input((5, 4))
    x = layers.EinsumDense("abc,cd->abd", (None, 6), bias_axes="d", activation="relu", name="embed")(inputs)
    x = layers.Dense(8, name="widen")(x)
    y = layers.MultiHeadAttention(2, 3, value_dim=4, name="heads")(x, x)
    x = layers.LayerNormalization(name="norm")(layers.Add(name="sum")([x, y]))
    y = layers.Dense(12, activation="gelu", name="hidden")(x)
    x = layers.Add(name="sum2")([x, layers.Dense(8, name="back")(y)])
    y = layers.Dense(8, activation="relu", name="query")(x)
    x = layers.GroupQueryAttention(3, 4, 2, name="groups")(y, x)
    x = layers.GlobalAveragePooling1D(name="gap")(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x), name="attention")


def normalized():
    """Norms over groups, single channels and root mean squares; a batch norm without a scale."""
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(8, 3, padding="same", name="stem")(inputs)
    x = layers.GroupNormalization(4, name="pairs")(x)
    x = layers.Conv2D(6, 3, padding="same", name="second")(layers.ReLU(name="relu")(x))
    x = layers.GroupNormalization(-1, name="instance")(x)
    x = layers.Conv2D(7, 1, name="third")(layers.Activation("silu", name="silu")(x))
    x = layers.RMSNormalization(epsilon=0.1, name="rms")(x)
    x = layers.Conv2D(6, 3, name="fourth")(x)
    x = layers.BatchNormalization(scale=False, name="shifted")(x)
    x = layers.UnitNormalization(name="unit")(layers.ReLU(name="relu2")(x))
    x = layers.GlobalMaxPooling2D(name="gmp")(x)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x), name="normalized")


def raw_layout():
    """Raw operations that move, cut and join: a gated unit, a sum of rows, a shuffle of positions."""
    inputs = keras.Input((6, 6, 2))
    value, gate = keras.ops.split(layers.Conv2D(12, 3, padding="same", name="both")(inputs), 2, axis=-1)
    x = value * keras.ops.sigmoid(layers.Conv2D(1, 1, name="gate")(gate))
    x = keras.ops.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)))[:, 1:, ::2]
    y = keras.ops.transpose(layers.Conv2D(5, 1, name="side")(x), (0, 2, 1, 3))
    y = keras.ops.reshape(y, (-1, 21, 5))
    y = keras.ops.squeeze(keras.ops.mean(y, axis=1, keepdims=True), 1)
    x = keras.ops.max(keras.ops.sum(x, axis=1), axis=1)
    x = keras.ops.concatenate([x, y], axis=-1)
    return keras.Model(inputs, layers.Dense(3, name="logits")(x), name="raw_layout")


def matched():
    """Two sequences against each other: dot products, attention, rows one after another."""
    a, b = keras.Input((5, 3), name="a"), keras.Input((4, 3), name="b")
    start = layers.Dense(5, activation="relu", name="start")(a)
    left, right = layers.Dense(6, name="left")(start), layers.Dense(6, activation="tanh", name="right")(b)
    scores = layers.Dot(-1, name="scores")([left, right])
    mixed = layers.Dot((2, 1), name="mixed")([scores, layers.Dense(5, name="values")(b)])
    query, key = layers.Dense(4, name="query")(mixed), layers.Dense(4, name="key")(b)
    found = layers.Attention(use_scale=True, name="found")([query, layers.Dense(7, name="held")(b), key])
    rows = layers.Concatenate(axis=1, name="rows")([found, layers.Dense(7, name="kept")(a)])
    return keras.Model([a, b], layers.Dense(3, name="logits")(layers.Flatten()(rows)), name="matched")


ALL = {
    builder.__name__: builder
    for builder in (
        lenet,
        batch_norm_chain,
        residual,
        dense_concat,
        separable,
        two_heads,
        with_barrier,
        squeeze_and_excite,
        sequence,
        decoder,
        raw_operations,
        normalized,
        raw_layout,
        matched,
        recurrent,
        encoder_decoder,
        grouped,
        nested,
        attention,
    )
}


def layer_at(model, path):
    """The layer at a path through nested models and wrappers, such as ``encoder/conv1``."""
    layer = model
    for name in path.split("/"):
        if isinstance(layer, keras.Model):
            layer = layer.get_layer(name)
        else:
            inside = (getattr(layer, key, None) for key in ("layer", "forward_layer", "backward_layer"))
            layer = next(one for one in inside if one is not None and one.name == name)
    return layer


def randomize(model, seed=0):
    """Fills all weights and statistics with random values, so that no term is zero by chance."""
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        value = generator.normal(0.0, 0.5, weight.shape)
        if "variance" in weight.path:
            value = np.abs(value) + 0.5
        weight.assign(value)
    for layer in model.layers:
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()  # it computes with copies of its weights
    return model


def random_inputs(model, batch, seed=0):
    """Inputs for ``model``: standard normal, or 0 and 1 where it takes whole numbers; a list if several."""
    generator = np.random.default_rng(seed)
    inputs = []
    for tensor in model.inputs:
        shape = (batch, *tensor.shape[1:])
        whole = "int" in keras.backend.standardize_dtype(tensor.dtype)
        drawn = generator.integers(0, 2, shape) if whole else generator.normal(size=shape)
        inputs.append(drawn.astype("int32" if whole else "float32"))
    return inputs if len(inputs) > 1 else inputs[0]
