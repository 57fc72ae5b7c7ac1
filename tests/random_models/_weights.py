"""Random weights, random zeros in them, and random inputs."""

import itertools

import keras
import numpy as np

import tf_wgsef
from tests.random_models._random_model import VOCABULARY


def fill(model, seed: int) -> None:
    """Gives all weights random values: outputs stay of order one, and no term is zero by chance."""
    generator = np.random.default_rng([seed, 1])
    for weight in model.weights:
        weight.assign(_values(weight, generator))


def _values(weight, generator) -> np.ndarray:
    kind, shape = weight.path.rsplit("/", 1)[-1], tuple(weight.shape)
    if "variance" in kind:
        return generator.uniform(0.5, 1.5, shape)
    if kind in ("gamma", "scale"):
        return generator.uniform(0.5, 1.5, shape) * generator.choice([-1.0, 1.0, 1.0], shape)
    if kind == "alpha":
        return generator.uniform(-0.2, 0.5, shape)
    value = generator.normal(0.0, 1.0, shape)
    if "kernel" not in kind:
        return value if kind == "embeddings" else 0.4 * value
    if kind == "depthwise_kernel" or "depthwise" in weight.path:
        fan_in = np.prod(shape[:-2])
    else:
        fan_in = np.prod(shape[:-1])
    return value / np.sqrt(fan_in)


def random_inputs(model, batch: int, seed: int):
    """Inputs in the structure that ``model`` takes: normal, or numbers of rows of an embedding."""
    generator = np.random.default_rng([seed, 2])

    def draw(tensor):
        shape = (batch, *tensor.shape[1:])
        if "int" in keras.backend.standardize_dtype(tensor.dtype):
            return generator.integers(0, VOCABULARY, shape).astype("int32")
        return generator.normal(size=shape).astype("float32")

    # A Sequential model that was never called has `inputs`, but no `input`.
    structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    return keras.tree.map_structure(draw, structure)


def zero_pattern(model, seed: int) -> tuple[str, ...]:
    """Makes some weights zero, in one to three ways drawn from the seed; returns their names.

    Where no output depends on the input any more, it mostly tries again: such models test little.
    """
    generator = np.random.default_rng([seed, 3])
    weights = model.get_weights()
    while True:
        count = generator.choice([1, 2, 3], p=[0.35, 0.4, 0.25])
        chosen = generator.choice(list(_PATTERNS), count, replace=False, p=_SHARES)
        for name in chosen:
            _PATTERNS[name](model, generator)
        if generator.random() < 0.3 or not _is_constant(model, seed):
            return tuple(str(name) for name in chosen)
        model.set_weights(weights)


def _is_constant(model, seed: int) -> bool:
    """Whether all samples have the same outputs."""
    outputs = keras.tree.flatten(model(random_inputs(model, 6, seed), training=False))
    return all(np.allclose(one, one[:1], 1e-5, 1e-6) for one in map(keras.ops.convert_to_numpy, outputs))


def _leaves(model) -> list[dict]:
    """Per layer that owns weights: {variable's name: variable}."""
    leaves = []
    for _, group in itertools.groupby(model.weights, lambda weight: weight.path.rsplit("/", 1)[0]):
        leaf = {}
        for weight in group:
            name = weight.path.rsplit("/", 1)[-1]
            if name in leaf:  # the next layer has the same path
                leaves.append(leaf)
                leaf = {}
            leaf[name] = weight
        leaves.append(leaf)
    return leaves


def _some(generator, leaves: list, share: float = 0.5) -> list:
    """A random share of the leaves, at least one."""
    if not leaves:
        return []
    return [leaves[i] for i in generator.permutation(len(leaves))[: max(1, round(share * len(leaves)))]]


def _zero(weight, axis: int, indices) -> None:
    value = np.array(keras.ops.convert_to_numpy(weight))
    np.moveaxis(value, axis, 0)[indices] = 0
    weight.assign(value)


def _half(generator, count: int) -> np.ndarray:
    return np.flatnonzero(generator.random(count) < 0.5)


def _groups(model, generator) -> None:
    """Half of the library's own groups."""
    groups = tf_wgsef.build_groups(model)
    if groups.num_groups:
        groups.scale(model, (generator.random(groups.num_groups) < 0.5).astype("float32"))


def _outputs(model, generator) -> None:
    """Output slices of kernels, mostly with their biases."""
    for leaf in _some(generator, [leaf for leaf in _leaves(model) if _kernels(leaf)]):
        for kernel in _kernels(leaf):
            axis = -1 if generator.random() < 0.8 else -2  # a transposed or depthwise kernel has them there
            chosen = _half(generator, kernel.shape[axis])
            _zero(kernel, axis, chosen)
            bias = leaf.get("bias")
            if bias is not None and bias.shape[-1] == kernel.shape[axis] and generator.random() < 0.7:
                _zero(bias, -1, chosen)


def _constants(model, generator) -> None:
    """Output slices without their biases: channels that are constant, but not zero."""
    for leaf in _some(generator, [leaf for leaf in _leaves(model) if "bias" in leaf and _kernels(leaf)], 0.7):
        for kernel in _kernels(leaf):
            axes = [axis for axis in (-1, -2) if kernel.shape[axis] == leaf["bias"].shape[-1]]
            axis = axes[-1] if axes and generator.random() < 0.3 else -1
            _zero(kernel, axis, _half(generator, kernel.shape[axis]))


def _inputs(model, generator) -> None:
    """Input slices of kernels: nobody uses these channels here."""
    for leaf in _some(generator, [leaf for leaf in _leaves(model) if _kernels(leaf)]):
        for kernel in _kernels(leaf):
            axis = -2 if generator.random() < 0.7 else 0
            _zero(kernel, axis, _half(generator, kernel.shape[axis]))


def _kernels(leaf: dict) -> list:
    return [weight for name, weight in leaf.items() if "kernel" in name and len(weight.shape) > 1]


def _gammas(model, generator) -> None:
    """Scales of normalizations; the shift stays, or goes too."""
    for leaf in _some(generator, [leaf for leaf in _leaves(model) if _gamma(leaf) is not None], 0.7):
        chosen = _half(generator, _gamma(leaf).shape[0])
        _zero(_gamma(leaf), 0, chosen)
        if "beta" in leaf and generator.random() < 0.4:
            _zero(leaf["beta"], 0, chosen)


def _gamma(leaf: dict):
    """The scale of a normalization; that of an attention is a single number."""
    weight = leaf.get("gamma", leaf.get("scale"))
    return weight if weight is not None and len(weight.shape) else None


def _layers(model, generator) -> None:
    """All weights of one layer or two."""
    for leaf in _some(generator, _leaves(model))[: generator.integers(1, 3)]:
        for name, weight in leaf.items():
            if "moving" not in name and (name != "bias" or generator.random() < 0.7):
                weight.assign(np.zeros(weight.shape))


def _rings(model, generator) -> None:
    """The first or last rows of kernels along their positions, or all but one."""
    leaves = [leaf for leaf in _leaves(model) if any(len(k.shape) > 2 for k in _kernels(leaf))]
    for leaf in _some(generator, leaves, 0.7):
        for kernel in _kernels(leaf):
            for axis in range(len(kernel.shape) - 2):
                size = kernel.shape[axis]
                rows = [[0], [size - 1], [0, size - 1], [i for i in range(size) if i != size // 2]]
                if size > 1 and generator.random() < 0.7:
                    _zero(kernel, axis, rows[generator.integers(4)])


def _heads(model, generator) -> None:
    """Heads of attention: their values, their output, or their queries and keys."""
    parts = [["value"], ["attention_output"], ["value", "attention_output"], ["query", "key"]]
    part = parts[generator.integers(len(parts))]
    for leaf in _leaves(model):
        place = next(iter(leaf.values())).path.split("/")
        if len(place) < 3 or place[-2] not in part or "kernel" not in leaf:
            continue
        axis = 0 if place[-2] == "attention_output" else 1
        chosen = [0] if generator.random() < 0.5 else _half(generator, leaf["kernel"].shape[axis])
        _zero(leaf["kernel"], axis, chosen)
        if axis == 1 and "bias" in leaf and generator.random() < 0.8:
            _zero(leaf["bias"], 0, chosen)


def _units(model, generator) -> None:
    """Units of recurrent layers: all gates and biases, or only what the unit tells the others."""
    for leaf in _leaves(model):
        if "recurrent_kernel" not in leaf:
            continue
        units = leaf["recurrent_kernel"].shape[0]
        chosen = _half(generator, units)
        if generator.random() < 0.4:
            _zero(leaf["recurrent_kernel"], 0, chosen)
        if generator.random() < 0.8:
            columns = (chosen[:, None] + units * np.arange(leaf["kernel"].shape[1] // units)).ravel()
            for weight in leaf.values():
                _zero(weight, -1, columns)


def _nothing(model, generator) -> None:
    """Nothing is zero: nothing may change."""


_PATTERNS = {
    "groups": _groups,
    "outputs": _outputs,
    "constants": _constants,
    "inputs": _inputs,
    "gammas": _gammas,
    "layers": _layers,
    "rings": _rings,
    "heads": _heads,
    "units": _units,
    "nothing": _nothing,
}
_SHARES = [0.16, 0.12, 0.28, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.04]
