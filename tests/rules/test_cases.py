"""Each rule against the layer it stands for: perturb a channel and see, silence it and strip."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_wgsef
from tests import models
from tests.rules.cases import CASES, SILENT
from tf_wgsef.graph import build_channel_graph

ALWAYS_NEEDS_ALL = {"masking", "masking_by_number"}  # each channel has a say in what is masked
CAUTIOUS = {name for name in CASES if "softmax" in name}  # of equal inputs they make equal shares


def assemble(name):
    """Inputs straight into the layer; random weights, of which the third of each vector is zero."""
    build, shapes, _, _ = CASES[name]
    inputs = [keras.Input(shape) for shape in shapes]
    return third_to_zero(models.randomize(keras.Model(inputs, build(*inputs))))


def third_to_zero(model):
    """The third of each vector of weights of the layers that the cases are about."""
    for layer in model.layers:
        for weight in layer.weights if not isinstance(layer, layers.Dense) else ():
            if len(weight.shape) == 1 and "moving" not in weight.path:
                value = keras.ops.convert_to_numpy(weight).copy()
                value[2] = 0
                weight.assign(value)
    return model


def run(model, inputs):
    output = model(inputs, training=False)
    return keras.ops.convert_to_numpy(output[0] if isinstance(output, list) else output).astype(np.float64)


def draw(model, seed):
    generator = np.random.default_rng(seed)
    return [generator.normal(0.3, 1, (3, *x.shape[1:])).astype("float32") for x in model.inputs]


def sources(graph):
    """The keys of the model's inputs, in their order."""
    reading, _ = graph.scopes[id(graph.model)]
    return reading.inputs


def needed_by(graph, output):
    """Per tensor, which channels the rules say that one channel of the model's output needs."""
    used = {key: np.zeros(len(ids), bool) for key, ids in graph.ids.items()}
    used[graph.outputs[0]][output] = True
    for call, rule in reversed(list(zip(graph.calls, graph.rules, strict=True))):
        if call.inputs:
            needs = rule.backward(call, [used[key] for key in call.outputs])
            for key, need in zip(call.inputs, needs, strict=True):
                used[key] |= need
    return used


@pytest.mark.parametrize("name", CASES)
def test_backward_says_which_channels_an_output_channel_depends_on(name):
    model = assemble(name)
    graph = build_channel_graph(model)
    exact = name not in ALWAYS_NEEDS_ALL and not graph.barriers()
    x = draw(model, 0)
    before = run(model, x)
    claims = [needed_by(graph, output) for output in range(before.shape[-1])]
    for source, key in enumerate(sources(graph)):
        for channel in range(x[source].shape[-1]):
            changed = [one.copy() for one in x]
            changed[source][..., channel] += np.random.default_rng(1).normal(size=x[source].shape[:-1])
            difference = np.abs(run(model, changed) - before) > 1e-6
            depends = difference.any(axis=tuple(range(before.ndim - 1)))
            claimed = np.array([claim[key][channel] for claim in claims])
            assert (claimed == depends).all() if exact else (claimed >= depends).all()


def claims(graph, known):
    """What the rules say of the model's output, given what is known of its inputs."""
    values = dict(zip(sources(graph), known, strict=True))
    for call, rule in zip(graph.calls, graph.rules, strict=True):
        if call.inputs:
            results = rule.forward(call, [values[key] for key in call.inputs])
            values.update(zip(call.outputs, results, strict=True))
    return values[graph.outputs[0]]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("constant", [0.0, 0.75])
def test_forward_knows_what_is_constant(name, constant):
    model = assemble(name)
    graph = build_channel_graph(model)
    generator = np.random.default_rng(5)
    for _ in range(6):
        share = generator.choice([0.3, 0.8, 1.0])
        fixed = [generator.random(x.shape[-1]) < share for x in model.inputs]
        claimed = claims(graph, [np.where(channels, constant, np.nan) for channels in fixed])
        known, runs = np.isfinite(claimed), []
        for seed in range(2):
            x = draw(model, seed)
            for one, channels in zip(x, fixed, strict=True):
                one[..., channels] = constant
            runs.append(run(model, x).reshape(-1, len(claimed)))
        output = np.concatenate(runs)
        expected = np.broadcast_to(claimed[known], output[:, known].shape)
        np.testing.assert_allclose(output[:, known], expected, rtol=1e-5, atol=1e-5)
        if constant == 0 and name not in CAUTIOUS and not graph.barriers():
            assert (known == (output == output[0]).all(0)).all()


def silenced(name, constant):
    """A dense layer in front of each input, some of whose units are constant."""
    build, shapes, _, _ = CASES[name]
    inputs, made = [], []
    for number, shape in enumerate(shapes):
        inputs.append(keras.Input((*shape[:-1], 3)))
        made.append(layers.Dense(shape[-1], name=f"hidden{number}")(inputs[-1]))
    x = layers.Flatten()(build(*made))
    model = models.randomize(keras.Model(inputs, layers.Dense(3, name="logits")(x)))
    for number, shape in enumerate(shapes):
        layer = model.get_layer(f"hidden{number}")
        kernel, bias = (keras.ops.convert_to_numpy(one).copy() for one in layer.weights)
        if shape[-1] == 8:
            kernel[:, SILENT], bias[list(SILENT)] = 0, constant
        layer.kernel.assign(kernel)
        layer.bias.assign(bias)
    return third_to_zero(model)


@pytest.mark.filterwarnings("ignore:.*with a mask attached")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("constant", [0.0, 0.75])
def test_strip_cuts_what_may_go_and_the_outputs_stay(name, constant):
    _, _, zero, other = CASES[name]
    model = silenced(name, constant)
    result = tf_wgsef.strip(model)
    kept = [result.kept[f"hidden{number}"] for number in range(len(zero))]
    assert kept == (other if constant else zero)
    x = draw(model, 3)
    before, after = run(model, x), run(result.model, x)
    np.testing.assert_allclose(after, before, atol=1e-5 * np.ptp(before))


def test_a_group_of_channels_with_one_norm_stays_whole():
    """Channel 2 is zero before and after the norm; its neighbour's statistics count it all the same."""
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(8, 1, name="hidden")(inputs)
    x = layers.Flatten()(layers.GroupNormalization(4, name="norm")(x))
    model = third_to_zero(models.randomize(keras.Model(inputs, layers.Dense(3)(x))))
    kernel = keras.ops.convert_to_numpy(model.get_layer("hidden").kernel).copy()
    kernel[..., 2] = 0
    model.get_layer("hidden").kernel.assign(kernel)
    model.get_layer("hidden").bias.assign(np.zeros(8))
    assert not keras.ops.convert_to_numpy(model.get_layer("norm").gamma)[2]
    assert tf_wgsef.strip(model).kept["hidden"] == 8
