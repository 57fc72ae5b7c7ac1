"""Maker: draws choices from one generator, and makes layers that need no other source of randomness."""

import functools
import inspect

import keras

# Continuous ones only: behind a jump, one rounding step more or less is a large difference.
ELEMENTWISE = (
    "relu relu6 elu selu celu gelu silu mish tanh hard_tanh sigmoid hard_sigmoid hard_silu softplus "
    "softsign leaky_relu soft_shrink tanh_shrink squareplus sparse_plus log_sigmoid linear"
).split()
MIXING = ["softmax", "log_softmax", "sparsemax"]


class Maker:
    """Draws from a generator, and makes named layers.

    Layers start from zeros or ones (an orthogonal kernel takes long to draw), and random ones get a seed.

    Args:
        generator: a NumPy generator; children of a maker share it.
        prefix: of the names of layers.
        depth: how many models this maker's model is nested in.
    """

    def __init__(self, generator, prefix: str = "l", depth: int = 0):
        self.generator = generator
        self.prefix = prefix
        self.depth = depth
        self.count = 0
        self.children = 0

    def chance(self, probability: float) -> bool:
        return bool(self.generator.random() < probability)

    def pick(self, options):
        options = list(options)
        return options[int(self.generator.integers(len(options)))]

    def whole(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return int(self.generator.integers(low, high + 1))

    def weighted(self, options: dict):
        """A key of ``options``, drawn in proportion to its value."""
        weights = list(options.values())
        return list(options)[int(self.generator.choice(len(weights), p=[w / sum(weights) for w in weights]))]

    def units(self) -> int:
        return self.whole(2, 8)

    def activation(self):
        """The activation argument of a layer: often none, rarely one that mixes the channels."""
        kind = self.weighted({"none": 4, "elementwise": 6, "mixing": 0.5, "layer": 0.3})
        if kind == "layer":
            return keras.layers.LeakyReLU(0.2, name=self.name("leaky_relu"))
        return {"none": None, "elementwise": self.pick(ELEMENTWISE), "mixing": self.pick(MIXING)}[kind]

    def name(self, kind: str) -> str:
        self.count += 1
        return f"{self.prefix}{self.count}_{kind.lower()}"

    def layer(self, cls, *args, **kwargs):
        """Makes a layer of ``cls``: named, seeded, without slow initializers, with or without a bias."""
        for parameter in _parameters(cls):
            if parameter.endswith("_initializer"):
                kwargs.setdefault(parameter, self.pick(["zeros", "ones"]))
        if "seed" in _parameters(cls):
            kwargs.setdefault("seed", self.whole(0, 999))
        if "use_bias" in _parameters(cls):
            kwargs.setdefault("use_bias", self.chance(0.75))
        return cls(*args, **kwargs, name=self.name(cls.__name__))

    def knows(self, cls, parameter: str) -> bool:
        """Whether this version of Keras has the parameter."""
        return parameter in _parameters(cls)

    def child(self) -> "Maker":
        """The maker of a nested model; in half of them, layers have the same names as outside."""
        self.children += 1
        prefix = self.prefix if self.chance(0.5) else f"{self.prefix}n{self.children}_"
        return Maker(self.generator, prefix, self.depth + 1)


@functools.cache
def _parameters(cls) -> tuple[str, ...]:
    return tuple(inspect.signature(cls.__init__).parameters)
