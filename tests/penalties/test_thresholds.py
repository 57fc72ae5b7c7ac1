"""The rivals' thresholds against brute force: the global minimum, in every regime of the step."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from scipy.integrate import quad

from tf_wgsef.errors import InputError
from tf_wgsef.penalties import (
    GroupL0,
    GroupL1MinusL2,
    GroupLasso,
    GroupMCP,
    GroupPenalty,
    GroupSCAD,
    GroupTransformedL1,
)

EXACT = {"rtol": 1e-9, "atol": 1e-12}


@dataclasses.dataclass(frozen=True)
class Rule:
    """A penalty, the derivative of its cost (x, c) as the papers define it, and steps around its changes."""

    make: Callable[..., GroupPenalty]
    slope: Callable
    steps: tuple


def around(*steps):
    return tuple(step * by for step in steps for by in (0.2, 1 - 1e-9, 1.0, 1 + 1e-9, 1.3, 5.0))


RULES = {
    # From a step of γ on the objective is not convex.
    "mcp": Rule(lambda **o: GroupMCP(gamma=2.0, **o), lambda x, c: max(0, c - x / 2), around(2.0)),
    "mcp-sharp": Rule(lambda **o: GroupMCP(gamma=0.1, **o), lambda x, c: max(0, c - x / 0.1), around(0.1)),
    # From a - 1 on it is not convex; from a + 1 on the soft part is never best.
    "scad": Rule(GroupSCAD, lambda x, c: c if x <= c else max(0, 3.7 * c - x) / 2.7, around(2.7, 4.7)),
    "scad-sharp": Rule(
        lambda **o: GroupSCAD(a=2.01, **o),
        lambda x, c: c if x <= c else max(0, 2.01 * c - x) / 1.01,
        around(1.01, 3.01),
    ),
    # From a²/(2(a + 1)) on it jumps.
    "transformed-l1": Rule(GroupTransformedL1, lambda x, c: 2 * c / (1 + x) ** 2, around(0.25)),
    "transformed-l1-sharp": Rule(
        lambda **o: GroupTransformedL1(a=0.05, **o),
        lambda x, c: c * 0.0525 / (0.05 + x) ** 2,
        (1e-4, 0.01, 3.0),
    ),
    "transformed-l1-flat": Rule(
        lambda **o: GroupTransformedL1(a=50.0, **o), lambda x, c: c * 2550 / (50 + x) ** 2, (0.3, 3.0, 24.0)
    ),
}
every_rule = pytest.mark.parametrize("name", RULES)


@every_rule
def test_the_value_is_the_integral_of_the_papers_slope(name):
    rule = RULES[name]
    for c in (0.5, 1.0, 1.7):
        for n in (0.03, 0.4, 1.0, 2.5, 9.0):
            knots = [k * c for k in (0.1, 1.0, 2.0, 2.01, 3.7) if k * c < n]
            expected, _ = quad(rule.slope, 0, n, args=(c,), points=knots or None, epsabs=1e-12, epsrel=1e-12)
            got = float(rule.make().value(np.array([n]), np.array([c**2])))
            np.testing.assert_allclose(got, expected, rtol=1e-8)


@every_rule
@pytest.mark.parametrize("scale", [1.0, 0.6])
def test_no_point_of_a_fine_grid_is_better_in_any_regime_of_the_step(name, scale):
    rule = RULES[name]
    norms = np.concatenate([np.linspace(0.01, 9, 60), np.random.default_rng(0).uniform(0, 5, 60)])
    shares = np.linspace(0, 1, 1001)
    for step in rule.steps:
        factors = np.asarray(rule.make().factors(norms, step, np.full(norms.shape, scale**2)))
        # The prox's own point first.
        points = norms[:, None] * np.column_stack([factors, np.tile(shares, (norms.size, 1))])
        cost = step * np.asarray(rule.make().value(points[..., None], np.array([scale**2])))
        cost = cost + 0.5 * (points - norms[:, None]) ** 2
        assert np.all(cost[:, 0] <= cost.min(axis=1) + 1e-12 * np.maximum(1, cost[:, 0])), step


def test_hard_threshold_of_l0():
    norms, weights = np.array([1.0, 1.0, 1.0, 3.0, 0.0]), np.array([0.4, 0.6, 0.0, 9.1, 0.0])
    # √(2 d): 0.89, 1.095, 0, 4.27.
    np.testing.assert_array_equal(GroupL0().factors(norms, 1.0, weights), [1, 0, 1, 0, 1])
    np.testing.assert_array_equal(GroupL0(scale_by_size=False).factors(norms, 1.0, weights), [0, 0, 1, 1, 1])
    np.testing.assert_allclose(GroupL0().value(norms, weights), 10.1)
    np.testing.assert_array_equal(GroupL0().factors([2.0, 2.0000002], 2.0), [0, 1])  # a tie becomes 0


LIMITS = {
    "mcp": (GroupMCP(gamma=1e9), GroupLasso()),
    "scad": (GroupSCAD(a=1e9), GroupLasso()),
    "transformed-l1-large": (GroupTransformedL1(a=1e9), GroupLasso()),
    "transformed-l1-small": (GroupTransformedL1(a=1e-9), GroupL0()),
    "l1-minus-0-l2": (GroupL1MinusL2(alpha=0.0), GroupLasso()),
}


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_limits(name, dtype):
    penalty, limit = LIMITS[name]
    norms = np.random.default_rng(1).uniform(0, 4, (3, 20)).astype(dtype)
    norms[0, :3] = 0
    for step in (0.1, 0.9, 3.0):
        got, expected = penalty.factors(norms, step), limit.factors(norms, step)
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(penalty.value(norms), limit.value(norms), rtol=1e-6)


def test_large_norms_are_not_shrunk_by_the_penalties_that_are_flat_there():
    norms = np.array([4.0, 40.0, 1e30], dtype="float32")
    for penalty in (GroupMCP(), GroupSCAD(), GroupL0()):
        np.testing.assert_array_equal(penalty.factors(norms, 1.0), 1.0)


@pytest.mark.parametrize("alpha", [0.3, 1.0])
@pytest.mark.parametrize("weights", [None, (1.0, 4.0), (4.0, 0.25), (1.0, 0.0)])
def test_no_pair_of_a_fine_grid_is_better_for_l1_minus_l2(alpha, weights):
    penalty = GroupL1MinusL2(alpha=alpha)
    weights = None if weights is None else np.array(weights)
    for norms in ([3.0, 2.0], [1.0, 0.9], [0.5, 0.5], [0.2, 2.0], [1.0, 0.0], [0.3, 0.1]):
        for step in (0.1, 0.5, 1.0, 2.0):
            x = norms * np.asarray(penalty.factors(np.array(norms), step, weights))
            sides = [np.linspace(0, n, 301) for n in norms]
            pairs = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
            pairs = np.concatenate([x[None], pairs])
            cost = step * np.asarray(penalty.value(pairs, weights)) + 0.5 * np.sum(
                (pairs - norms) ** 2, axis=-1
            )
            assert cost[0] <= cost.min() + 1e-12, (norms, step, x)


def test_l1_minus_l2_leaves_a_single_group_alone_and_takes_the_first_of_equal_ones():
    for n in (1e-20, 0.3, 7.0):
        norms = np.array([0.0, n, 0.0], dtype="float32")
        np.testing.assert_array_equal(GroupL1MinusL2().factors(norms, 5.0), [0, 1, 0])
        np.testing.assert_allclose(GroupL1MinusL2().value(norms), 0, atol=1e-6)
    np.testing.assert_array_equal(GroupL1MinusL2().factors([0.5, 0.7, 0.7], 1.0), [0, 1, 0])
    free = GroupL1MinusL2().factors([0.5, 0.7, 0.6], 1.0, np.array([1.0, 0.0, 1.0]))
    np.testing.assert_array_equal(free, [0, 1, 1])


def test_l1_minus_l2_with_a_length_known_only_when_run():
    spec = tf.TensorSpec((None, None), tf.float64)
    factors = tf.function(lambda norms: GroupL1MinusL2().factors(norms, 0.5), input_signature=[spec])
    for shape in ((2, 4), (3, 50)):
        norms = np.random.default_rng(3).random(shape)
        np.testing.assert_allclose(factors(norms), GroupL1MinusL2().factors(norms, 0.5), **EXACT)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: GroupMCP(gamma=0), r"`gamma` to be a finite number above 0.*Received: gamma=0"),
        (lambda: GroupMCP(gamma=float("inf")), "Received: gamma=inf"),
        (lambda: GroupMCP(gamma="3"), "Received: gamma='3'"),
        (lambda: GroupSCAD(a=2), r"`a` to be a finite number above 2.*Received: a=2"),
        (lambda: GroupSCAD(a=float("nan")), "Received: a=nan"),
        (lambda: GroupTransformedL1(a=0.0), r"`a` to be a finite number above 0.*Received: a=0.0"),
        (lambda: GroupTransformedL1(a=True), "Received: a=True"),
        (lambda: GroupL1MinusL2(alpha=1.5), r"`alpha` in \[0, 1\].*Received: alpha=1.5"),
        (lambda: GroupL1MinusL2(alpha=-0.1), "Received: alpha=-0.1"),
        (lambda: GroupL1MinusL2(alpha=None), "Received: alpha=None"),
    ],
)
def test_bad_parameters_raise_with_text(make, text):
    with pytest.raises(InputError, match=text) as caught:
        make()
    assert "\n" not in str(caught.value)
