"""FeatureFlow against loops over features, and in models that train, save, prune and strip."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import tf_wgsef
from tf_wgsef.baselines import FeatureFlow, feature_layers, with_feature_flow
from tf_wgsef.errors import InputError
from tf_wgsef.workflows import networks


def numbers(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def mean_abs(x):
    return float(np.mean([abs(value) for value in np.asarray(x, "float64").reshape(-1)]))


def oracle(runs, length, curvature):
    """The docstring's formula; each run is a list of arrays of equal shape."""
    value = 0.0
    for run in runs:
        for a, b in zip(run, run[1:], strict=False):
            value += length * mean_abs(b - a)
        for a, b, c in zip(run, run[1:], run[2:], strict=False):
            value += curvature * mean_abs(c - 2 * b + a)
    return value


def resized(x, shape):
    """Adaptive average pooling to ``shape``'s positions, position by position; channels of zeros."""
    result = np.zeros((len(x), *shape), "float64")
    for place in np.ndindex(*shape[:-1]):
        cut = tuple(
            slice(at * size // fewer, int(np.ceil((at + 1) * size / fewer)))
            for at, size, fewer in zip(place, x.shape[1:-1], shape[:-1], strict=True)
        )
        positions = tuple(range(1, x.ndim - 1))
        result[(slice(None), *place, slice(x.shape[-1]))] = x[(slice(None), *cut)].mean(positions)
    return result


def flow_of(features, **options):
    layer = FeatureFlow(**options)
    output = ops.ones((2, 1))
    assert layer([output, *map(ops.convert_to_tensor, features)]) is output
    return float(sum(layer.losses))


SAME = [(3, 4, 4, 2)] * 4
STAGES = [(3, 6, 6, 2)] * 3 + [(3, 3, 3, 4)] * 2 + [(3, 5)]


@pytest.mark.parametrize(
    ("shapes", "runs"), [(SAME, [4]), (STAGES, [3, 2, 1]), ([(3, 7)] * 2, [2]), ([(3, 7)], [1])]
)
@pytest.mark.parametrize(("length", "curvature"), [(0.5, 0.0), (0.0, 2.0), (0.5, 2.0)])
def test_the_value_is_that_of_the_formula_in_runs_of_equal_shape(shapes, runs, length, curvature):
    features = [numbers(shape, seed) for seed, shape in enumerate(shapes)]
    ends = np.cumsum(runs)
    parts = [features[end - run : end] for run, end in zip(runs, ends, strict=True)]
    value = flow_of(features, length=length, curvature=curvature)
    assert value == pytest.approx(oracle(parts, length, curvature), rel=1e-5)


@pytest.mark.parametrize("shapes", [[(6, 6, 2), (3, 3, 4), (3, 2, 3)], [(7, 5, 3), (7, 5, 3), (3, 4, 3)]])
def test_with_align_smaller_sizes_and_more_channels_count(shapes):
    x = [numbers((3, *shape), seed) for seed, shape in enumerate(shapes)]

    def common(*features):
        sizes = np.array([feature.shape[1:] for feature in features])
        shape = (*sizes[:, :-1].min(0), sizes[:, -1].max())
        return [resized(feature, shape) for feature in features]

    lengths = [mean_abs(b - a) for a, b in (common(x[0], x[1]), common(x[1], x[2]))]
    a, b, c = common(*x)
    expected = 0.5 * sum(lengths) + 2.0 * mean_abs(c - 2 * b + a)
    assert flow_of(x, length=0.5, curvature=2.0, align=True) == pytest.approx(expected, rel=1e-5)


def test_a_straight_path_has_length_and_no_curvature():
    features = [numbers((2, 4)) + step for step in range(4)]
    assert flow_of(features, length=1.0, curvature=0.0) == pytest.approx(3.0, rel=1e-5)
    assert flow_of(features, length=0.0, curvature=1.0) == pytest.approx(0.0, abs=1e-5)


def test_without_weights_there_is_no_loss():
    assert FeatureFlow(length=0, curvature=0)([ops.ones(1), ops.ones(1), ops.zeros(1)]) is not None
    assert flow_of([numbers((2, 3)), numbers((2, 3), 1)], length=0, curvature=0) == 0


def network():
    inputs = keras.Input((6, 6, 2), name="image")
    x = inputs
    for number in range(3):
        x = layers.Conv2D(6, 3, padding="same", name=f"conv{number}")(x)
        x = layers.BatchNormalization(name=f"bn{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return keras.Model(inputs, {"y": layers.Dense(2, name="y")(x), "z": layers.Dense(1, name="z")(x)})


RELUS = [f"relu{number}" for number in range(3)]


def data(samples=16):
    targets = {"y": numbers((samples, 2), 1), "z": numbers((samples, 1), 2)}
    return numbers((samples, 6, 6, 2)), targets


def test_in_a_model_it_is_added_to_the_loss_and_trains_the_model_inside():
    model = network()
    flow = with_feature_flow(model, RELUS, length=0.3, curvature=0.7)
    x, y = data()
    for each in (model, flow):
        each.compile(keras.optimizers.SGD(0.05), "mse")
    features = keras.Model(model.input, [model.get_layer(name).output for name in RELUS])
    expected = oracle([features.predict(x, verbose=0)], 0.3, 0.7)
    losses = [each.evaluate(x, y, verbose=0, return_dict=True)["loss"] for each in (model, flow)]
    assert losses[1] - losses[0] == pytest.approx(expected, rel=1e-4)
    before = model.get_weights()
    strong = with_feature_flow(model, RELUS, length=50.0, curvature=0.0)
    strong.compile(keras.optimizers.SGD(0.01), "mse")
    strong.fit(x, y, batch_size=4, epochs=2, verbose=0)
    assert oracle([features.predict(x, verbose=0)], 0.3, 0.7) < 0.7 * expected
    assert any((a != b).any() for a, b in zip(before, model.get_weights(), strict=True))
    assert set(flow.output) == {"y", "z"}
    assert model.evaluate(x, y, verbose=0) is not None and len(model.layers) == len(flow.layers) - 1


@pytest.mark.parametrize("align", [False, True])
def test_save_and_load(tmp_path, align):
    flow = with_feature_flow(network(), RELUS, length=0.3, curvature=0.7, align=align)
    x, y = data()
    flow.compile("adam", "mse")
    flow.save(tmp_path / "flow.keras")
    loaded = keras.models.load_model(tmp_path / "flow.keras")
    assert loaded.evaluate(x, y, verbose=0) == pytest.approx(flow.evaluate(x, y, verbose=0), rel=1e-5)
    layer = loaded.get_layer("feature_flow")
    assert (layer.length, layer.curvature, layer.align) == (0.3, 0.7, align)
    if align:
        loaded.fit(x, y, epochs=1, verbose=0)


def test_it_keeps_nothing_from_being_grouped_and_strip_takes_it_out():
    model = network()
    flow = with_feature_flow(model, RELUS, length=0.3, curvature=0.7)
    groups = tf_wgsef.build_groups(flow)
    assert groups.layers == tf_wgsef.build_groups(model).layers
    assert groups.num_groups == 18
    sparse = tf_wgsef.sparsify(flow, k={"conv0": 2, "conv1": 3, "conv2": 4})
    sparse.compile("adam", "mse")
    sparse.fit(*data(), epochs=2, verbose=0)
    result = tf_wgsef.strip(sparse)
    assert [result.kept[f"conv{number}"] for number in range(3)] == [2, 3, 4]
    assert result.vanished == ("feature_flow",)
    assert not any(isinstance(layer, FeatureFlow) for layer in result.model.layers)


def test_a_sequential_model_of_dense_layers():
    dense = [layers.Dense(4, activation="tanh", name=f"d{number}") for number in range(3)]
    model = keras.Sequential([keras.Input((3,)), *dense, layers.Dense(1)])
    flow = with_feature_flow(model, ["d0", "d1", "d2"], length=0.1, curvature=0.1)
    flow.compile("adam", "mse")
    flow.fit(numbers((8, 3)), numbers((8, 1)), epochs=1, verbose=0)
    assert flow.output_shape == model.output_shape


def on_jax():
    assert keras.backend.backend() == "jax"
    model = network()
    x, y = data()
    model.compile("adam", "mse")
    flow = with_feature_flow(model, RELUS, length=0.3, curvature=0.7, align=True)
    flow.compile("adam", "mse")
    features = keras.Model(model.input, [model.get_layer(name).output for name in RELUS])
    expected = oracle([features.predict(x, verbose=0)], 0.3, 0.7)
    losses = [each.evaluate(x, y, verbose=0, return_dict=True)["loss"] for each in (model, flow)]
    assert abs(losses[1] - losses[0] - expected) < 1e-4
    flow.fit(x, y, epochs=2, verbose=0)


def applied_twice():
    inputs = keras.Input((4,))
    dense = layers.Dense(4, name="twice")
    return keras.Model(inputs, dense(layers.Dense(4, name="once")(dense(inputs))))


def shared_with_another(same_input):
    dense = [layers.Dense(4, name=f"d{number}") for number in range(2)]
    inputs = keras.Input((4,))
    other = keras.Model(inputs, dense[1](inputs))
    inputs = inputs if same_input else keras.Input((4,))
    return keras.Model(inputs, dense[1](dense[0](inputs))), other


@pytest.mark.parametrize("same_input", [True, False])
def test_a_layer_that_another_model_applied_first_is_refused(same_input):
    model, _ = shared_with_another(same_input)
    with pytest.raises(InputError, match="another model shares"):
        with_feature_flow(model, ["d0", "d1"], length=1.0, curvature=1.0)


def flow_on(names, model=None, **options):
    return with_feature_flow(model or network(), names, **{"length": 1.0, "curvature": 1.0, **options})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: flow_on("relu0"), "list of layer names. Received: layers='relu0'"),
        (lambda: flow_on([0, 1]), "list of layer names"),
        (lambda: flow_on(["relu0", "nobody"]), "Received: 'nobody'. It has: image, conv0"),
        (lambda: flow_on([]), "at least two neighbours .* no layers"),
        (lambda: flow_on(["relu0", "gap", "relu1"]), "at least two neighbours .* pass align=True"),
        (
            lambda: flow_on(["twice", "once"], applied_twice()),
            "applied once.* Received: 'twice', a Dense that is applied 2",
        ),
        (lambda: flow_on(RELUS, length=-1), "Received: length=-1"),
        (lambda: flow_on(RELUS, curvature=float("nan")), "Received: curvature=nan"),
        (
            lambda: flow_on(
                ["a", "b"],
                keras.Sequential(
                    [keras.Input((None, 2)), layers.Conv1D(2, 1, name="a"), layers.Conv1D(2, 1, name="b")]
                ),
                align=True,
            ),
            "known size with align=True",
        ),
    ],
)
def test_bad_input_gets_one_clear_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_the_layers_of_the_path_where_nobody_names_them():
    assert feature_layers(networks.lenet5()) == (["conv1", "conv2", "dense1"], True)
    names, align = feature_layers(networks.resnet8())
    assert not align and len(names) == 7  # the stem, and two activations of each of three blocks
    flow = with_feature_flow(networks.lenet5(), ["conv1", "conv2"], length=1e-3, curvature=0.0, align=True)
    assert flow.name == "lenet5"
    with pytest.raises(InputError, match="two hidden layers whose features can be compared"):
        feature_layers(keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu")]))
