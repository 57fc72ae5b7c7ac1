"""Half-space update rules: against loops that take the published steps, and what a user sees of them."""

import json

import keras
import numpy as np
import pytest
from keras import ops

import tf_wgsef
from tests import models
from tests.training import half_space_oracle as oracle
from tests.training.toys import data, live_counts, mlp, sparse_mlp
from tf_wgsef.errors import InputError
from tf_wgsef.training import HSPG, Prox, ProximalModel

optimizers = keras.optimizers
PENALTIES = {
    "wgsef": (lambda: tf_wgsef.WGSEF(1), lambda groups: oracle.wgsef_gradient(groups, 3)),
    "lasso": (lambda: tf_wgsef.GroupLasso(strength=0.5), oracle.lasso_gradient),
}


def in_phase_2(rule, penalty, optimizer, **level) -> ProximalModel:
    """A compiled model three quarters up its ramp, with 4 batches in an epoch."""
    sparse = sparse_mlp(optimizer, penalty=PENALTIES[penalty][0](), update=rule, **level)
    sparse.begin_ramp(8)
    sparse.begin_epoch(3, 4)
    return sparse


def step_of(penalty, batch, rate) -> float:
    """Strength · step size of the batch."""
    return 1e-3 ** (0.25 - batch / 16) if penalty == "wgsef" else 0.5 * rate


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("epsilon", [0.0, 0.6])
@pytest.mark.parametrize("mode", ["graph", "jit", "eager"])
def test_hspg_takes_the_published_step(penalty, epsilon, mode):
    gradient_of = PENALTIES[penalty][1]
    sparse = in_phase_2(HSPG(epsilon=epsilon), penalty, optimizers.SGD(0.3, momentum=0.9), k=3)
    sparse.compile(sparse.optimizer, "mse", run_eagerly=mode == "eager", jit_compile=mode == "jit")
    plain = mlp()
    plain.set_weights(sparse.model.get_weights())
    plain.compile(optimizers.SGD(0.3, momentum=0.9), "mse")
    x, y = data()
    projected = spared = 0
    for batch in range(4):
        before = plain.get_weights()
        sparse.train_on_batch(x, y)
        plain.train_on_batch(x, y)
        then, now = oracle.vectors(before), oracle.vectors(plain.get_weights())
        moved = {}
        for name in then:
            step = step_of(penalty, batch, 0.3)
            gradient = gradient_of(then[name])
            moved[name] = oracle.half_space_step(then[name], now[name], gradient, step, epsilon, 3)
            for x_g, t_g, y_g in zip(then[name], now[name], moved[name], strict=True):
                projected += x_g.any() and not y_g.any()
                spared += y_g is t_g
        plain.set_weights(oracle.to_weights(moved, plain.get_weights()))
        for mine, expected in zip(sparse.model.get_weights(), plain.get_weights(), strict=True):
            np.testing.assert_allclose(mine, expected, rtol=2e-4, atol=2e-5)
    assert projected >= 3
    assert spared == (penalty == "wgsef" and epsilon > 0)  # one that the level keeps would have gone


RULES = {"hspg": "hspg", "hspg-from-the-start": HSPG(epsilon=0.5, start=0.0)}
OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.05, momentum=0.9),
    "adam": lambda: optimizers.Adam(0.01),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", ["lenet", "residual"])
def test_the_level_is_met_to_the_unit_and_never_exceeded(name, optimizer, rule):
    model = models.ALL[name]()
    sparse = tf_wgsef.sparsify(model, sparsity=0.5, update=RULES[rule])
    sparse.compile(OPTIMIZERS[optimizer](), "mse")
    expected = dict(zip(sparse.groups.layers, [pool.k for pool in sparse.level.pools], strict=True))
    seen = EachBatch(lambda model: live_counts(model.model, expected))
    x, y = data(model)
    sparse.fit(x, y, batch_size=8, epochs=6, verbose=0, callbacks=[seen])
    assert live_counts(model, expected) == expected
    for counts in seen.found:
        assert all(counts[layer] >= expected[layer] for layer in expected)


class EachBatch(keras.callbacks.Callback):
    """Collects ``read(model)`` at the end of each batch."""

    def __init__(self, read):
        super().__init__()
        self.read, self.found = read, []

    def on_train_batch_end(self, batch, logs=None):
        self.found.append(self.read(self.model))


def test_groups_that_are_zero_stay_zero_in_phase_2_and_others_in_phase_1_may_not():
    x, y = data()
    for epoch, comes_back in ((1, True), (3, False)):
        sparse = in_phase_2(HSPG(), "lasso", optimizers.Adam(0.1), k=3)
        sparse.begin_epoch(epoch, 4)
        layer = sparse.model.get_layer("h1")
        dead = np.arange(8) < 2
        for weight in layer.weights:
            weight.assign(np.where(dead, 0.0, ops.convert_to_numpy(weight)))
        for _ in range(4):
            sparse.train_on_batch(x, y)
        alive = np.abs(ops.convert_to_numpy(layer.kernel)).sum(axis=0) + np.abs(layer.bias) > 0
        assert alive[dead].any() == comes_back


def test_the_rule_is_saved_with_its_options_and_its_state(tmp_path):
    sparse = in_phase_2(HSPG(epsilon=0.2, start=0.25, growth=0.3), "wgsef", "adam", k=3)
    x, y = data()
    for epoch in (2, 3):
        sparse.begin_epoch(epoch, 1)
        sparse.train_on_batch(x, y)
    sparse.save(tmp_path / "sparse.keras")
    loaded = keras.models.load_model(tmp_path / "sparse.keras")
    assert repr(loaded.update) == "HSPG(epsilon=0.2, start=0.25, growth=0.3)"
    for model in (sparse, loaded):
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
        (lambda: sparse_mlp(update="sgd"), r"\['hspg', 'prox'\], or an UpdateRule. Received: update='sgd'"),
        (lambda: sparse_mlp(update=None), "Received: update=None"),
        (lambda: HSPG(epsilon=1.0), r"`epsilon` in \[0, 1\). Received: epsilon=1.0"),
        (lambda: HSPG(epsilon=-0.1), "Received: epsilon=-0.1"),
        (lambda: HSPG(epsilon=float("nan")), "Received: epsilon=nan"),
        (lambda: HSPG(start=1), r"`start` in \[0, 1\). Received: start=1"),
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
