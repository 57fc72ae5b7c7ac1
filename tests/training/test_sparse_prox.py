"""Sparse groups: their prox against SciPy, their steps against a NumPy loop, and what a user sees of them."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy.optimize import minimize

import tf_wgsef
from tests import oracles
from tests.training import half_space_oracle as oracle
from tests.training.test_half_space import Constant, in_phase_2, prox_of, step_of
from tests.training.toys import data, live_channels, live_counts, mlp, sparse_mlp
from tf_wgsef.errors import InputError
from tf_wgsef.training import ProximalState, ProximalStep, SparseProx, preset_level

optimizers = keras.optimizers


def moved(groups, penalty, rule, *, step, rate, k=1):
    """The vectors of ``groups`` after one step of ``rule``, each a kernel column and a bias of one layer."""
    stacked = np.stack(groups, axis=1).astype("float32")
    hidden = layers.Dense(len(groups), activation="relu", name="h1")
    made = keras.Sequential([keras.Input((len(stacked) - 1,)), hidden, layers.Dense(1)])
    found = tf_wgsef.build_groups(made)
    proximal = ProximalStep(found, preset_level(found, k=k), penalty, Constant(step), rule)
    state = ProximalState(0.0, 0.0, 4.0, 0.0, 4.0, 0.0, 0.0, 0.0, np.zeros(len(groups)))
    (kernel, bias), state = proximal([stacked[:-1], stacked[-1]], state, rate, True)
    x = np.vstack([ops.convert_to_numpy(kernel), ops.convert_to_numpy(bias)]).T.astype("float64")
    assert state.live == x.any(axis=1).sum()
    return x


def mcp(n, gamma=3.0):
    return np.where(n < gamma, n - n**2 / (2 * gamma), gamma / 2).sum()


SUMS = {
    "lasso": (tf_wgsef.GroupLasso(), np.sum),
    "mcp": (tf_wgsef.GroupMCP(gamma=3.0), mcp),
    "transformed_l1": (tf_wgsef.GroupTransformedL1(a=1.0), lambda n: np.sum(2 * n / (1 + n))),
    "l0": (tf_wgsef.GroupL0(), np.count_nonzero),
    "wgsef": (tf_wgsef.WGSEF(1), lambda n: oracles.wgsef_value(n, None, 1.0, debias=True)),
}


def least_cost(cost, t):
    """The least of ``cost`` that SciPy finds from x = p - q with p, q >= 0, or with groups that are zero."""
    found = []
    for zeros in np.ndindex(*(2,) * len(t)):
        free = np.broadcast_to(np.array(zeros)[:, None] == 0, t.shape)

        def split(z, free=free):
            return np.where(free, z[: t.size].reshape(t.shape) - z[t.size :].reshape(t.shape), 0.0)

        for scale in (0.2, 0.8):
            start = scale * np.concatenate([np.maximum(t, 0).ravel(), np.maximum(-t, 0).ravel()]) + 1e-3
            best = minimize(lambda z, split=split: cost(split(z)), start, bounds=[(0, None)] * (2 * t.size))
            found.append(best.fun)
    return min(found)


@pytest.mark.parametrize("name", SUMS)
def test_the_prox_of_sparse_groups_is_that_of_the_sum_by_scipy(name):
    penalty, value = SUMS[name]
    generator, zeros = np.random.default_rng(1), 0
    for _ in range(3 if name == "wgsef" else 8):
        t = generator.normal(size=(2 if name == "wgsef" else 1, 3)).astype("float32").astype("float64")
        step, rate, mu = 10.0 ** generator.uniform(-1.5, -0.2, 3)
        x = moved(t, penalty, SparseProx(elementwise=mu), step=step, rate=rate)

        def cost(x, t=t, step=step, threshold=rate * mu):
            norms = np.linalg.norm(x, axis=1)
            return step * value(norms) + threshold * np.abs(x).sum() + 0.5 * np.sum((x - t) ** 2)

        assert cost(x) <= least_cost(cost, t) + 1e-5
        zeros += np.count_nonzero(x == 0)
    assert 0 < zeros < 3 * 8


COSTS = {
    "l1": np.abs,
    "l0": lambda x: (x != 0).astype("float64"),
    "transformed_l1": lambda x: 2 * np.abs(x) / (1 + np.abs(x)),
}


@pytest.mark.parametrize("kind", COSTS)
def test_single_weights_take_the_least_of_a_fine_grid(kind):
    generator = np.random.default_rng(2)
    t = generator.normal(size=(4, 6)).astype("float32").astype("float64")
    zeros = []
    for step in (0.02, 0.3, 0.8):
        rule = SparseProx(elementwise=2 * step, kind=kind)
        x = moved(t, tf_wgsef.WGSEF(1), rule, step=1e-3, rate=0.5, k=4)
        grid = np.append(np.linspace(-3, 3, 6001), 0.0)  # linspace misses 0 by a rounding error
        costs = step * COSTS[kind](grid) + 0.5 * (grid - t.reshape(-1, 1)) ** 2
        least = np.minimum(costs.min(axis=1), (step * COSTS[kind](t)).ravel())
        found = (step * COSTS[kind](x) + 0.5 * (x - t) ** 2).ravel()
        assert (found <= least + 1e-6).all()
        zeros.append(np.count_nonzero(x == 0))
    assert zeros[0] < zeros[1] < zeros[2] < t.size


@pytest.mark.parametrize(("penalty", "mode"), [("lasso", "graph"), ("wgsef", "jit"), ("wgsef", "eager")])
def test_the_steps_are_those_of_a_loop(penalty, mode):
    """Also with a rate that falls: the step of the weights is that of the update just made."""

    def sgd():
        return optimizers.SGD(optimizers.schedules.ExponentialDecay(0.3, 1, 0.5), momentum=0.9)

    sparse = in_phase_2(SparseProx(elementwise=0.2), penalty, sgd(), k=3)
    sparse.compile(sparse.optimizer, "mse", run_eagerly=mode == "eager", jit_compile=mode == "jit")
    plain = mlp()
    plain.set_weights(sparse.model.get_weights())
    plain.compile(sgd(), "mse")
    x, y = data()
    for batch in range(4):
        rate = 0.3 * 0.5**batch
        logs = sparse.train_on_batch(x, y, return_dict=True)
        plain.train_on_batch(x, y)
        layers_now = oracle.vectors(plain.get_weights())
        for name, groups in layers_now.items():
            soft = [np.sign(t) * np.maximum(np.abs(t) - rate * 0.2, 0) for t in groups]
            layers_now[name] = prox_of(penalty, soft, step_of(penalty, batch, rate))
        plain.set_weights(oracle.to_weights(layers_now, plain.get_weights()))
        for mine, expected in zip(sparse.model.get_weights(), plain.get_weights(), strict=True):
            np.testing.assert_allclose(mine, expected, rtol=2e-4, atol=2e-5)
            np.testing.assert_array_equal(mine == 0, expected == 0)
        assert logs["live_groups"] == sum(g.any() for groups in layers_now.values() for g in groups)
    inside = [g for groups in layers_now.values() for g in groups if g.any()]
    assert np.count_nonzero(np.array([0 in g for g in inside])) > 2


@pytest.mark.parametrize("kind", COSTS)
def test_layers_without_a_level_keep_all_their_weights(kind):
    sparse = in_phase_2(SparseProx(elementwise=0.5, kind=kind), "wgsef", optimizers.SGD(0.3), k={"h1": 3})
    plain = mlp()
    plain.set_weights(sparse.model.get_weights())
    plain.compile(optimizers.SGD(0.3), "mse")
    x, y = data()
    sparse.train_on_batch(x, y)
    plain.train_on_batch(x, y)
    assert (ops.convert_to_numpy(sparse.model.get_layer("h1").kernel) == 0).any()
    for mine, expected in zip(sparse.model.get_weights()[2:], plain.get_weights()[2:], strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-5, atol=1e-6)


def test_entries_that_are_in_no_group_keep_their_values():
    """Beside groups that are scattered over a variable, some of whose entries are in none."""
    model = mlp()
    ids = np.full((4, 8), -1)
    ids[:, ::2] = np.arange(16).reshape(4, 4) % 3
    groups = tf_wgsef.custom_groups(model, {"h1/kernel": ids})
    sparse = tf_wgsef.sparsify(model, k=2, groups=groups, update=SparseProx(elementwise=100.0))
    sparse.compile(optimizers.SGD(0.01), "mse", jit_compile=False)
    sparse.begin_ramp(4)
    sparse.begin_epoch(0, 4)
    x, y = data()
    sparse.train_on_batch(x, y)
    kernel = ops.convert_to_numpy(model.get_layer("h1").kernel)
    assert (kernel[ids >= 0] == 0).all() and (kernel[ids < 0] != 0).all()


@pytest.mark.parametrize("penalty", ["wgsef", "group_lasso"])
def test_groups_that_were_not_chosen_stay_zero_and_the_level_is_met(penalty):
    sparse = sparse_mlp(optimizers.Adam(0.05), k=3, penalty=penalty, update="sparse")
    sparse.compile(sparse.optimizer, "mse", jit_compile=False)
    found = []

    def collect(batch, logs):
        if sparse.frozen:
            found.append(np.concatenate([live_channels(sparse.model, name) for name in ("h1", "h2")]))

    x, y = data()
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=collect)
    sparse.fit(x, y, batch_size=8, epochs=4, verbose=0, callbacks=[callback])
    assert live_counts(sparse.model, ("h1", "h2")) == {"h1": 3, "h2": 3}
    assert len(found) == 8 and all((one == found[0]).all() for one in found)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SparseProx(elementwise=-1.0), "`elementwise` to be a finite number.*elementwise=-1.0"),
        (lambda: SparseProx(elementwise=float("nan")), "Received: elementwise=nan"),
        (lambda: SparseProx(kind="l2"), r"`kind` to be one of \['l0', 'l1', 'transformed_l1'\].*kind='l2'"),
        (lambda: SparseProx(kind=None), "Received: kind=None"),
        (
            lambda: sparse_mlp(metric="group", update=SparseProx(kind="l0")),
            r"metric='euclidean' for update=SparseProx\(.*kind='l0'\).*Received: metric='group'",
        ),
    ],
)
def test_bad_arguments_get_one_clear_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(optimizers, "MultiOptimizer"), reason="this Keras has no MultiOptimizer")
def test_several_optimizers_are_refused_since_each_has_a_rate_of_its_own():
    parts = optimizers.OptimizerMap(optimizers.SGD(0.1), {"(.*/)?h1/.*": optimizers.Adam(0.01)})
    sparse = sparse_mlp(optimizers.MultiOptimizer(parts), update="sparse")
    x, y = data()
    with pytest.raises(InputError, match="Received: a MultiOptimizer of 2.*update='prox'"):
        sparse.fit(x, y, verbose=0)
