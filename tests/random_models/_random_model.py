"""random_model: inputs, some steps on the open ends, merges, outputs."""

import keras
import numpy as np
from keras import layers

from tests.random_models._maker import Maker
from tests.random_models._merges import merge_any
from tests.random_models._mixing import recurrent_layer
from tests.random_models._models import head, sequential, step

VOCABULARY = 6
_LAYERS_AT_MOST = 20


def random_model(seed: int) -> keras.Model:
    """A small random model: the same for the same seed, names of raw operations aside.

    Args:
        seed: of all choices; the weights are zeros and ones until ``fill``.
    """
    maker = Maker(np.random.default_rng([seed, 0]))
    name = f"random_{seed}"
    if maker.chance(0.08):
        return sequential(maker, _shape(maker, _kind(maker)), maker.whole(3, 8), name)
    inputs, tips = _inputs(maker)
    seen = list(tips)
    for _ in range(maker.whole(2, 11)):
        if maker.count > _LAYERS_AT_MOST:
            break
        _grow(maker, tips, seen)
    wanted = maker.weighted({1: 7, 2: 2, 3: 0.5})
    while len(tips) > wanted:
        tips.append(merge_any(maker, tips.pop(0), tips.pop(0)))
    return keras.Model(inputs, _outputs(maker, tips, seen), name=name)


def _grow(maker, tips: list, seen: list) -> None:
    """One step at an open end; seldom a second end opens, or two are merged."""
    if len(tips) > 1 and maker.chance(0.3):
        first = tips.pop(maker.whole(0, len(tips) - 1))
        tips.append(merge_any(maker, first, tips.pop(maker.whole(0, len(tips) - 1))))
    elif maker.chance(0.12):
        tips.append(step(maker, maker.pick(seen)))
    else:
        index = maker.whole(0, len(tips) - 1)
        tips[index] = step(maker, tips[index])
    seen.append(tips[-1])


def _kind(maker) -> str:
    return maker.weighted({"image": 4, "sequence": 3, "vector": 2, "volume": 1.4})


def _shape(maker, kind: str) -> tuple[int, ...]:
    channels = maker.whole(1, 5)
    if kind == "image":
        return (maker.whole(4, 9), maker.whole(4, 9), channels)
    if kind == "sequence":
        return (maker.whole(4, 8), channels)
    return (maker.whole(3, 8),) if kind == "vector" else (*(maker.whole(3, 5) for _ in range(3)), channels)


def _inputs(maker):
    """One to three inputs, often alike; whole numbers go through an embedding at once."""
    count = maker.weighted({1: 7, 2: 2.5, 3: 0.5})
    inputs, tips = [], []
    kind, shape, alike = _kind(maker), None, maker.chance(0.5)
    for index in range(count):
        if maker.chance(0.13):
            inputs.append(keras.Input((maker.whole(4, 7),), dtype="int32", name=f"tokens{index}"))
            tips.append(_embed(maker, inputs[-1]))
            continue
        if shape is None or not alike:
            shape = _shape(maker, kind if alike or not index else _kind(maker))
        inputs.append(keras.Input(shape, name=f"input{index}"))
        tips.append(inputs[-1])
    if maker.chance(0.15):
        return {tensor.name: tensor for tensor in inputs}, tips
    return inputs if len(inputs) > 1 or maker.chance(0.2) else inputs[0], tips


def _embed(maker, tokens):
    masked = maker.chance(0.15)
    x = maker.layer(layers.Embedding, VOCABULARY, maker.units(), mask_zero=masked)(tokens)
    if masked:  # a recurrent layer uses the mask up; a global average of nothing would be NaN
        return recurrent_layer(maker, sequences=False)(x)
    if maker.chance(0.2):
        x = x + maker.layer(layers.Embedding, VOCABULARY, x.shape[-1])(tokens)
    return x


def _outputs(maker, tips: list, seen: list):
    """One tensor, a list or a dict; seldom a tensor from the middle, or one twice."""
    outputs = [head(maker, tip) for tip in tips]
    between = [tensor for tensor in seen if len(tensor.shape) > 1 and tensor is not seen[0]]
    if between and maker.chance(0.12):
        outputs.append(step(maker, maker.pick(between)) if maker.chance(0.5) else maker.pick(between))
    if maker.chance(0.03):
        outputs.append(outputs[0])
    if len(outputs) == 1:
        return outputs if maker.chance(0.1) else outputs[0]
    if maker.chance(0.3):
        return {f"out{index}": tensor for index, tensor in enumerate(outputs)}
    return outputs
