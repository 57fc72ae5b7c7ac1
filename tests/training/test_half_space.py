"""Half-space update rules: against loops that take the published steps, and what a user sees of them."""

import collections
import dataclasses
import json

import keras
import numpy as np
import pytest
from keras import ops

import tf_wgsef
from tests import models, oracles
from tests.training import half_space_oracle as oracle
from tests.training.toys import data, live_channels, live_counts, mlp, sparse_mlp
from tf_wgsef.errors import InputError
from tf_wgsef.training import (
    HSPG,
    AdaHSPGPlus,
    GradualRemoval,
    Prox,
    ProximalModel,
    ProximalState,
    ProximalStep,
    SparseProx,
    preset_level,
)

optimizers = keras.optimizers
PENALTIES = {"wgsef": lambda: tf_wgsef.WGSEF(1), "lasso": lambda: tf_wgsef.GroupLasso(strength=0.5)}


def gradient_of(penalty, groups):
    return oracle.wgsef_gradient(groups, 3) if penalty == "wgsef" else oracle.lasso_gradient(groups)


def prox_of(penalty, groups, step):
    norms = [np.linalg.norm(group) for group in groups]
    wgsef = penalty == "wgsef"
    factors = (
        oracles.wgsef_factors(norms, step, None, 3, debias=True)
        if wgsef
        else oracles.lasso_factors(norms, step, None)
    )
    return [factor * group for factor, group in zip(factors, groups, strict=True)]


def in_phase_2(rule, penalty, optimizer, **level) -> ProximalModel:
    """A compiled model at the start of the last fifth of its ramp of 50 steps, with 10 in an epoch."""
    sparse = sparse_mlp(optimizer, penalty=PENALTIES[penalty](), update=rule, **level)
    sparse.begin_ramp(10)
    sparse.begin_epoch(4, 10)
    return sparse


def step_of(penalty, batch, rate) -> float:
    """Strength · step size of the batch."""
    return oracles.gradual_budget(0.8 + batch / 50, 50, 3, 8)[0] if penalty == "wgsef" else 0.5 * rate


def hspg(epsilon):
    def move(batch, penalty, layers, step):
        return {
            name: oracle.half_space_step(
                x, t, lambda t: prox_of(penalty, t, step), gradient_of(penalty, x), step, epsilon, 3
            )
            for name, (x, t) in layers.items()
        }

    return move


def adahspg(epsilon, mu):
    chosen, updates = {}, []

    def move(batch, penalty, layers, step):
        def prox(t):
            return prox_of(penalty, t, step)

        if batch == 0:
            decides = layers
            if updates:  # the mean of those of the last epoch
                decides = {
                    name: (x, [x[g] + np.mean([u[name][g] for u in updates], axis=0) for g in range(len(x))])
                    for name, (x, _) in layers.items()
                }
            roles = oracle.choose_roles(decides, prox, lambda x: gradient_of(penalty, x), step, mu=mu)
            chosen.update(roles)
            updates.clear()
        updates.append({name: [n - o for o, n in zip(x, t, strict=True)] for name, (x, t) in layers.items()})
        return {
            name: oracle.adahspg_step(x, t, prox, gradient_of(penalty, x), step, epsilon, 3, chosen[name])
            for name, (x, t) in layers.items()
        }

    return move


# The rule, and a loop that takes its steps.
PUBLISHED = {
    "hspg": lambda: (HSPG(growth=0.0), hspg(0.0)),
    "hspg-epsilon": lambda: (HSPG(epsilon=0.6, growth=0.0), hspg(0.6)),
    "adahspg": lambda: (AdaHSPGPlus(epsilon=0.6, growth=0.0), adahspg(0.6, 1.0)),
    "adahspg-prox": lambda: (AdaHSPGPlus(mu=1000.0, growth=0.0), adahspg(0.0, 1000.0)),
}


@pytest.mark.parametrize(
    ("rule", "penalty", "mode"),
    [
        ("hspg", "lasso", "graph"),
        ("hspg-epsilon", "wgsef", "jit"),
        ("adahspg", "lasso", "jit"),
        ("adahspg", "wgsef", "graph"),
        ("adahspg-prox", "wgsef", "eager"),
    ],
)
def test_a_rule_takes_the_published_steps(penalty, rule, mode):
    rule, move = PUBLISHED[rule]()
    sparse = in_phase_2(rule, penalty, optimizers.SGD(0.3, momentum=0.9), k=3)
    sparse.compile(sparse.optimizer, "mse", run_eagerly=mode == "eager", jit_compile=mode == "jit")
    plain = mlp()
    plain.set_weights(sparse.model.get_weights())
    plain.compile(optimizers.SGD(0.3, momentum=0.9), "mse")
    x, y = data()
    for batch in range(4):
        then = oracle.vectors(plain.get_weights())
        logs = sparse.train_on_batch(x, y, return_dict=True)
        plain.train_on_batch(x, y)
        now = oracle.vectors(plain.get_weights())
        layers = {name: (then[name], now[name]) for name in then}
        moved = move(batch, penalty, layers, step_of(penalty, batch, 0.3))
        plain.set_weights(oracle.to_weights(moved, plain.get_weights()))
        for mine, expected in zip(sparse.model.get_weights(), plain.get_weights(), strict=True):
            np.testing.assert_allclose(mine, expected, rtol=2e-4, atol=2e-5)
        assert logs["live_groups"] == sum(group.any() for groups in moved.values() for group in groups)
    assert logs["live_groups"] < 14
    if isinstance(rule, AdaHSPGPlus):
        assert [float(v) for v in sparse.weights if v.path.endswith("rule_updates")] == [4.0]


class Constant:
    """A schedule of one step size."""

    up_to_one = True

    def __init__(self, step):
        self.step = step

    def step_size(self, progress, learning_rate, steps):
        return ops.convert_to_tensor(self.step, dtype="float32")

    def room(self, progress):
        return None


def values_of(layers, which) -> list:
    """Kernel and bias of each layer from its groups, before (0) or after (1) the update, as float32."""
    stacked = [np.stack(groups[which], axis=1).astype("float32") for groups in layers.values()]
    return [part for matrix in stacked for part in (matrix[:-1], matrix[-1])]


def vectors_of(values) -> dict[str, list[np.ndarray]]:
    arrays = [ops.convert_to_numpy(value).astype("float64") for value in values]
    return {name: list(np.vstack([arrays[at], arrays[at + 1]]).T) for name, at in (("h1", 0), ("h2", 2))}


def random_update(generator, x=None):
    """Groups of two layers before and after an update, as vectors of very different lengths, some zero."""
    layers = {}
    for name, count in (("h1", 12), ("h2", 9)):
        old = (
            x[name]
            if x
            else [
                generator.normal(size=5) * 10.0 ** generator.uniform(-2, 0) * (generator.random() < 0.8)
                for _ in range(count)
            ]
        )
        new = [group + generator.normal(size=5) * 10.0 ** generator.uniform(-3, -0.5) for group in old]
        layers[name] = (old, new)
    return layers


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("rule", PUBLISHED)
def test_a_rule_takes_the_published_steps_on_random_values(penalty, rule):
    groups = tf_wgsef.build_groups(mlp((12, 9)))
    generator, seen = np.random.default_rng(0), collections.Counter()
    made, level = PENALTIES[penalty](), preset_level(groups, k=3)
    for _ in range(8):
        ours, move = PUBLISHED[rule]()
        step = 10.0 ** generator.uniform(-2, -0.3)
        proximal = ProximalStep(groups, level, made, Constant(step / made.strength), ours)
        carried = ours.state(groups.num_groups, [(4, 12), (12,), (4, 9), (9,)])
        state = ProximalState(3.0, 0.0, 4.0, 0.0, 4.0, 0.0, 0.0, 0.0, np.zeros(21), rule=carried)
        x = None
        for batch in range(6):  # two epochs
            if batch == 3:
                carried = {name: ops.convert_to_numpy(value) for name, value in state.rule.items()}
                changed = ours.begin_epoch(carried, live=9.0, progress=0.9)
                state = dataclasses.replace(state, rule={**state.rule, **changed})
            layers = random_update(generator, x)
            expected = move(batch % 3, penalty, layers, step)
            before, after = (values_of(layers, which) for which in (0, 1))
            values, state = proximal(after, state, 0.0, True, before)
            x = vectors_of(values)
            for name, (old, new) in layers.items():
                for g, group in enumerate(expected[name]):
                    np.testing.assert_allclose(x[name][g], group, rtol=1e-3, atol=1e-5)
                    became = "t" if group is new[g] else "another" if group.any() else "zero"
                    seen["alive" if old[g].any() else "dead", became] += 1
    assert min(seen["alive", "another"], seen["alive", "zero"], seen["dead", "zero"]) > 20
    # Where the level keeps what group lasso would zero.
    assert bool(seen["alive", "t"]) == (penalty == "lasso" and rule != "adahspg-prox")
    assert bool(seen["dead", "another"]) == ("adahspg" in rule)
    assert not seen["dead", "t"]


RULES = {
    "hspg": "hspg",
    "hspg-from-the-start": HSPG(epsilon=0.9, start=0.0),
    "adahspg+": "adahspg+",
    "sparse": "sparse",
    "gradual": "gradual",
}
OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.05, momentum=0.9),
    "adam": lambda: optimizers.Adam(0.01),
}


SAMPLED = {"lenet": "adam", "residual": "sgd"}
LEVELS = [
    pytest.param(name, optimizer, rule, marks=() if SAMPLED[name] == optimizer else pytest.mark.slow)
    for name in SAMPLED
    for optimizer in OPTIMIZERS
    for rule in RULES
]


@pytest.mark.parametrize(("name", "optimizer", "rule"), LEVELS)
def test_the_level_is_met_to_the_unit_and_never_exceeded(name, optimizer, rule):
    model = models.ALL[name]()
    sparse = tf_wgsef.sparsify(model, sparsity=0.5, update=RULES[rule])
    sparse.compile(OPTIMIZERS[optimizer](), "mse", jit_compile=False)
    expected = dict(zip(sparse.groups.layers, [pool.k for pool in sparse.level.pools], strict=True))
    seen = EachBatch(lambda model: live_counts(model.model, expected))
    x, y = data(model)
    sparse.fit(x, y, batch_size=8, epochs=6, verbose=0, callbacks=[seen])
    assert live_counts(model, expected) == expected
    for counts in seen.found:
        assert all(counts[layer] >= expected[layer] for layer in expected)


@pytest.mark.parametrize(
    ("rule", "penalty"),
    [
        (HSPG(epsilon=0.9, start=0.0), tf_wgsef.WGSEF(1)),
        (HSPG(epsilon=0.9, start=0.0), tf_wgsef.GroupLasso(strength=5.0)),
        (AdaHSPGPlus(epsilon=0.9, mu=0.0, reach=100.0), tf_wgsef.WGSEF(1)),
    ],
    ids=["hspg-wgsef", "hspg-lasso", "adahspg+"],
)
def test_the_level_is_never_exceeded_however_large_the_updates_and_epsilon(rule, penalty):
    sparse = sparse_mlp(optimizers.SGD(1.0), k=3, update=rule, penalty=penalty)
    sparse.compile(sparse.optimizer, "mse", jit_compile=False)
    sparse.begin_ramp(4)
    x, y = data()
    for _ in range(8):
        sparse.train_on_batch(x, y)
        assert min(live_counts(sparse.model, ("h1", "h2")).values()) >= 3
    assert sum(live_counts(sparse.model, ("h1", "h2")).values()) <= 8  # hardly another one withstands it


@pytest.mark.parametrize("rule", ["hspg", "adahspg+"])
def test_a_global_level_is_met_never_exceeded_and_no_layer_dies(rule):
    model = mlp((8, 16))
    kernel = model.get_layer("h1").kernel
    kernel.assign(kernel * 1e-2)  # a layer much weaker than the other
    sparse = tf_wgsef.sparsify(model, k=12, scope="global", round_to=4, update=rule)
    sparse.compile(optimizers.SGD(0.01), "mse", jit_compile=False)
    seen = EachBatch(lambda model: live_counts(model.model, ("h1", "h2")))
    x, y = data()
    sparse.fit(x, y, batch_size=4, epochs=6, verbose=0, callbacks=[seen])
    assert live_counts(model, ("h1", "h2")) == {"h1": 4, "h2": 8}
    assert all(counts["h1"] >= 4 and sum(counts.values()) >= 12 for counts in seen.found)
    assert sum(seen.found[11].values()) < 24  # groups go before the final choice


class EachBatch(keras.callbacks.Callback):
    """Collects ``read(model)`` at the end of each batch."""

    def __init__(self, read):
        super().__init__()
        self.read, self.found = read, []

    def on_train_batch_end(self, batch, logs=None):
        self.found.append(self.read(self.model))


def test_groups_that_are_zero_stay_zero_in_phase_2_of_hspg_and_come_back_in_phase_1():
    x, y = data()
    for epoch, comes_back in ((1, True), (3, False)):
        sparse = in_phase_2(HSPG(), "lasso", optimizers.Adam(0.1), k=3)
        sparse.begin_epoch(epoch, 4)
        dead = np.arange(8) < 2
        for weight in sparse.model.get_layer("h1").weights:
            weight.assign(np.where(dead, 0.0, ops.convert_to_numpy(weight)))
        for _ in range(4):
            sparse.train_on_batch(x, y)
        assert live_channels(sparse.model, "h1")[dead].any() == comes_back


@pytest.mark.parametrize("rule", ["hspg", "adahspg+"])
def test_layers_without_a_level_train_on_untouched(rule):
    sparse = in_phase_2(rule, "wgsef", optimizers.SGD(0.3), k={"h1": 3})
    layer = sparse.model.get_layer("h2")
    layer.bias.assign([1.0, 0, 0, 0, 0, 1.0])
    layer.kernel.assign(layer.kernel * [1.0, 0, 1, 1, 1, 1])  # zero, and free to leave it
    plain = mlp()
    plain.set_weights(sparse.model.get_weights())
    plain.compile(optimizers.SGD(0.3), "mse")
    x, y = data()
    sparse.train_on_batch(x, y)
    plain.train_on_batch(x, y)
    for mine, expected in zip(layer.weights, plain.get_layer("h2").weights, strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-5, atol=1e-6)
    assert live_channels(sparse.model, "h2").all()


def test_epsilon_grows_by_an_epoch_in_which_no_group_went():
    rule = HSPG(epsilon=0.65, growth=0.1, start=0.5)
    state, found = rule.state(4, []), []
    for live, progress in ((8, 0.4), (8, 0.5), (8, 0.6), (7, 0.7), (7, 0.8), (7, 0.9), (7, 1.0)):
        state.update(rule.begin_epoch(state, live=live, progress=progress))
        found.append(round(float(state["epsilon"]), 3))
    assert found == [0.65, 0.65, 0.75, 0.75, 0.85, 0.9, 0.9]


def test_epsilon_of_adahspg_grows_after_half_space_epochs_only():
    rule = AdaHSPGPlus(growth=0.1)
    state, found = rule.state(2, []), []
    for role in (0.0, 0.0, 1.0, 1.0):
        state["role"] = np.array([role, 0.0], "float32")
        state.update(rule.begin_epoch(state, live=2.0, progress=0.1))
        found.append(round(float(state["epsilon"]), 3))
    assert found == [0.0, 0.0, 0.1, 0.2]


@pytest.mark.parametrize(
    "rule",
    [
        HSPG(epsilon=0.2, start=0.25, growth=0.3),
        AdaHSPGPlus(epsilon=0.2, growth=0.3, mu=2.0, reach=3.0),
        SparseProx(elementwise=0.01, kind="l0"),
        GradualRemoval(warmup=0.25),
    ],
)
def test_the_rule_is_saved_with_its_options_and_its_state(rule, tmp_path):
    sparse = in_phase_2(rule, "wgsef", "adam", k=3)
    sparse.compile("adam", "mse", jit_compile=False)
    x, y = data()
    for epoch in (1, 2, 3):
        sparse.begin_epoch(epoch, 2)
        sparse.train_on_batch(x, y)
    sparse.save(tmp_path / "sparse.keras")
    loaded = keras.models.load_model(tmp_path / "sparse.keras")
    assert repr(loaded.update) == repr(rule)
    for model in (sparse, loaded):
        model.train_on_batch(x, y)
        model.begin_epoch(3, 2)
        model.train_on_batch(x, y)
    for mine, expected in zip(loaded.get_weights(), sparse.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, expected)


def test_a_model_saved_before_there_were_rules_takes_the_prox():
    config = json.loads(json.dumps(sparse_mlp().get_config()))
    assert isinstance(ProximalModel.from_config(config).update, Prox)
    del config["update"]
    assert isinstance(ProximalModel.from_config(config).update, Prox)


class WithoutGradient(tf_wgsef.GroupPenalty):
    def value(self, norms, weights=None):
        return ops.sum(norms, axis=-1)

    def factors(self, norms, step_size, weights=None):
        return ops.ones_like(norms)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: sparse_mlp(update="sgd"),
            r"\['adahspg\+', 'gradual', 'hspg', 'mixed', 'prox', 'sparse'\], or an UpdateRule. "
            r"Received: update='sgd'",
        ),
        (lambda: sparse_mlp(update=None), "Received: update=None"),
        (lambda: HSPG(epsilon=1.0), r"`epsilon` in \[0, 1\). Received: epsilon=1.0"),
        (lambda: HSPG(epsilon=-0.1), "Received: epsilon=-0.1"),
        (lambda: HSPG(epsilon=float("nan")), "Received: epsilon=nan"),
        (lambda: HSPG(start=1), r"`start` in \[0, 1\). Received: start=1"),
        (lambda: AdaHSPGPlus(epsilon="0.1"), "Received: epsilon='0.1'"),
        (lambda: AdaHSPGPlus(mu=-1), "`mu` to be a finite number of at least 0. Received: mu=-1"),
        (lambda: AdaHSPGPlus(reach=float("inf")), "`reach` to be a finite number.*Received: reach=inf"),
        (lambda: HSPG(growth="0.1"), "`growth` to be a finite number of at least 0. Received: growth='0.1'"),
        (
            lambda: sparse_mlp(penalty=WithoutGradient(), update="hspg"),
            "Received: WithoutGradient, which has no gradient_factors.*update='prox'",
        ),
    ],
)
def test_bad_arguments_get_one_clear_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
