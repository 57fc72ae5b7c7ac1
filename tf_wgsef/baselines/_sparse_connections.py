"""SparseConnections2D: a convolution whose filters each see a random share of the input channels."""

import numbers
import random

import keras
import numpy as np
from keras import ops

from tf_wgsef.baselines._links import add_links
from tf_wgsef.errors import InputError


@keras.saving.register_keras_serializable("tf_wgsef")
class SparseConnections2D(keras.layers.Conv2D):
    """A 2D convolution with channel-wise sparse connections (Changpinyo et al. 2017, arXiv:1702.06257).

    Each output channel sees max(1, round(density · inputs)) input channels, chosen at random once: the same
    ones at all positions of the kernel's window, and no input is left out where there are links enough.
    A link that is missing has weight 0, gradient 0, and stays so. ``grow`` adds links, which start at 0:
    the paper's incremental training.

    The masked form alone saves nothing: it multiplies by the zeros, and its file holds them. Two ways to
    gain from it: ``grouped=True``, where input channels are shuffled into 1/density groups, each of which
    makes its share of the output, costs ``density`` of the multiplications (it is not in the paper, and
    which inputs an output sees is no longer independent of its neighbours'); or train, then
    ``tf_wgsef.strip(plain_convolutions(model))``, which takes what nobody sees any more. As it stands the
    layer converts, and is a barrier for groups and strip.

    Unverified: how the paper draws the links, and whether it scales the initial weights. Here the initializer
    sees the number of inputs that a filter really has. JAX's optimizer step sees only what it trains, so the
    constraint that zeroes missing links again after each step is on TensorFlow and PyTorch only; what the
    layer computes does not depend on it.

    Args:
        filters: number of output channels.
        kernel_size: an int, or two.
        density: share of the input channels that each output sees, in (0, 1].
        grouped: whether to make a grouped convolution; 1/density must be a whole number that divides both
            input channels and filters.
        seed: of the choice of links; one is drawn if None.
        **kwargs: of ``keras.layers.Conv2D``, other than ``groups``.

    Attributes:
        links: the mask, a variable of 0 and 1 of shape (inputs, filters); None if ``grouped``.

    Raises:
        InputError: for a density or a seed outside its range, or groups that do not fit.

    Example:
        >>> import keras, tf_wgsef.baselines
        >>> layer = tf_wgsef.baselines.SparseConnections2D(8, 3, density=0.25, seed=1)
        >>> tuple(layer(keras.ops.ones((1, 5, 5, 12))).shape)
        (1, 3, 3, 8)
        >>> int(keras.ops.sum(layer.links)), tuple(layer.kernel.shape)
        (24, (3, 3, 12, 8))
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        density: float,
        *,
        grouped: bool = False,
        seed: int | None = None,
        **kwargs,
    ):
        if "groups" in kwargs:
            raise InputError(
                f"Expected no `groups`: the density says how many. Received: groups={kwargs['groups']!r}. "
                f"Pass density=0.25, grouped=True for 4 groups."
            )
        self._check_density(density)
        groups = round(1 / density) if grouped else 1
        if grouped and abs(groups * density - 1) > 1e-6:
            raise InputError(
                f"Expected a `density` of 1/groups with grouped=True. Received: density={density!r}. "
                f"Pass 0.5, 0.25 or 0.125, say."
            )
        if filters % groups:
            raise InputError(
                f"Expected a number of filters that {groups} groups share equally. Received: "
                f"filters={filters!r}, density={density!r}."
            )
        super().__init__(filters, kernel_size, groups=groups, **kwargs)
        self.density, self.grouped = float(density), bool(grouped)
        # Drawn here and kept, so that a copy from the configuration has the same links.
        self.seed = random.randrange(2**31) if seed is None else self._check_seed(seed)  # noqa: S311

    def build(self, input_shape):
        """Draws the links and makes the weights."""
        inputs = input_shape[self._channel_axis]
        self.links = self.order = None
        if self.grouped:
            self._check_groups(inputs)
            super().build(input_shape)
            order = np.random.default_rng(self.seed).permutation(inputs)
            self.order = self._constant("order", order, "int32")
            return
        links = add_links(
            np.zeros((inputs, self.filters), bool), self._number(self.density, inputs), self.seed
        )
        dense = self.kernel_initializer
        self.kernel_initializer = _OnLinks(dense, links)
        try:
            super().build(input_shape)
        finally:
            self.kernel_initializer = dense
        self.links = self._constant("links", links, "float32")
        if keras.backend.backend() != "jax":
            self.kernel.constraint = _Masked(self.links, self.kernel_constraint)

    def call(self, inputs):
        """The convolution; of the shuffled channels if grouped."""
        if self.grouped:
            inputs = ops.take(inputs, self.order, axis=self._channel_axis)
        return super().call(inputs)

    def convolution_op(self, inputs, kernel):
        """Convolves with the links that are there."""
        if not self.grouped:
            kernel = ops.multiply(kernel, ops.cast(self.links, kernel.dtype))
        return super().convolution_op(inputs, kernel)

    def grow(self, density: float) -> None:
        """Adds random links until each output sees this share of the inputs; new ones start at 0.

        Args:
            density: the new share, not below the present one.

        Raises:
            InputError: if it is below, or the layer is grouped or not built yet.
        """
        self._check_density(density)
        if not self.built or self.grouped:
            raise InputError(
                f"Expected a layer that is built and not grouped. Received: {self.name!r}, which is "
                f"{'grouped' if self.built else 'not built'}. Call it once, or use grouped=False."
            )
        links = ops.convert_to_numpy(self.links) > 0
        now, number = int(links[:, 0].sum()), self._number(density, len(links))
        if number < now:
            raise InputError(
                f"Expected a `density` that leaves each output its {now} of {len(links)} inputs. Received: "
                f"density={density!r}. To remove links, make a new layer."
            )
        # What was masked is zero already, unless somebody has set it.
        self.kernel.assign(ops.multiply(self.kernel, ops.cast(self.links, self.kernel.dtype)))
        self.links.assign(add_links(links, number, self.seed).astype("float32"))
        self.density = float(density)

    def to_conv2d(self):
        """Returns a ``keras.layers.Conv2D`` that computes the same, with zeros for what is not linked.

        Raises:
            InputError: if the layer is not built yet.
        """
        if not self.built:
            raise InputError(f"Expected a built layer. Received: {self.name!r}, not built. Call it once.")
        plain = keras.layers.Conv2D.from_config({**super().get_config(), "groups": 1})
        kernel = self._dense_kernel()
        shape = [None] * 4
        shape[self._channel_axis] = kernel.shape[-2]
        plain.build(tuple(shape))
        plain.trainable = self.trainable
        plain.set_weights([kernel, ops.convert_to_numpy(self.bias)] if self.use_bias else [kernel])
        return plain

    def _dense_kernel(self) -> np.ndarray:
        kernel = ops.convert_to_numpy(self.kernel)
        if not self.grouped:
            return kernel * ops.convert_to_numpy(self.links).astype(kernel.dtype)
        order = ops.convert_to_numpy(self.order).reshape(self.groups, -1)
        dense = np.zeros((*kernel.shape[:2], order.size, self.filters), kernel.dtype)
        each = self.filters // self.groups
        for group, inputs in enumerate(order):
            outputs = np.arange(group * each, (group + 1) * each)
            dense[:, :, inputs[:, None], outputs] = kernel[..., outputs]
        return dense

    def save_own_variables(self, store):
        """Saves the weights, with the links or the order of the channels."""
        for name, variable in self._saved():
            store[name] = variable

    def load_own_variables(self, store):
        """Loads what ``save_own_variables`` saved."""
        for name, variable in self._saved():
            variable.assign(store[name])

    def _saved(self) -> list[tuple]:
        named = (("kernel", "kernel"), ("bias", "bias"), ("links", "connections"), ("order", "connections"))
        found = [(key, getattr(self, name)) for name, key in named] if self.built else []
        return [(key, variable) for key, variable in found if variable is not None]

    def get_config(self):
        """Returns the arguments."""
        config = super().get_config()
        del config["groups"]
        return {**config, "density": self.density, "grouped": self.grouped, "seed": self.seed}

    @property
    def _channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    def _constant(self, name: str, value: np.ndarray, dtype: str):
        return self.add_weight(
            name=name,
            shape=value.shape,
            # An initializer, not an assignment: layers are also built where nothing can be assigned.
            initializer=lambda shape, dtype: ops.convert_to_tensor(value.astype(dtype)),
            dtype=dtype,
            trainable=False,
            autocast=False,
        )

    def _check_groups(self, inputs: int) -> None:
        if inputs % self.groups:
            raise InputError(
                f"Expected a number of input channels that {self.groups} groups share equally. Received: "
                f"{inputs}, density={self.density!r}. Use grouped=False, or another density."
            )

    @staticmethod
    def _number(density: float, inputs: int) -> int:
        return max(1, round(density * inputs))

    @staticmethod
    def _check_seed(seed: int) -> int:
        if isinstance(seed, bool) or not isinstance(seed, numbers.Integral) or seed < 0:
            raise InputError(f"Expected `seed` to be a whole number of at least 0. Received: seed={seed!r}.")
        return int(seed)

    @staticmethod
    def _check_density(density: float) -> None:
        number = isinstance(density, numbers.Real) and not isinstance(density, bool)
        if not number or not 0 < density <= 1:
            raise InputError(
                f"Expected `density` in (0, 1], the share of the input channels that each output sees. "
                f"Received: density={density!r}."
            )


class _OnLinks(keras.initializers.Initializer):
    """Another initializer's values on the links, 0 elsewhere."""

    def __init__(self, initializer, links: np.ndarray):
        self.initializer, self.links = initializer, links

    def __call__(self, shape, dtype=None):
        *window, inputs, outputs = shape
        number = int(self.links[:, 0].sum())
        values = self.initializer((*window, number, outputs), dtype=dtype)
        # Each column has the same number of links: entry i of a filter goes to its link number i.
        place = np.where(self.links, np.cumsum(self.links, axis=0) - 1, 0)
        index = np.broadcast_to(place, (*window, inputs, outputs)).astype("int32")
        spread = ops.take_along_axis(values, index, axis=-2)
        return ops.multiply(spread, ops.cast(self.links, spread.dtype))


class _Masked(keras.constraints.Constraint):
    """The caller's constraint, then zeros where there is no link."""

    def __init__(self, links, constraint):
        self.links, self.constraint = links, constraint

    def __call__(self, kernel):
        kernel = kernel if self.constraint is None else self.constraint(kernel)
        return ops.multiply(kernel, ops.cast(self.links, kernel.dtype))
