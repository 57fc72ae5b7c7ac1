"""What the convolutional networks are built from."""

from keras import layers


def conv_bn(
    x,
    filters: int,
    size: int = 3,
    strides: int = 1,
    *,
    name: str,
    activation: str | None = "relu",
    use_bias: bool = False,
):
    """A convolution, batch norm, and an activation, if any.

    Args:
        x: Keras tensor of shape (batch, height, width, channels).
        filters: number of filters.
        size: of the square kernel; padding is 'same'.
        strides: of the convolution.
        name: of the convolution; the batch norm's ends in ``_bn``.
        activation: behind the batch norm; None for none.
        use_bias: batch norm makes a bias superfluous; some reference models have it all the same.
    """
    options = {"use_bias": use_bias, "kernel_initializer": "he_normal", "name": name}
    x = layers.Conv2D(filters, size, strides, "same", **options)(x)
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_bn")(x)
    return x if activation is None else layers.Activation(activation, name=f"{name}_{activation}")(x)
