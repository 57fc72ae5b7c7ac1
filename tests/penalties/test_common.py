"""What holds for every penalty; the penalties come from cases.py."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tests.penalties.cases import cases_with, every
from tf_wgsef.errors import InputError

# Sums of a few numbers of size 1, in another order than the reference's.
EXACT = {"rtol": 1e-9, "atol": 1e-12}
FLOAT32 = {"rtol": 2e-5, "atol": 2e-6}


def problems(seed, trials, m=9):
    rng = np.random.default_rng(seed)
    for _ in range(trials):
        norms = np.abs(rng.standard_normal(m)) * (rng.random(m) < 0.9)
        yield rng, norms, rng.uniform(0.3, 2.0, m)


def steps(case):
    return (1e-6, 0.3 * case.largest_step, case.largest_step)


@every
@pytest.mark.parametrize("weighted", [False, True])
def test_factors_match_the_reference(case, weighted):
    for _, norms, weights in problems(0, 15):
        weights = weights if weighted else None
        for step in steps(case):
            got = np.asarray(case.make().factors(norms, step, weights))
            np.testing.assert_allclose(got, case.factors(norms, step, weights), **EXACT)


@every
def test_value_matches_the_reference(case):
    for _, norms, weights in problems(8, 15):
        for given in (weights, None):
            expected = case.value(norms, given)
            np.testing.assert_allclose(case.make().value(norms, given), expected, rtol=1e-9, atol=1e-9)


@every
def test_prox_beats_every_candidate(case):
    penalty = case.make(strength=0.5)
    for rng, norms, weights in problems(1, 4):
        for step in steps(case):
            s = 0.5 * step
            best = norms * np.asarray(penalty.factors(norms, step, weights))
            near = best + rng.standard_normal((200, 9)) * 10.0 ** -rng.integers(1, 7, (200, 1))
            wide = norms * rng.random((200, 9)) * (rng.random((200, 9)) < 0.7)
            candidates = np.abs(np.concatenate([best[None], norms[None], near, wide]))
            cost = s * np.asarray(penalty.value(candidates, weights))
            cost = cost + 0.5 * np.sum((candidates - norms) ** 2, axis=-1)
            assert cost[0] <= cost.min() + 1e-12 * max(1.0, cost[0])


@cases_with(lambda case: case.convex)
def test_convex_ones_are_convex_and_firmly_nonexpansive(case):
    penalty = case.make()
    for rng, _, weights in problems(2, 6):
        # Vectors, not norms: groups of size 3, so that directions count too.
        x, y = rng.standard_normal((2, 9, 3))
        px, py = (_prox(penalty, t, 0.7, weights) for t in (x, y))
        assert np.sum((px - py) ** 2) <= np.sum((px - py) * (x - y)) + 1e-12
        middle, ends = 0.4 * x + 0.6 * y, (0.4 * _value(penalty, x), 0.6 * _value(penalty, y))
        assert _value(penalty, middle) <= sum(ends) + 1e-12


def _prox(penalty, t, step, weights):
    return t * np.asarray(penalty.factors(np.linalg.norm(t, axis=-1), step, weights))[:, None]


def _value(penalty, t):
    return float(penalty.value(np.linalg.norm(t, axis=-1)))


@every
def test_step_zero_changes_nothing(case):
    norms = np.array([0.0, 1e-20, 0.5, 2.0, 2.0, 3.0, 7.0])
    np.testing.assert_array_equal(np.asarray(case.make().factors(norms, 0.0)), 1.0)
    np.testing.assert_array_equal(np.asarray(case.make(strength=0.0).factors(norms, 1.0)), 1.0)
    compiled = tf.function(case.make().factors, jit_compile=True)(norms, tf.constant(0.0, "float64"))
    np.testing.assert_array_equal(np.asarray(compiled), 1.0)


@every
def test_strength_multiplies_the_step(case):
    norms = np.array([0.5, 1.0, 2.0, 3.0, 4.0])
    one, two = case.make(strength=0.25).factors(norms, 0.8), case.make().factors(norms, 0.2)
    np.testing.assert_allclose(one, two, **EXACT)


@cases_with(lambda case: not case.step_per_group)
def test_one_that_couples_groups_refuses_a_step_per_group(case):
    for shape in ((4,), (2, 4)):
        with pytest.raises(InputError, match=r"one step for all groups.*step_size.shape=\(.*4.*\)"):
            case.make().factors(np.ones((2, 4)), tf.ones(shape))


@cases_with(lambda case: case.step_per_group)
def test_one_step_per_group(case):
    for rng, norms, weights in problems(3, 8):
        step = rng.uniform(0, case.largest_step, norms.shape)
        got = np.asarray(case.make().factors(norms, tf.constant(step), weights))
        np.testing.assert_allclose(got, case.factors(norms, step, weights), **EXACT)


@every
def test_one_step_per_row(case):
    for rng, norms, weights in problems(9, 4):
        rows, step = np.stack([norms, norms[::-1]]), rng.uniform(0, case.largest_step, (2, 1))
        got = np.asarray(case.make().factors(rows, tf.constant(step), weights))
        for row in range(2):
            np.testing.assert_allclose(got[row], case.factors(rows[row], step[row, 0], weights), **EXACT)


@every
def test_finite_at_zero_with_gradients(case):
    penalty = case.make()
    for values in ([0.0] * 6, [0.0, 0.0, 1.0, 2.0, 3.0, 4.0]):
        norms = tf.Variable(np.array(values, dtype="float32"))
        with tf.GradientTape() as tape:
            value = penalty.value(norms)
        assert np.isfinite(value)
        assert np.all(np.isfinite(tape.gradient(value, norms)))
        assert np.all(np.isfinite(penalty.factors(norms, 0.5)))


@every
def test_gradient_of_value_is_its_slope(case):
    for _, norms, weights in problems(4, 4):
        norms = norms + 0.05
        variable = tf.Variable(norms)
        with tf.GradientTape() as tape:
            value = case.make().value(variable, weights)
        h = 1e-6
        shifted = norms + h * np.concatenate([np.eye(9), -np.eye(9)])
        values = np.asarray(case.make().value(shifted, weights))
        slope = (values[:9] - values[9:]) / (2 * h)
        # Central differences: h² and rounding / h, both about 1e-9; kinks of the slope in between.
        np.testing.assert_allclose(tape.gradient(value, variable), slope, rtol=1e-5, atol=1e-5)


@cases_with(lambda case: not case.has_gradient)
def test_one_without_a_gradient_says_so(case):
    with pytest.raises(InputError, match=r"a gradient for half-space steps.*Received: Group"):
        case.make().gradient_factors(np.ones(3))


@cases_with(lambda case: case.has_gradient)
def test_gradient_factors_times_norms_are_the_gradient_of_value(case):
    for _, norms, weights in problems(7, 4):
        for given in (weights, None):
            variable = tf.Variable(norms)
            with tf.GradientTape() as tape:
                value = case.make().value(variable, given)
            got = case.make(strength=0.3).gradient_factors(norms, given)  # without the strength, as value
            expected = tape.gradient(value, variable)
            # A penalty may have a slope at 0, which no multiple of a group that is 0 can be.
            np.testing.assert_allclose(got * norms, np.where(norms > 0, expected, 0.0), **EXACT)
            assert not np.asarray(got)[norms == 0].any()


@every
def test_padding_and_rows(case):
    rng = np.random.default_rng(5)
    sizes = (4, 9, 6)
    norms, weights = np.zeros((3, 9)), np.zeros((3, 9))
    for row, m in enumerate(sizes):
        norms[row, :m], weights[row, :m] = rng.random(m) + 0.1, rng.random(m) + 0.5
    penalty = case.make()
    factors = np.asarray(penalty.factors(norms, 0.4, weights))
    values = np.asarray(penalty.value(norms, weights))
    assert np.all(np.isfinite(factors))
    for row, m in enumerate(sizes):
        alone = (norms[row, :m], weights[row, :m])
        np.testing.assert_allclose(factors[row, :m], penalty.factors(alone[0], 0.4, alone[1]), **EXACT)
        np.testing.assert_allclose(values[row], penalty.value(*alone), **EXACT)


@every
def test_a_group_of_weight_zero_is_free(case):
    norms = np.array([0.01, 1.0, 2.0, 3.0, 4.0, 5.0])
    weights = np.array([0.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    penalty = case.make()
    rest = penalty.factors(norms[1:], 0.5, weights[1:])
    factors = np.asarray(penalty.factors(norms, 0.5, weights))
    np.testing.assert_allclose(factors[1:], rest, **EXACT)
    ridge = getattr(penalty, "debias", True) is False
    assert factors[0] == pytest.approx(1 / 1.5 if ridge else 1.0)


@every
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_sums_in_float32(case, dtype):
    # 4 096 equal norms: a bfloat16 sum of ones stalls at 256, a float16 one of norms 60 overflows.
    norms = keras.ops.cast(np.linspace(30, 60, 4096), dtype)
    penalty = case.make().with_budget(1000)
    factors = penalty.factors(norms, 0.5)
    assert keras.backend.standardize_dtype(factors.dtype) == dtype
    single = ops.cast(norms, "float32")
    expected = ops.cast(penalty.factors(single, 0.5), dtype)
    np.testing.assert_array_equal(ops.cast(factors, "float32"), ops.cast(expected, "float32"))
    np.testing.assert_array_equal(penalty.value(norms), penalty.value(single))
    assert keras.backend.standardize_dtype(penalty.value(norms).dtype) == "float32"


@every
def test_eager_graph_and_xla_agree(case):
    penalty = case.make()
    norms = np.abs(np.random.default_rng(6).standard_normal((3, 40))).astype("float32")
    norms[:, :5] = 0
    step = tf.constant(0.4 * case.largest_step)

    def both(norms, step):
        return penalty.factors(norms, step), penalty.value(norms)

    eager = both(norms, step)
    for jit in (False, True):
        compiled = tf.function(both, jit_compile=jit)(tf.constant(norms), step)
        for got, expected in zip(compiled, eager, strict=True):
            np.testing.assert_allclose(got, expected, **FLOAT32)


@every
def test_static_and_tensor_steps_agree_and_no_gradient_flows_through_factors(case):
    norms = tf.Variable(np.array([0.5, 1.0, 2.0, 3.0, 4.0]))
    with tf.GradientTape() as tape:
        total = ops.sum(case.make().factors(norms, tf.constant(0.5, "float64")) * norms)
    factors = np.asarray(case.make().factors(norms, 0.5))
    np.testing.assert_allclose(tape.gradient(total, norms), factors, **EXACT)


@every
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_norms_that_are_not_finite_give_nan_and_spare_other_rows(case, bad):
    norms = np.array([[1.0, bad, 2.0, 4.0, 1.0], [1.0, 2.0, 3.0, 4.0, 5.0]])
    for jit in (False, True):
        factors = tf.function(case.make().factors, jit_compile=jit)(norms, 0.5)
        assert np.isnan(np.asarray(factors)[0, 1])
        assert np.all(np.isfinite(np.asarray(factors)[1]))
    assert not np.isfinite(np.asarray(case.make().value(norms))[0])


@cases_with(lambda case: case.has_gradient)
def test_gradient_factors_of_nan_are_nan_and_spare_other_rows(case):
    norms = np.array([[1.0, np.nan, 2.0, 4.0, 1.0], [1.0, 2.0, 3.0, 0.0, 5.0]])
    factors = np.asarray(case.make().gradient_factors(norms))
    assert np.isnan(factors[0, 1])
    assert np.all(np.isfinite(factors[1]))


@every
def test_factors_are_shares_in_either_precision(case):
    rng = np.random.default_rng(10)
    for scale in (1e-20, 1.0, 1e15):
        norms, weights = scale * rng.random((2, 9)), 10 ** rng.uniform(-3, 3, 9)
        for step in steps(case):
            single = np.asarray(case.make().factors(norms.astype("float32"), step, weights))
            assert single.dtype == np.float32
            assert np.all((single >= 0) & (single <= 1))
            # Where it jumps, a norm within a rounding of the threshold may fall on either side: none is here.
            np.testing.assert_allclose(
                single, case.make().factors(norms, step, weights), rtol=1e-4, atol=1e-5
            )
