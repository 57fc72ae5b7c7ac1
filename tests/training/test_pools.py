"""The factors of all groups against an oracle for each pool, whatever their sizes and their order."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_wgsef
from tests import oracles
from tf_wgsef.groups import GroupSet
from tf_wgsef.penalties import WGSEF
from tf_wgsef.training import Level, Pool, preset_level
from tf_wgsef.training._floor import Floor
from tf_wgsef.training._pools import Pools

SIZES = {
    "small": (5, 300, 41),
    "one": (20,),
    "long beside short": (20_000, 7, 9_000, 8_500, 3),
    "similar and long": (70_000, 66_000, 12, 61_000),
}


def groups_of(sizes, weights=None):
    layer_of = np.repeat(np.arange(len(sizes)), sizes)
    layers = tuple(f"layer{number}" for number in range(len(sizes)))
    weights = np.ones(len(layer_of)) if weights is None else weights
    return GroupSet("element", layers, layer_of, weights, ())


def factors_of(groups, level, norms, step, **now):
    solver = Pools(groups, level, WGSEF(1)).solver(**now)
    factors = solver.prox(keras.ops.array(norms), keras.ops.array(step, "float32"))
    return keras.ops.convert_to_numpy(factors)


def expected(groups, level, norms, step, room=0.0):
    factors = np.ones(groups.num_groups)
    for pool in level.pools:
        inside = pool.groups
        weights = groups.weights[inside]
        k = pool.k + room * (weights.sum() - pool.k)
        factors[inside] = oracles.wgsef_factors(norms[inside], step, weights, k, debias=True)
    return factors


@pytest.mark.parametrize("case", SIZES)
def test_every_pool_gets_the_factors_of_its_own_prox(case):
    groups = groups_of(SIZES[case])
    norms = np.abs(np.random.default_rng(0).normal(size=groups.num_groups)).astype("float32")
    level = preset_level(groups, sparsity=0.7)
    found = factors_of(groups, level, norms, 0.4)
    np.testing.assert_allclose(found, expected(groups, level, norms, 0.4), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("room", [1.0, 0.3, 0.0])
def test_the_budget_leaves_so_much_of_what_is_beyond_the_level(weighted, room):
    weights = np.random.default_rng(1).uniform(0.5, 3, 346) if weighted else None
    groups = groups_of(SIZES["small"], weights)
    norms = np.abs(np.random.default_rng(0).normal(size=groups.num_groups)).astype("float32")
    level = preset_level(groups, sparsity=0.7)
    found = factors_of(groups, level, norms, 0.4, room=keras.ops.array(room, "float32"))
    np.testing.assert_allclose(found, expected(groups, level, norms, 0.4, room), rtol=1e-4, atol=1e-5)
    assert (found == 1).all() == (room == 1.0)


def test_groups_that_cost_differently():
    weights = np.random.default_rng(1).uniform(0.5, 3, 12_007)
    groups = groups_of((12_000, 7), weights)
    norms = np.abs(np.random.default_rng(0).normal(size=groups.num_groups)).astype("float32")
    pools = [
        Pool(np.arange(12_000), np.zeros(12_000, int), 4000.0),
        Pool(np.arange(12_000, 12_007), np.ones(7, int), 5.0),
    ]
    level = Level(tuple(pools))
    found = factors_of(groups, level, norms, 0.4)
    np.testing.assert_allclose(found, expected(groups, level, norms, 0.4), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shuffled", [False, True], ids=["in order", "in any order"])
def test_groups_in_no_pool_keep_the_factor_1(shuffled):
    """Pools of ranges are laid out one behind the other, others are scattered."""
    groups = groups_of((6, 9_000, 5, 4))
    order = np.random.default_rng(2).permutation(9_015) if shuffled else np.arange(9_015)
    parts = np.split(order, [6, 9_006, 9_011])
    pools = tuple(Pool(np.sort(parts[i]), np.full(len(parts[i]), i), len(parts[i]) // 2) for i in (1, 2))
    norms = np.random.default_rng(0).uniform(1, 2, 9_015).astype("float32")
    found = factors_of(groups, Level(pools), norms, 0.4)
    np.testing.assert_allclose(found, expected(groups, Level(pools), norms, 0.4), rtol=1e-4, atol=1e-5)
    outside = np.concatenate([parts[0], parts[3]])
    assert (found[outside] == 1).all() and (np.delete(found, outside) < 1).any()


@pytest.mark.parametrize("floor", [1, 3])
@pytest.mark.parametrize("order", ["any", "rising", "falling", "ties"])
def test_a_floor_in_long_layers_lifts_the_largest_and_no_more(floor, order):
    sizes = (20_000, 5, 13_000)
    groups = groups_of(sizes)
    norms = np.arange(groups.num_groups, dtype="float32")[:: -1 if order == "falling" else 1]
    if order in ("any", "ties"):
        norms = np.random.default_rng(3).permutation(norms)
    if order == "ties":
        norms = np.floor(norms / 1000)
    pool = Pool(np.arange(groups.num_groups), groups.layer_of, k=100.0, floor=floor)
    lifted = keras.ops.convert_to_numpy(Floor(pool).lift(keras.ops.array(norms)))
    for layer in range(3):
        inside = groups.layer_of == layer
        up = lifted[inside] != norms[inside]
        assert up.sum() == floor
        assert norms[inside][up].min() >= norms[inside][~up].max()
        assert (lifted[inside][up] > norms.max()).all()


def test_the_graph_of_single_weights_holds_no_index():
    """A number per weight, written into the graph as a constant, would break TensorFlow at 500 M weights."""
    model = keras.Sequential([keras.Input((200,)), *(keras.layers.Dense(200) for _ in range(3))])
    sparse = tf_wgsef.sparsify(model, sparsity=0.5, scope="global", groups="element")
    values = [tf.TensorSpec(v.shape) for v in sparse.groups.variables(model)]
    state = [tf.TensorSpec(())] * 8 + [tf.TensorSpec((sparse.groups.num_groups,))]

    def step(values, state):
        return sparse._step(values, tf_wgsef.training.ProximalState(*state), tf.constant(0.1), True)[0]

    graph = tf.function(step).get_concrete_function(values, state).graph.as_graph_def()
    assert sparse.groups.num_groups == 120_000
    assert graph.ByteSize() < 120_000 * 4


def test_the_gradient_is_taken_in_the_metric_of_the_prox():
    """Group lasso takes s·c/(D·n) off a group, by its prox as by a step along its gradient."""
    groups = groups_of((6, 4))
    norms = np.random.default_rng(0).uniform(1, 2, groups.num_groups).astype("float32")
    metric = np.random.default_rng(1).uniform(0.1, 3, groups.num_groups).astype("float32")
    pools = Pools(groups, preset_level(groups, sparsity=0.5), tf_wgsef.GroupLasso())
    solver = pools.solver(metric=keras.ops.array(metric), metric_in_penalty=False)
    factors = np.asarray(solver.prox(keras.ops.array(norms), 0.01))
    pulls = np.asarray(solver.gradient(keras.ops.array(norms)))
    np.testing.assert_allclose(1 - factors, 0.01 * pulls, rtol=1e-3)
