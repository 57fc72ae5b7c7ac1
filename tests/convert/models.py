"""Toy models that a converter can get wrong: folded layers, several inputs and outputs, types."""

import numpy as np


def sequential():
    """Batch normalization to fold, with statistics that are not the initial ones, and a depthwise."""
    import keras

    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(8, 3, padding="same"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.DepthwiseConv2D(3),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(5),
        ]
    )
    rng = np.random.default_rng(0)
    model.set_weights([w + rng.uniform(0, 0.5, w.shape).astype(w.dtype) for w in model.get_weights()])
    return model


def two_in_two_out():
    """Dicts in and out, in another order than that of the names, which is a file's."""
    import keras

    keras.utils.set_random_seed(2)
    image, extra = keras.Input((8, 8, 3), name="image"), keras.Input((5,), name="extra")
    x = keras.layers.Conv2D(6, 3, padding="same", activation="relu")(image)
    x = keras.layers.Add()([x, keras.layers.DepthwiseConv2D(3, padding="same")(x)])
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Concatenate()([x, extra])
    score = keras.layers.Dense(1, name="score")(x)
    classes = keras.layers.Dense(4, activation="softmax", name="classes")(x)
    inputs = {"image": image, "extra": extra}
    return keras.Model(inputs, {"score": score, "classes": classes})


def same_shapes():
    """Two inputs and two outputs of one shape, in an order that is not that of their names."""
    import keras

    keras.utils.set_random_seed(3)
    second, first = keras.Input((6,), name="b"), keras.Input((6,), name="a")
    x = keras.layers.Subtract()([second, first])
    z = keras.layers.Dense(3, name="z")(x)
    return keras.Model([second, first], [z, keras.layers.Dense(3, name="y")(x)])


def mixed_precision():
    """Convolutions that compute in float16, for which LiteRT has no kernels."""
    import keras

    keras.utils.set_random_seed(4)
    policy = keras.DTypePolicy("mixed_float16")
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, dtype=policy, activation="relu")(image)
    x = keras.layers.GlobalAveragePooling2D(dtype=policy)(x)
    return keras.Model(image, keras.layers.Dense(3, dtype="float32")(x))


BUILDERS = {
    builder.__name__: builder for builder in (sequential, two_in_two_out, same_shapes, mixed_precision)
}


def data_for(model, count=40):
    """Returns random inputs by name."""
    rng = np.random.default_rng(7)
    return {
        tensor.name: rng.standard_normal((count, *tensor.shape[1:])).astype(np.float32)
        for tensor in model.inputs
    }
