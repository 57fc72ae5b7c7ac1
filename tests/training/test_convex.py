"""A convex problem, trained to its end: where proximal SGD stops is the optimum that SciPy finds."""

import dataclasses

import keras
import numpy as np
import pytest
from scipy.optimize import minimize

import tf_wgsef
from tf_wgsef.training import Level, Pool, ProximalModel

SAMPLES, INPUTS = 60, 12
RATE, STEPS = 1.0, 800


@dataclasses.dataclass(frozen=True)
class Case:
    """Logistic regression with groups of weights and a penalty on them.

    Attributes:
        ids: group of each entry of the kernel, -1 in none, shape (inputs, outputs); one output is the
            logit of two classes.
        strength: λ.
        k: budget of WGSEF; group lasso if None.
        weights: cost of each group, ones if None.
        kind: how ``build_groups`` calls these groups; ``custom_groups`` makes them if None.
    """

    ids: np.ndarray
    strength: float
    k: float | None = None
    weights: tuple[float, ...] | None = None
    kind: str | None = None

    @property
    def costs(self) -> np.ndarray:
        return np.array(self.weights or np.ones(self.ids.max() + 1))


SINGLE, PAIRS = np.arange(INPUTS)[:, None], np.arange(INPUTS)[:, None] // 2
ROWS = np.tile(np.arange(INPUTS)[:, None], (1, 3))
UNEQUAL = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 4, -1])[:, None]
CASES = {
    "wgsef-elements": Case(SINGLE, 0.05, k=3, kind="element"),
    "wgsef-rows": Case(ROWS, 0.05, k=4, kind="filter_shape"),
    "wgsef-pairs": Case(PAIRS, 0.05, k=2),
    "wgsef-costs": Case(UNEQUAL, 0.05, k=4.5, weights=(3.0, 2.0, 4.0, 1.0, 1.0)),
    "group_lasso-rows": Case(ROWS, 0.05, kind="filter_shape"),
    "group_lasso-pairs": Case(PAIRS, 0.05),
    "group_lasso-costs": Case(UNEQUAL, 0.03, weights=(3.0, 2.0, 4.0, 1.0, 1.0)),
}


def data(outputs: int):
    """Inputs of which some hardly matter, each second one correlated with the one before."""
    generator = np.random.default_rng(3)
    x = generator.normal(size=(SAMPLES, INPUTS))
    x[:, 1::2] = 0.6 * x[:, ::2] + 0.8 * x[:, 1::2]
    effects = generator.normal(size=(INPUTS, 3)) * np.repeat([2.0, 0.1, 1.0, 0.3, 0.1, 0.6], 2)[:, None]
    y = np.argmax(x @ effects + generator.gumbel(size=(SAMPLES, 3)), axis=1)
    return x, y if outputs > 1 else (y > 0).astype("int64")


def loss(weights, case: Case):
    """Mean cross-entropy and its gradient at the kernel and the bias, one vector."""
    outputs, size = case.ids.shape[1], case.ids.size
    x, y = data(outputs)
    logits = x @ weights[:size].reshape(case.ids.shape) + weights[size:]
    if outputs == 1:
        logits = np.concatenate([np.zeros_like(logits), logits], axis=1)
    logits = logits - logits.max(axis=1, keepdims=True)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    rows = np.arange(len(y))
    error = shares.copy()
    error[rows, y] -= 1
    error = error[:, -outputs:] / len(y)
    return -np.mean(np.log(shares[rows, y])), np.concatenate([(x.T @ error).ravel(), error.sum(axis=0)])


def solve(case: Case):
    """The optimum by the penalties' variational form, with no prox in it.

    Both are ½ min_u Σ ‖x_g‖²/u_g over some u ≥ 0: WGSEF with u ≤ 1 and Σ d_g u_g ≤ k, the group lasso with
    ½ Σ d_g u_g added. What remains for a given u, in v_g = x_g/√u_g, is ridge regression on scaled inputs
    (BFGS); its minimum is convex in u and has the gradient -‖∂loss/∂x_g‖²/(2λ), no 0/0 anywhere (SLSQP).

    Returns:
        The objective, the weights, and the u_g.
    """
    costs = case.costs
    ids = np.append(case.ids.ravel(), np.full(case.ids.shape[1], -1))
    penalised = ids >= 0

    def weights_given(u):
        scale = np.where(penalised, np.sqrt(np.maximum(u, 0.0))[ids], 1.0)

        def ridge(v):
            value, gradient = loss(scale * v, case)
            shrunk = case.strength * np.where(penalised, v, 0.0)
            return value + 0.5 * shrunk @ v, scale * gradient + shrunk

        found = minimize(ridge, np.zeros(ids.shape), jac=True, method="BFGS", options={"gtol": 1e-13})
        return found.fun, scale * found.x

    def objective(u):
        value, weights = weights_given(u)
        slopes = loss(weights, case)[1]
        squares = np.array([np.sum(slopes[ids == g] ** 2) for g in range(len(costs))])
        price = 0.0 if case.k else 0.5 * case.strength * costs
        return value + np.sum(price * u), price - squares / (2 * case.strength)

    budget = {"type": "ineq", "fun": lambda u: case.k - costs @ u, "jac": lambda u: -costs}
    found = minimize(
        objective,
        np.full(len(costs), min(0.5, case.k / costs.sum()) if case.k else 0.5),
        jac=True,
        bounds=[(0.0, 1.0 if case.k else None)] * len(costs),
        constraints=[budget] if case.k else [],
        method="SLSQP",
        options={"ftol": 1e-16, "maxiter": 1000},
    )
    return found.fun, weights_given(found.x)[1], found.x


@pytest.fixture
def float64():
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


def proximal(case: Case) -> ProximalModel:
    """The logistic regression in Keras; a bias, and inputs of no group, go free."""
    outputs = case.ids.shape[1]
    model = keras.Sequential([keras.Input((INPUTS,)), keras.layers.Dense(outputs, name="logits")])
    if case.kind:
        groups = tf_wgsef.build_groups(model, kind=case.kind)
    else:
        groups = tf_wgsef.custom_groups(model, {"logits/kernel": case.ids})
    groups = dataclasses.replace(groups, weights=case.costs)
    pool = Pool(np.arange(groups.num_groups), groups.layer_of, k=case.k or 1.0)
    if case.k:
        penalty = tf_wgsef.WGSEF(1, strength=case.strength, debias=False)
    else:
        penalty = tf_wgsef.GroupLasso(strength=case.strength)
    sparse = ProximalModel(model, groups, Level((pool,)), penalty=penalty)
    losses = keras.losses
    loss_of = losses.BinaryCrossentropy if outputs == 1 else losses.SparseCategoricalCrossentropy
    sparse.compile(keras.optimizers.SGD(RATE), loss_of(from_logits=True))
    return sparse


@pytest.mark.parametrize("name", CASES)
def test_proximal_sgd_ends_at_the_optimum_of_an_independent_solver(name, float64):
    """On all the data, and before the choice of survivors: the optimum need not keep k groups."""
    case = CASES[name]
    expected, optimum, shares = solve(case)
    sparse = proximal(case)
    x, y = data(case.ids.shape[1])
    for _ in range(STEPS):
        sparse.train_on_batch(x, y[:, None])
    weights = np.concatenate([weight.ravel() for weight in sparse.model.get_weights()])
    norms = keras.ops.convert_to_numpy(sparse.groups.norms(sparse.model))
    value = float(sparse.penalty.with_budget(case.k).value(norms, case.costs))
    assert loss(weights, case)[0] + case.strength * value == pytest.approx(expected, abs=1e-12)
    # The bar is 1e-6; factors rounded to float32 on the way leave 8e-7, whole float64 2e-8.
    np.testing.assert_allclose(weights, optimum, rtol=0, atol=1e-7)
    np.testing.assert_array_equal(norms > 0, shares > 1e-9)
    assert (norms == 0).any()
