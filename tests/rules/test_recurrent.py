"""Recurrent layers and their wrappers against the layers themselves: run, perturb, strip."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_wgsef
from tests import models
from tf_wgsef.graph import build_channel_graph
from tf_wgsef.rules import LIVE

STEPS, FEATURES, UNITS = 8, 5, 6

CELLS = {
    "simple": lambda **k: layers.SimpleRNN(UNITS, **k),
    "gru": lambda **k: layers.GRU(UNITS, **k),
    "gru_reset_before": lambda **k: layers.GRU(UNITS, reset_after=False, **k),
    "lstm": lambda **k: layers.LSTM(UNITS, **k),
    "rnn_simple": lambda **k: layers.RNN(layers.SimpleRNNCell(UNITS), **k),
    "rnn_gru": lambda **k: layers.RNN(layers.GRUCell(UNITS), **k),
    "rnn_lstm": lambda **k: layers.RNN(layers.LSTMCell(UNITS), **k),
}
BIASED = {
    f"{name}-{'bias' if bias else 'no_bias'}": lambda make=make, bias=bias, **k: make(use_bias=bias, **k)
    for name, make in CELLS.items()
    if not name.startswith("rnn")
    for bias in (True, False)
}


def model_of(layer, *more, shape=(STEPS, FEATURES), seed=0):
    """The layer, and behind it something that reads each of its units."""
    model = keras.Sequential(
        [keras.Input(shape), layer, *more, layers.Flatten(), layers.Dense(2, name="out")]
    )
    return models.randomize(model, seed)


def asked(model, kind=None):
    """(call, rule) of the first layer of the model, or of the first call that has such a name."""
    graph = build_channel_graph(model)
    for call, rule in zip(graph.calls, graph.rules, strict=True):
        if call.inputs and (kind is None or kind in call.name):
            return call, rule
    raise LookupError(kind)


def sequences(count=3, seed=0):
    return np.random.default_rng(seed).normal(size=(count, STEPS, FEATURES)).astype("float32")


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("name", BIASED)
def test_a_zeroed_group_is_a_silent_unit(name, whole, backwards):
    layer = BIASED[name](return_sequences=whole, go_backwards=backwards)
    model = model_of(layer)
    groups = tf_wgsef.build_groups(model)
    assert groups.num_groups == UNITS
    groups.scale(model, [1, 0, 1, 0, 0, 1])
    call, rule = asked(model)
    (value,) = rule.forward(call, [np.full(FEATURES, LIVE)])
    silent = (np.array(layer(sequences())) == 0).reshape(-1, UNITS).all(0)
    assert silent.tolist() == [False, True, False, True, True, False]
    np.testing.assert_array_equal(value == 0, silent)
    assert np.isnan(value[~silent]).all()


@pytest.mark.parametrize("name", CELLS)
def test_a_unit_driven_by_silent_ones_is_silent(name):
    """Only the candidate counts; unit 1 hears itself, unit 2 hears unit 1, unit 3 hears live unit 0."""
    layer = CELLS[name](return_sequences=True)
    model = model_of(layer)
    cell = layer.cell
    gate = {1: 0, 3: 2, 4: 2}[cell.kernel.shape[-1] // UNITS]
    quiet = [1, 2, 3]
    for variable in (cell.kernel, cell.recurrent_kernel, cell.bias):
        value = np.array(variable)
        value[..., [gate * UNITS + one for one in quiet]] = 0
        variable.assign(value)
    recurrent = np.array(cell.recurrent_kernel)
    for heard, hearing in ((1, 1), (1, 2), (0, 3)):
        recurrent[heard, gate * UNITS + hearing] = 0.7
    cell.recurrent_kernel.assign(recurrent)
    call, rule = asked(model)
    (value,) = rule.forward(call, [np.full(FEATURES, LIVE)])
    silent = (np.array(layer(sequences())) == 0).reshape(-1, UNITS).all(0)
    assert silent.tolist() == [False, True, True, False, False, False]
    np.testing.assert_array_equal(value == 0, silent)


@pytest.mark.parametrize(
    "activation", ["relu", "sigmoid", "softplus", "leaky_relu", "linear", "hard_sigmoid"]
)
@pytest.mark.parametrize("name", CELLS)
def test_the_activation_decides_what_zero_becomes(name, activation):
    """With no weights, the units show a(bias): 0 for relu and a negative bias, not for sigmoid."""
    layer = CELLS[name](return_sequences=True)
    model = model_of(layer)
    cell = layer.cell
    cell.activation = keras.activations.get(activation)
    for variable in (cell.kernel, cell.recurrent_kernel):
        variable.assign(np.zeros(variable.shape))
    bias = np.zeros(cell.bias.shape)
    bias.reshape(-1, bias.shape[-1])[0] = np.tile([-1, 0, 1, -5, 0, 5], bias.shape[-1] // UNITS)
    cell.bias.assign(bias)
    call, rule = asked(model)
    (value,) = rule.forward(call, [np.full(FEATURES, LIVE)])
    silent = (np.array(layer(sequences())) == 0).reshape(-1, UNITS).all(0)
    np.testing.assert_array_equal(value == 0, silent)


def test_the_recurrent_bias_of_a_gru_drives_a_unit():
    layer = layers.GRU(UNITS)
    model = model_of(layer)
    tf_wgsef.build_groups(model).scale(model, np.zeros(UNITS))
    bias = np.zeros((2, 3 * UNITS))
    bias[1, 2 * UNITS + 4] = 1.0  # of the candidate: live
    bias[1, 3] = 1.0  # of the update gate: still silent
    layer.cell.bias.assign(bias)
    call, rule = asked(model)
    (value,) = rule.forward(call, [np.full(FEATURES, LIVE)])
    assert np.isnan(value).tolist() == [False] * 4 + [True, False]
    assert (np.array(layer(sequences())) != 0).any(0).tolist() == [False] * 4 + [True, False]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", BIASED)
def test_what_is_not_needed_changes_nothing(name, seed):
    """Sparse random weights: perturb each unit's kernel and each input, and look at the units used."""
    generator = np.random.default_rng(seed)
    layer = BIASED[name](dtype="float64")
    model = model_of(layer, seed=seed)
    for variable, share in ((layer.cell.kernel, 0.12), (layer.cell.recurrent_kernel, 0.08)):
        variable.assign(np.array(variable) * (generator.random(variable.shape) < share))
    call, rule = asked(model)
    silent = rule.forward(call, [np.full(FEATURES, LIVE)])[0] == 0
    used = generator.random(UNITS) < 0.3
    used[0] = True
    (needed,) = rule.internal(call, [used])
    (reads,) = rule.backward(call, [needed & ~silent])
    x = sequences(4, seed).astype("float64")
    before = np.array(layer(x))[:, used]

    def moves(change):
        return np.abs(change() - before).max() > 1e-12

    def with_input(feature):
        other = x.copy()
        other[..., feature] += generator.normal(size=x.shape[:2])
        return np.array(layer(other))[:, used]

    def without_unit(unit):
        old = np.array(layer.cell.recurrent_kernel)
        new = old.copy()
        new[unit] = 0
        layer.cell.recurrent_kernel.assign(new)
        result = np.array(layer(x))[:, used]
        layer.cell.recurrent_kernel.assign(old)
        return result

    inputs = np.array([moves(lambda f=f: with_input(f)) for f in range(FEATURES)])
    units = np.array([moves(lambda u=u: without_unit(u)) for u in range(UNITS)])
    assert not (inputs & ~reads).any()
    assert not (units & ~needed).any()
    if not name.startswith("gru"):  # a reset gate without anything to reset is read in vain
        np.testing.assert_array_equal(inputs, reads)


@pytest.mark.parametrize("name", CELLS)
def test_constant_inputs_go_into_the_bias(name):
    layer = CELLS[name]()
    model = model_of(layer)
    call, rule = asked(model)
    x = sequences()
    x[..., 1], x[..., 3] = 0.7, -1.2
    constants = np.full(FEATURES, LIVE)
    constants[[1, 3]] = 0.7, -1.2
    assert rule.foldable(call, [constants])[0].tolist() == [False, True, False, True, False]
    before = np.array(layer(x))
    added = rule.absorb(call, [np.where(np.isnan(constants), 0, constants)])
    assert rule.bias(call) is layer.cell.bias
    layer.cell.bias.assign(np.array(layer.cell.bias) + added)
    x[..., [1, 3]] = 0
    np.testing.assert_allclose(np.array(layer(x)), before, atol=1e-6)


def test_without_a_bias_only_zeros_are_folded():
    call, rule = asked(model_of(layers.LSTM(UNITS, use_bias=False)))
    assert rule.foldable(call, [np.array([0, 1, LIVE, 0, 2])])[0].tolist() == [
        True,
        False,
        False,
        True,
        False,
    ]
    assert rule.absorb(call, [np.zeros(FEATURES)]) is None


def test_macs():
    call, rule = asked(model_of(layers.GRU(UNITS)))
    assert rule.macs(call) == STEPS * (FEATURES * 3 * UNITS + UNITS * 3 * UNITS)
    call, rule = asked(model_of(layers.ConvLSTM2D(3, 3, padding="same"), shape=(4, 5, 5, 2)))
    assert rule.macs(call) == 4 * 5 * 5 * (9 * 2 * 12 + 9 * 3 * 12)


class Cell(layers.GRUCell):
    pass


def unequal():
    return layers.Bidirectional(
        layers.GRU(UNITS, return_sequences=True),
        backward_layer=layers.GRU(UNITS + 1, return_sequences=True, go_backwards=True),
        merge_mode=None,
    )


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: layers.RNN(Cell(UNITS)), "Cell"),
        (lambda: layers.RNN([layers.GRUCell(UNITS), layers.GRUCell(UNITS)]), "StackedRNNCells"),
        (lambda: layers.GRU(UNITS, activation="softmax"), "softmax"),
        (lambda: layers.LSTM(UNITS, recurrent_activation="softmax"), "softmax"),
        (unequal, "different numbers of units"),
        (lambda: layers.TimeDistributed(keras.Sequential([layers.Dense(3)])), "model"),
    ],
)
def test_what_is_refused_stays_and_says_why(make, reason):
    inputs = keras.Input((STEPS, FEATURES))
    x = layers.Dense(FEATURES, name="before")(inputs)
    outputs = keras.tree.flatten(make()(x))
    model = keras.Model(inputs, [layers.Dense(2)(one) for one in outputs])
    barriers = build_channel_graph(model).barriers()
    assert len(barriers) == 1
    assert reason in next(iter(barriers.values()))


def test_a_stateful_layer_is_refused():
    inputs = keras.Input(batch_shape=(2, STEPS, FEATURES))
    model = keras.Model(inputs, layers.Dense(2)(layers.LSTM(UNITS, stateful=True, name="lstm")(inputs)))
    assert "stateful" in build_channel_graph(model).barriers()["lstm"]


def bidirectional(mode, inner="gru", whole=True):
    def build():
        inputs = keras.Input((STEPS, FEATURES))
        x = layers.Bidirectional(CELLS[inner](return_sequences=whole), merge_mode=mode, name="both")(inputs)
        x = keras.tree.flatten(x)
        x = layers.Concatenate(name="joined")(x) if len(x) > 1 else x[0]
        x = layers.Bidirectional(layers.LSTM(4), merge_mode="ave", name="top")(x) if whole else x
        return keras.Model(inputs, layers.Dense(2, name="out")(x))

    return build


def two_layers():
    return model_of(layers.GRU(UNITS, return_sequences=True), layers.GRU(7, return_sequences=True, name="b"))


def encoder_decoder(cell=layers.LSTM):
    """The decoder starts from the encoder's states: their units are the same channels."""
    source, target = keras.Input((STEPS, FEATURES)), keras.Input((4, 3))
    _, *states = cell(UNITS, return_state=True, name="encoder")(source)
    x = cell(UNITS, return_sequences=True, name="decoder")(target, initial_state=states)
    return keras.Model([source, target], layers.Dense(2, name="out")(x))


def states_of_both_directions():
    source, target = keras.Input((STEPS, FEATURES)), keras.Input((4, 3))
    wrapper = layers.Bidirectional(layers.LSTM(UNITS, return_state=True), name="encoder")
    _, *states = wrapper(source)
    x = layers.Bidirectional(layers.LSTM(UNITS), name="decoder")(target, initial_state=states)
    h = layers.Dense(4, name="side")(states[2])
    return keras.Model([source, target], [layers.Dense(2, name="out")(x), layers.Dense(2, name="aside")(h)])


def masked():
    inputs = keras.Input((STEPS,), dtype="int32")
    x = layers.Embedding(2, 6, mask_zero=True, name="embedding")(inputs)
    x = layers.LSTM(UNITS, return_sequences=True, name="first")(x)
    x = layers.TimeDistributed(layers.Dense(5, activation="tanh"), name="steps")(x)
    x = layers.Bidirectional(layers.GRU(4), name="both")(x)
    return keras.Model(inputs, layers.Dense(2, name="out")(x))


def video():
    return model_of(
        layers.TimeDistributed(layers.Conv2D(4, 3, activation="relu", name="conv"), name="frames"),
        layers.TimeDistributed(layers.BatchNormalization(name="bn"), name="normal"),
        layers.ConvLSTM2D(3, 2, return_sequences=True, name="memory"),
        layers.ConvLSTM2D(4, 2, padding="same", use_bias=False, name="last"),
        shape=(3, 6, 6, 2),
    )


def wrapped_twice():
    return model_of(
        layers.TimeDistributed(layers.Bidirectional(layers.LSTM(4)), name="rows"), shape=(3, 5, 4)
    )


END_TO_END = {
    "two_layers": two_layers,
    **{
        f"rnn_{name}": lambda make=make: model_of(make(return_sequences=True)) for name, make in CELLS.items()
    },
    **{f"bidirectional_{mode}": bidirectional(mode) for mode in ("sum", "ave", "mul", "concat", None)},
    "bidirectional_last_step": bidirectional("concat", "lstm", whole=False),
    "encoder_decoder": encoder_decoder,
    "encoder_decoder_gru": lambda: encoder_decoder(layers.GRU),
    "states_of_both_directions": states_of_both_directions,
    "masked": masked,
    "video": video,
    "wrapped_twice": wrapped_twice,
}


def outputs(model, x):
    return [np.array(one, dtype=np.float64) for one in keras.tree.flatten(model(x, training=False))]


@pytest.mark.parametrize("name", END_TO_END)
def test_the_zeroed_units_go_and_the_outputs_stay(name, tmp_path):
    model = models.randomize(END_TO_END[name]())
    groups = tf_wgsef.build_groups(model)
    alive = np.random.default_rng(1).random(groups.num_groups) < 0.5
    alive[np.unique(groups.layer_of, return_index=True)[1]] = True
    groups.scale(model, alive.astype(float))
    weights = [np.array(w) for w in model.weights]
    x = models.random_inputs(model, 6)
    before = outputs(model, x)
    assert all(one.startswith("not_equal") for one in build_channel_graph(model).barriers())  # the mask's

    result = tf_wgsef.strip(model)

    for old, new in zip(before, outputs(result.model, x), strict=True):
        np.testing.assert_allclose(new, old, atol=1e-5)
    for old, weight in zip(weights, model.weights, strict=True):
        np.testing.assert_array_equal(old, np.array(weight))
    left = tf_wgsef.build_groups(result.model).num_groups
    waste = left - alive.sum()
    assert 0 <= waste <= (6 if "Bidirectional" in str(model.to_json()) else 0)
    assert result.model.count_params() < model.count_params()
    result.model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    for old, new in zip(outputs(result.model, x), outputs(loaded, x), strict=True):
        np.testing.assert_array_equal(old, new)


def test_directions_side_by_side_keep_equally_many_units():
    model = models.randomize(bidirectional("concat", whole=False)())
    groups = tf_wgsef.build_groups(model)
    groups.scale(model, [1, 1, 0, 0, 0, 0] + [1, 1, 1, 1, 0, 1])
    both = tf_wgsef.strip(model).model.get_layer("both")
    assert (both.forward_layer.units, both.backward_layer.units) == (5, 5)


def test_a_unit_that_only_other_units_read_stays():
    """Unit 0 drives unit 1, which the model's output reads; unit 2 drives nobody."""
    layer = layers.SimpleRNN(3)
    model = models.randomize(keras.Sequential([keras.Input((STEPS, FEATURES)), layer, layers.Dense(2)]))
    layer.cell.recurrent_kernel.assign(np.array([[0.0, 0.5, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.3]]))
    kernel = np.array(model.layers[-1].kernel)
    kernel[[0, 2]] = 0
    model.layers[-1].kernel.assign(kernel)
    before = np.array(model(sequences()))
    small = tf_wgsef.strip(model).model
    assert small.layers[0].units == 2
    np.testing.assert_allclose(np.array(small(sequences())), before, atol=1e-6)


def test_a_silent_unit_with_a_live_initial_state_stays():
    inputs, start = keras.Input((STEPS, FEATURES)), keras.Input((UNITS,))
    layer = layers.GRU(UNITS, name="gru")
    model = keras.Model([inputs, start], layers.Dense(2)(layer(inputs, initial_state=start)))
    call, rule = asked(model, "gru")
    for variable in layer.weights:
        variable.assign(np.zeros(variable.shape))
    values = [np.full(FEATURES, LIVE), np.array([0, 1, LIVE, 0, 0.5, LIVE])]
    (value,) = rule.forward(call, values)
    assert np.isnan(value).tolist() == [False, True, True, False, True, True]


def test_a_silent_unit_needs_nobody():
    """Unit 0 reads unit 1, whose candidate is zero: what gates of unit 1 read does not matter."""
    layer = layers.LSTM(3)
    call, rule = asked(keras.Sequential([keras.Input((STEPS, FEATURES)), layer, layers.Dense(2)]))
    kernel = np.ones((FEATURES, 12))
    kernel[:, 2 * 3 + 1] = 0
    recurrent = np.zeros((3, 12))
    recurrent[1, 0] = recurrent[2, 1] = 1
    for variable, value in zip(layer.weights, (kernel, recurrent, np.zeros(12)), strict=True):
        variable.assign(value)
    (needed,) = rule.internal(call, [np.array([True, False, False])])
    assert needed.tolist() == [True, True, False]


def test_text_of_any_length():
    inputs = keras.Input((None,), dtype="int32")
    x = layers.Embedding(2, 6, mask_zero=True, name="embedding")(inputs)
    x = layers.GRU(5, name="gru")(x)
    model = models.randomize(keras.Model(inputs, layers.Dense(3)(x)))
    groups = tf_wgsef.build_groups(model)
    assert groups.layers == ("embedding", "gru")
    groups.scale(model, np.arange(groups.num_groups) % 2)
    assert tf_wgsef.strip(model).removed == {"embedding": 3, "gru": 3}


def test_units_are_rounded_to_a_multiple():
    gru = layers.GRU(9, name="gru")
    model = models.randomize(keras.Sequential([keras.Input((5, 3)), gru, layers.Dense(2)]))
    tf_wgsef.build_groups(model).scale(model, np.arange(9) < 3)
    assert tf_wgsef.strip(model, round_to=4).kept["gru"] == 4


def test_initializers_of_a_cell_that_hold_numbers_are_replaced():
    numbers = keras.initializers.Constant(np.arange(16.0))
    cell = layers.LSTMCell(4, bias_initializer=numbers, unit_forget_bias=False)
    model = keras.Sequential([keras.Input((5, 3)), layers.RNN(cell, name="rnn"), layers.Dense(2)])
    tf_wgsef.build_groups(model).scale(model, np.arange(4) < 3)
    assert tf_wgsef.strip(model).removed == {"rnn": 1}


def test_every_step_of_a_time_distributed_layer_costs():
    inner = layers.Dense(4, use_bias=False)
    model = keras.Sequential([keras.Input((5, 3)), layers.TimeDistributed(inner)])
    assert tf_wgsef.profile(model).macs == 5 * 3 * 4
