"""WGSEF against solvers, an independent package, its limit cases and hard inputs."""

import warnings

import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tests import oracles
from tf_wgsef.errors import InputError
from tf_wgsef.penalties import WGSEF, _waterfilling

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from modopt.opt.proximity import KSupportNorm

EXACT = {"rtol": 1e-9, "atol": 1e-12}


def random_problem(seed, *, weighted, m=7):
    rng = np.random.default_rng(seed)
    norms = np.abs(rng.standard_normal(m)) + 0.05
    weights = rng.uniform(0.3, 2.0, m) if weighted else np.ones(m)
    return norms, weights, float(rng.uniform(0.3, 0.8) * weights.sum())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_value_against_slsqp(seed, weighted):
    norms, weights, k = random_problem(seed, weighted=weighted)
    solved = oracles.wgsef_value_slsqp(norms, weights, k)
    ridge = 0.5 * np.sum(norms**2)
    value = float(WGSEF(k, debias=False).value(norms, weights))
    # The solver's point is feasible: its cost bounds ours from above, up to its own accuracy.
    np.testing.assert_allclose(value, solved, rtol=1e-9)
    np.testing.assert_allclose(WGSEF(k).value(norms, weights), value - ridge, **EXACT)


@pytest.mark.parametrize("debias", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_prox_against_slsqp(seed, weighted, debias):
    norms, weights, k = random_problem(seed, weighted=weighted)
    step = (0.05, 0.4, 0.9)[seed % 3]
    solved, least = oracles.wgsef_prox_slsqp(norms, step, weights, k, debias=debias)
    joint = oracles.wgsef_prox_slsqp_joint(norms, step, weights, k, debias=debias)
    penalty = WGSEF(k, debias=debias)
    x = norms * np.asarray(penalty.factors(norms, step, weights))
    cost = step * float(penalty.value(x, weights)) + 0.5 * np.sum((x - norms) ** 2)
    np.testing.assert_allclose(cost, least, rtol=1e-9)
    assert cost <= joint * (1 + 1e-12)
    # The objective is flat at its minimum: 1e-14 in cost is about the root of it in x.
    np.testing.assert_allclose(x, solved, atol=1e-6)


@pytest.mark.parametrize("n", [50, 1_000, 100_000])
def test_prox_against_modopt(n):
    # Its cost is no oracle: its second term lacks the ½ of the first (modopt 1.7.2), so it is 2 W
    # where no group is saturated, as here.
    x = np.random.default_rng(n).standard_normal(n)
    k = n // 10
    for beta in (0.1, 1.0, 3.0):
        rival = KSupportNorm(beta, k)
        factors = np.asarray(WGSEF(k, debias=False).factors(np.abs(x), beta))
        np.testing.assert_allclose(x * factors, rival.op(x), rtol=1e-9, atol=1e-9)
    value = float(WGSEF(k, debias=False).value(np.abs(x)))
    np.testing.assert_allclose(value, 0.5 * KSupportNorm(1.0, k).cost(x), rtol=1e-9)


def test_limit_cases_of_the_value():
    norms, weights, k = random_problem(3, weighted=True)
    envelope = WGSEF(k, debias=False)
    half = 0.5 * np.sum(norms**2)
    total = weights.sum()
    for budget in (total, total * 2):
        np.testing.assert_allclose(envelope.with_budget(budget).value(norms, weights), half, **EXACT)
        assert float(WGSEF(budget).value(norms, weights)) == 0
    np.testing.assert_allclose(WGSEF(1, debias=False).value(norms), 0.5 * norms.sum() ** 2, **EXACT)
    for c in (0.0, 1e-3, 7.0):
        scaled = envelope.value(c * norms, weights)
        np.testing.assert_allclose(scaled, c**2 * float(envelope.value(norms, weights)), **EXACT)


def test_debiased_value_is_zero_exactly_within_the_budget():
    rng = np.random.default_rng(4)
    for _ in range(20):
        norms, weights = rng.random(10) + 0.1, rng.uniform(0.5, 2, 10)
        norms[rng.permutation(10)[:6]] = 0
        used = weights[norms > 0].sum()
        assert float(WGSEF(used * (1 + 1e-12)).value(norms, weights)) == 0
        assert float(WGSEF(used * 0.99).value(norms, weights)) > 0


@pytest.mark.parametrize("k", [0.4, 1, 2.5, 6.999])
def test_fractional_budgets(k):
    norms = np.array([5.0, 4.0, 3.0, 2.0, 1.0, 0.5, 0.2])
    for debias, step in ((True, 0.3), (True, 0.99), (False, 0.3), (False, 30.0)):
        expected = oracles.wgsef_factors(norms, step, None, k, debias=debias)
        got = WGSEF(k, debias=debias).factors(norms, step)
        np.testing.assert_allclose(got, expected, **EXACT)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("step", [0.0, 1e-6, 0.5, 0.999, 1 - 1e-7, 1.0])
def test_steps_up_to_the_hard_projection(step, dtype):
    # Near 1 a rounding of a_g, eps, moves u by eps / (1 - s); at most the budget's worth of groups.
    rng = np.random.default_rng(5)
    for n, k in ((40, 10), (570, 142), (20_000, 5_000)):
        norms = np.abs(rng.standard_normal(n)).astype(dtype)
        factors = np.asarray(WGSEF(k).factors(norms, tf.constant(step, dtype))).astype("float64")
        assert np.all((factors >= 0) & (factors <= 1))
        if step == 0:
            np.testing.assert_array_equal(factors, 1)
            continue
        if step == 1:
            best = np.sort(norms)[-k]
            np.testing.assert_array_equal(factors, norms >= best)
            continue
        if step < (0.9999 if dtype == "float64" else 0.9):
            expected = oracles.wgsef_factors(norms, step, None, k, debias=True)
            near = {"rtol": 0, "atol": 1e-8 if dtype == "float64" else 1e-5}
            np.testing.assert_allclose(factors, expected, **near)
        shares = step * factors / (1 - factors * (1 - step))  # f = u / (u + s (1 - u)), for u
        if step >= 0.5:
            np.testing.assert_allclose(shares.sum(), k, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hard_projection_with_weights_never_exceeds_the_budget(dtype):
    rng = np.random.default_rng(6)
    for _ in range(8):
        norms = rng.random(60).astype(dtype)
        weights = np.exp(2 * rng.standard_normal(60)).astype(dtype)
        k = float(weights.sum() * rng.uniform(0.05, 0.95))
        factors = np.asarray(WGSEF(k).factors(norms, 1.0, weights))
        assert set(np.unique(factors)) <= {0.0, 1.0}
        assert weights @ factors <= k * (1 + 1e-6)
        if dtype == "float64":
            np.testing.assert_array_equal(factors, oracles.hard_factors(norms, weights, k))


@pytest.mark.parametrize("jit", [False, True])
def test_ties(jit):
    hard = tf.function(lambda n, s: WGSEF(3).factors(n, s), jit_compile=jit)
    for n in (5, 9000):
        equal = np.full(n, 0.7)
        factors = np.asarray(hard(equal, tf.constant(1.0, "float64")))
        np.testing.assert_array_equal(factors, np.arange(n) < 3)
        shared = np.asarray(hard(equal, tf.constant(0.5, "float64")))
        u = 3 / n
        np.testing.assert_allclose(shared, u / (u + 0.5 * (1 - u)), **EXACT)
    tied = np.array([1.0, 2.0, 1.0, 3.0, 1.0])
    factors = hard(tied, tf.constant(1.0, "float64"))
    np.testing.assert_array_equal(factors, [1.0, 1.0, 0.0, 1.0, 0.0])


def test_hard_projection_of_what_fits_not():
    norms = np.array([3.0, 2.0, 1.0])
    np.testing.assert_array_equal(WGSEF(2.5).factors(norms, 1.0), [1, 1, 0])
    np.testing.assert_array_equal(WGSEF(0.5).factors(norms, 1.0), [0, 0, 0])
    np.testing.assert_array_equal(WGSEF(9).factors(norms, 1.0), [1, 1, 1])


@pytest.mark.parametrize("scale", [1e-30, 1e-10, 1.0, 1e15, 1e30])
@pytest.mark.parametrize("debias", [False, True])
def test_tiny_and_huge_norms(scale, debias):
    for n in (50, 20_000):
        norms = np.random.default_rng(7).random(n).astype("float32") + 0.1
        penalty = WGSEF(n // 5, debias=debias)
        for jit in (False, True) if n == 50 and scale in (1e-30, 1e30) else (False,):
            factors = tf.function(penalty.factors, jit_compile=jit)(norms * np.float32(scale), 0.5)
            np.testing.assert_allclose(factors, penalty.factors(norms, 0.5), rtol=1e-4, atol=1e-5)


def test_weights_spanning_a_million():
    rng = np.random.default_rng(8)
    for n in (30, 600, 20_000):
        norms, weights = rng.random(n), 10 ** rng.uniform(0, 6, n)
        k = 0.3 * weights.sum()
        for debias in (False, True):
            penalty = WGSEF(k, debias=debias)
            for step in (0.01, 0.9):
                expected = oracles.wgsef_factors(norms, step, weights, k, debias=debias)
                got = np.asarray(penalty.factors(norms, step, weights))
                np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-10)
                single = penalty.factors(*(x.astype("float32") for x in (norms,)), step, weights)
                np.testing.assert_allclose(single, expected, rtol=1e-3, atol=1e-4)


DISTRIBUTIONS = {
    "normal": lambda rng, n: np.abs(rng.standard_normal(n)),
    "log-normal": lambda rng, n: np.exp(3 * rng.standard_normal(n)),
    "cauchy": lambda rng, n: np.abs(rng.standard_cauchy(n)),
    "two scales": lambda rng, n: np.where(rng.random(n) < 0.5, 1e-6, 1.0) * rng.uniform(1, 2, n),
    "a layer": lambda rng, n: 1 + 0.05 * rng.standard_normal(n),
    "half zero": lambda rng, n: rng.random(n) * (rng.random(n) < 0.5),
    "period of the sample": lambda rng, n: np.where(np.arange(n) % 17 == 0, 100.0, rng.random(n)),
    "sorted": lambda rng, n: np.sort(rng.random(n)),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("n", [200, 30_000])
def test_shapes_of_the_norms(name, n):
    norms = DISTRIBUTIONS[name](np.random.default_rng(9), n)
    for share in (0.002, 0.2, 0.8):
        k = max(1, int(share * n))
        for debias, step in ((True, 0.01), (True, 0.9), (False, 0.1), (False, 10.0)):
            expected = oracles.wgsef_factors(norms, step, None, k, debias=debias)
            got = WGSEF(k, debias=debias).factors(norms, step)
            np.testing.assert_allclose(got, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_search_reads_a_long_vector_a_few_times(name):
    n = 30_000
    norms = tf.constant(DISTRIBUTIONS[name](np.random.default_rng(9), n))
    for step, most in ((0.0, 12), (0.5, 20), (1.0, 100)):
        at = (tf.constant(x, "float64") for x in (step, 1 - step))
        ramps = _waterfilling.Ramps(norms, *at, None)
        bounds = _waterfilling._bounds(ramps)
        budget = tf.constant([0.25 * n], "float64")
        assert int(_waterfilling._search(ramps, budget, bounds).step) <= most


def test_budgets_per_row_as_array_and_tensor():
    norms = np.abs(np.random.default_rng(10).standard_normal((2, 3, 12)))
    budgets = np.array([[1.0, 2.0, 3.5], [4.0, 11.0, 40.0]])
    got = np.asarray(WGSEF(budgets).factors(norms, 0.6))
    np.testing.assert_allclose(WGSEF(1).with_budget(tf.constant(budgets)).factors(norms, 0.6), got)
    for row in np.ndindex(2, 3):
        expected = oracles.wgsef_factors(norms[row], 0.6, None, budgets[row], debias=True)
        np.testing.assert_allclose(got[row], expected, **EXACT)
    assert WGSEF.from_config(WGSEF(budgets).get_config()).get_config() == WGSEF(budgets).get_config()


def test_long_rows_are_solved_together():
    rng = np.random.default_rng(11)
    norms = rng.random((3, 20_000)) * np.array([[1.0], [1e-3], [0.0]])
    got = np.asarray(WGSEF(np.array([100, 19_000, 5])).factors(norms, 0.5))
    for row, k in enumerate((100, 19_000)):
        expected = oracles.wgsef_factors(norms[row], 0.5, None, k, debias=True)
        np.testing.assert_allclose(got[row], expected, **EXACT)
    assert np.all(np.isfinite(got[2]))


def test_nothing_is_sorted():
    def names(graph):
        for operation in graph.get_operations():
            yield operation.type
        for function in graph._functions.values() if hasattr(graph, "_functions") else ():
            yield from (node.op for node in function.cached_definition.node_def)

    spec = tf.TensorSpec((20_000,), tf.float32)
    concrete = tf.function(WGSEF(5).factors, autograph=False).get_concrete_function(
        spec, tf.TensorSpec((), tf.float32)
    )
    library = concrete.graph.as_graph_def().library.function
    used = {op for op in names(concrete.graph)} | {n.op for f in library for n in f.node_def}
    assert "While" in used or "StatelessWhile" in used
    assert not {op for op in used if "Sort" in op or "TopK" in op}


def test_a_length_known_only_when_run():
    spec = tf.TensorSpec((None,), tf.float64)
    factors = tf.function(lambda norms: WGSEF(3).factors(norms, 0.5), input_signature=[spec])
    for n in (4, 10_000):
        norms = np.random.default_rng(n).random(n)
        np.testing.assert_allclose(factors(norms), WGSEF(3).factors(norms, 0.5), **EXACT)


def test_tensor_steps_are_clipped():
    norms = np.array([1.0, 2.0, 3.0])
    above = WGSEF(1).factors(norms, tf.constant(1.5, "float64"))
    np.testing.assert_array_equal(above, WGSEF(1).factors(norms, 1.0))
    below = WGSEF(1).factors(norms, tf.constant(-1.0, "float64"))
    np.testing.assert_array_equal(below, 1.0)


def test_gradient_trains_through_value():
    # P pushes down what is outside the best k groups and leaves these alone.
    norms = tf.Variable(np.array([3.0, 2.0, 0.1, 0.0]))
    with tf.GradientTape() as tape:
        value = ops.sum(WGSEF(2).value(norms))
    gradient = np.asarray(tape.gradient(value, norms))
    assert gradient[2] > 0.5 and gradient[3] == 0 and abs(gradient[0]) < 1e-12


@pytest.mark.parametrize("k", [0, -1, np.nan, np.inf, "five", True, [1, 0], None])
def test_bad_budgets(k):
    with pytest.raises(InputError, match=r"Expected `k`.*Received: k="):
        WGSEF(k)


def test_bad_steps_and_rows():
    with pytest.raises(InputError, match=r"\[0, 1\].*Received: step_size=1.5"):
        WGSEF(1).factors([1.0, 2.0], 1.5)
    with pytest.raises(InputError, match=r"strength=4.*debias=False"):
        WGSEF(1, strength=4.0).factors([1.0, 2.0], 0.5)
    with pytest.raises(InputError, match=r"one per row.*k.shape=\(3,\), norms.shape=\(2, 2\)"):
        WGSEF([1, 2, 3]).value([[1.0, 2.0], [3.0, 4.0]])
