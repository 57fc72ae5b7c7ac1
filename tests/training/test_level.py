"""The choice of survivors against brute force, and what a level may be."""

import itertools
import math

import numpy as np
import pytest

import tf_wgsef
from tests import models
from tests.training.toys import mlp
from tf_wgsef.errors import InputError
from tf_wgsef.training import Level, Pool, preset_level


def pool_of(sizes, k, **options):
    layer_of = np.repeat(np.arange(len(sizes)), sizes)
    return Pool(np.arange(len(layer_of)), layer_of, float(k), **options)


def best_subset(pool, scores):
    """The subset of exactly k groups with every floor met and the largest sum of squared scores."""
    best, best_sum = None, -1.0
    for subset in itertools.combinations(range(len(scores)), int(pool.k)):
        subset = np.array(subset)
        counts = np.bincount(pool.layer_of[subset], minlength=pool.layer_of.max() + 1)
        total = (scores[subset] ** 2).sum()
        if (counts >= pool.floor).all() and total > best_sum:
            best, best_sum = subset, total
    return best


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("sizes", "k", "floor"),
    [
        ((8,), 3, 1),
        ((4, 5), 3, 1),
        ((3, 3, 5), 6, 2),
        ((2, 6), 4, 2),
        ((4, 5), 5, (1, 4)),
        ((3, 6), 4, (3, 0)),
    ],
)
def test_select_finds_the_best_subset(sizes, k, floor, seed):
    pool = pool_of(sizes, k, floor=floor)
    norms = np.random.default_rng(seed).uniform(0.1, 1, sum(sizes))
    np.testing.assert_array_equal(pool.select(norms, np.ones(len(norms))), best_subset(pool, norms))


def best_blocks(sizes, k, round_to, norms):
    """The counts per layer, multiples of round_to and at least one block, that keep the most of Σ n²."""
    parts = np.split(norms, np.cumsum(sizes)[:-1])
    tops = [np.concatenate([[0], np.cumsum(np.sort(part**2)[::-1])]) for part in parts]
    choices = [range(round_to, size + 1, round_to) for size in sizes]
    return max(
        (counts for counts in itertools.product(*choices) if sum(counts) <= k),
        key=lambda counts: sum(top[count] for top, count in zip(tops, counts, strict=True)),
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("sizes", "k", "round_to"), [((8, 8), 8, 4), ((6, 8, 4), 12, 2), ((9, 6), 9, 3)])
def test_select_takes_the_best_whole_blocks(sizes, k, round_to, seed):
    pool = pool_of(sizes, k, floor=round_to, round_to=round_to)
    norms = np.random.default_rng(seed).uniform(0.1, 1, sum(sizes))
    stays = pool.select(norms, np.ones(len(norms)))
    counts = tuple(np.bincount(pool.layer_of[stays], minlength=len(sizes)).tolist())
    assert counts == best_blocks(sizes, k, round_to, norms)


def test_a_last_block_may_be_smaller_only_if_it_is_all_that_is_left():
    pool = pool_of((6,), 6, round_to=4)
    assert len(pool.select(np.ones(6), np.ones(6))) == 6
    pool = pool_of((6,), 5, round_to=4)
    assert len(pool.select(np.ones(6), np.ones(6))) == 4


def test_a_block_with_a_dead_group_comes_after_all_blocks_without():
    norms = np.array([9.0, 9, 9, 0, 1, 1, 1, 1])
    pool = pool_of((4, 4), 6, floor=2, round_to=2)
    np.testing.assert_array_equal(pool.select(norms, np.ones(8)), [0, 1, 4, 5, 6, 7])


@pytest.mark.parametrize("k", [1, 3, 5])
def test_ties_go_to_the_lower_numbers_and_the_count_is_exact(k):
    np.testing.assert_array_equal(pool_of((6,), k).select(np.ones(6), np.ones(6)), np.arange(k))
    np.testing.assert_array_equal(pool_of((6,), k).select(np.zeros(6), np.ones(6)), np.arange(k))
    assert len(pool_of((3, 3), 4).select(np.zeros(6), np.ones(6))) == 4


@pytest.mark.parametrize("seed", range(6))
def test_weights_are_costs_inside_the_budget_and_scores_by_their_root(seed):
    generator = np.random.default_rng(seed)
    norms, weights = generator.uniform(0.1, 1, 12), generator.uniform(0.5, 3, 12)
    pool = pool_of((5, 7), 10.0)
    stays = np.isin(np.arange(12), pool.select(norms, weights))
    assert weights[stays].sum() <= 10.0
    scores = norms / np.sqrt(weights)
    for layer in (0, 1):
        inside = pool.layer_of == layer
        assert stays[inside].any()
        assert scores[inside & stays].min() > scores[inside & ~stays].max(initial=0)


def test_the_penalty_leaves_room_for_whole_blocks():
    """With k + 3 per layer left alive in any split, the layers still have k groups in whole blocks of 4."""
    pool = pool_of((16, 16, 16), 16, floor=4, round_to=4)
    alive = int(pool.training_budget(np.ones(48)))
    for split in itertools.product(range(4, 17), repeat=3):
        if sum(split) == alive:
            assert sum(count // 4 * 4 for count in split) >= 16
    assert pool_of((16,), 8, round_to=4).training_budget(np.ones(16)) == 8


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (dict(sparsity=0.0), [8, 6]),
        (dict(sparsity=0.5), [4, 3]),
        (dict(sparsity=0.6), [3, 2]),  # at least the share goes: 3.2 and 2.4 stay, rounded down
        (dict(sparsity=0.75), [2, 1]),
        (dict(sparsity=0.99), [1, 1]),
        (dict(sparsity=np.float32(0.5)), [4, 3]),
        (dict(k=3), [3, 3]),
        (dict(k=np.int64(6)), [6, 6]),
        (dict(k={"h2": 5}), [5]),
        (dict(k={"h2": 5, "h*": 3}), [3, 5]),
        (dict(k={"?1": 2}), [2]),
        (dict(sparsity=0.75, round_to=4), [4, 4]),
        (dict(k=5, round_to=4), [8, 6]),  # up to a multiple, or all
        (dict(sparsity=0.5, scope="global"), [7]),
        (dict(k=9, scope="global"), [9]),
        (dict(sparsity=0.75, floor=3), [3, 3]),
        (dict(sparsity=0.75, floor={"h1": 7}), [7, 1]),
        (dict(sparsity=0.75, floor={"h*": 100}), [8, 6]),  # a layer with fewer keeps all
        (dict(sparsity=0.75, floor={"h2": 3}, round_to=2), [2, 4]),
        (dict(sparsity=0.5, floor=np.int64(3), scope="global"), [7]),
    ],
)
def test_preset_level_counts(level, expected):
    pools = preset_level(tf_wgsef.build_groups(mlp()), **level).pools
    assert [pool.k for pool in pools] == expected


@pytest.mark.parametrize("size", range(1, 30))
def test_at_least_the_share_goes_and_one_group_stays(size):
    groups = tf_wgsef.build_groups(mlp((size,)))
    for sparsity in (0.1, 0.3, 0.5, 2 / 3, 0.9):
        (pool,) = preset_level(groups, sparsity=sparsity).pools
        assert pool.k == max(1, math.floor(size * (1 - sparsity) + 1e-6))


def test_level_selects_over_all_pools_and_leaves_the_other_groups_alone():
    groups = tf_wgsef.build_groups(mlp())
    norms = np.arange(14.0)
    stays = preset_level(groups, k={"h1": 2}).select(groups, norms)
    assert np.flatnonzero(stays).tolist() == [6, 7, *range(8, 14)]


def test_config_round_trip():
    groups = tf_wgsef.build_groups(models.residual())
    level = preset_level(groups, sparsity=0.4, scope="global", round_to=2, floor={"stem": 4})
    again = Level.from_config(level.get_config())
    norms = np.random.default_rng(0).uniform(size=groups.num_groups)
    np.testing.assert_array_equal(again.select(groups, norms), level.select(groups, norms))
    assert again.get_config() == level.get_config()


NAN = float("nan")


@pytest.mark.parametrize(
    ("level", "message"),
    [
        (dict(sparsity=1.0), r"`sparsity` in \[0, 1\).*Received: sparsity=1.0"),
        (dict(sparsity=-0.1), "Received: sparsity=-0.1"),
        (dict(sparsity=75), "Received: sparsity=75. Pass 0.75"),
        (dict(sparsity=NAN), "Received: sparsity=nan"),
        (dict(sparsity="0.5"), "Received: sparsity='0.5'"),
        (dict(sparsity=True), "Received: sparsity=True"),
        (dict(k=7), "at most the 6 groups of layer 'h2'. Received: k=7"),
        (dict(k=15, scope="global"), "at most the 14 groups of the model. Received: k=15"),
        (dict(k=0), "`k` to be a whole number of at least 1. Received: k=0"),
        (dict(k=2.5), "Received: k=2.5"),
        (dict(k={"h9": 1}), "'h9'. These have groups: h1, h2"),
        (dict(k={"h1": 9}), "at most the 8 groups of layer 'h1'. Received: k=9"),
        (dict(k={}), "name at least one layer"),
        (dict(k={"h1": 2}, scope="global"), "`k` to be a whole number"),
        (dict(), "one of `sparsity`, `k` and `budget`. Received: sparsity=None, k=None"),
        (dict(sparsity=0.5, k=3), "one of `sparsity`, `k` and `budget`. Received: sparsity=0.5, k=3"),
        (dict(sparsity=0.5, scope="model"), r"one of \['layer', 'global'\]. Received: scope='model'"),
        (dict(sparsity=0.5, round_to=0), "`round_to` to be a whole number of at least 1"),
        (dict(k=1, scope="global"), "every layer keeps its floor, 2 groups in all. Received: 1"),
        (dict(k=7, scope="global", round_to=4), "8 groups in all. Received: 7 groups to keep"),
        (dict(sparsity=0.5, floor=0), "`floor` to be a whole number of at least 1. Received: floor=0"),
        (dict(sparsity=0.5, floor={"h1": 2.5}), "Received: floor=2.5"),
        (dict(sparsity=0.5, floor={"h9": 2}), "'h9', which fits none of: h1, h2"),
        (dict(k=2, floor=3), "`k` to be at least the floor of each layer. Received: k=2 for layer 'h1'"),
        (dict(k={"h2": 2}, floor={"h2": 3}), "k=2 for layer 'h2', whose floor is 3"),
        (dict(k=9, scope="global", floor=5), "10 groups in all. Received: 9"),
    ],
)
def test_a_level_that_cannot_be_met_gets_one_clear_line(level, message):
    with pytest.raises(InputError, match=message) as caught:
        preset_level(tf_wgsef.build_groups(mlp()), **level)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("floor", [1, 3])
@pytest.mark.parametrize("cost", [1.0, 2.5])
def test_millions_of_groups_are_chosen_as_a_few_are(floor, cost):
    """The one sort for groups that cost alike against the loop over blocks, ties and zeros included."""
    generator = np.random.default_rng(0)
    for _ in range(40):
        sizes = generator.integers(floor, 12, size=generator.integers(1, 5))
        layer_of = np.repeat(np.arange(len(sizes)), sizes)
        norms = generator.integers(0, 4, len(layer_of)).astype("float32")
        k = cost * generator.integers(floor * len(sizes), len(layer_of) + 1) + 0.3
        floors = floor if floor == 1 else tuple(generator.integers(0, floor + 1, len(sizes)).tolist())
        pool = Pool(np.arange(len(layer_of)), layer_of, k, floors)
        weights = np.full(len(layer_of), cost)
        expected = pool._select_blocks(norms / np.sqrt(weights), weights)
        np.testing.assert_array_equal(pool.select(norms, weights), expected)


def test_a_level_of_five_million_weights_is_chosen_in_a_moment():
    norms = np.random.default_rng(0).random(5_000_000)
    pool = Pool(np.arange(len(norms)), np.zeros(len(norms), int), 1000.0)
    stays = pool.select(norms, np.ones(len(norms)))
    assert len(stays) == 1000 and norms[stays].min() > np.partition(norms, -1001)[-1001]
