"""Floors per layer: kept by every level, through training, and said where they cannot be."""

import keras
import numpy as np
import pytest

import tf_wgsef
from tests import models
from tests.training.test_budget import trained, true_cost, wide
from tf_wgsef.errors import InputError
from tf_wgsef.training import ProximalModel

LEVELS = {
    "sparsity": dict(sparsity=0.9),
    "sparsity, global": dict(sparsity=0.9, scope="global"),
    "budget": dict(budget={"macs": 0.1}),
    "budget, global": dict(budget={"macs": 0.1}, scope="global"),
}


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
def test_training_keeps_the_floors(level):
    """The layer with a floor has the smallest weights of all: without it, it would lose most."""
    model = wide()
    weak = model.get_layer("h3")
    weak.kernel.assign(1e-3 * keras.ops.convert_to_numpy(weak.kernel))
    sparse = trained(tf_wgsef.sparsify(model, **level, floor={"h3": 12}), rate=1e-6)
    live = sparse.live_groups()
    assert live["h3"] == 12 and min(live.values()) >= 1
    if "budget" in level:
        assert 0.98 * sparse.level.budget.amount <= true_cost(sparse, "macs") <= sparse.level.budget.amount
    elif "scope" in level:
        assert sum(live.values()) == 18
    else:
        assert live == {"h1": 6, "h2": 8, "h3": 12}


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
def test_floors_are_in_whole_blocks(level):
    sparse = trained(tf_wgsef.sparsify(wide(), **{**level, "round_to": 4}, floor={"h3": 5, "*": 2}))
    assert sparse.live_groups()["h3"] >= 8
    assert not [count for count in sparse.live_groups().values() if count % 4]


def test_a_pattern_fits_any_of_the_layers_that_are_tied():
    groups = tf_wgsef.build_groups(models.residual())
    tied = next(name for name in groups.layers if "+" in name)
    sparse = tf_wgsef.sparsify(models.residual(), sparsity=0.9, floor={"outer": 5})
    ks = dict(zip(sparse.groups.layers, [pool.k for pool in sparse.level.pools], strict=True))
    assert "outer" in tied.split("+") and ks == {tied: 5.0, "inner": 1.0}


def test_branches_can_have_a_floor_too():
    kept = []
    for floor in (1, {"depth": 1}):
        sparse = tf_wgsef.sparsify(models.residual(), groups="depth", budget={"macs": 1.0}, floor=floor)
        kept.append(sparse.level.pools[0].floors)
    assert kept == [{0: 0}, {0: 1}]


def test_saved_and_loaded_floors_are_the_same(tmp_path):
    sparse = tf_wgsef.sparsify(wide(), sparsity=0.9, scope="global", floor={"h1": 3, "h3": 12})
    again = ProximalModel.from_config(sparse.get_config())
    assert again.level.pools[0].floors == sparse.level.pools[0].floors == {0: 3, 1: 1, 2: 12}


def test_a_budget_below_the_floors_says_the_smallest():
    floors = {"h1": 10, "h2": 10, "h3": 10}
    with pytest.raises(InputError, match=r"at least 260 macs.*lower `floor` or `round_to`"):
        tf_wgsef.sparsify(wide(), budget={"macs": 259}, floor=floors)
    # 4 inputs, 2 outputs: 40 + 100 + 100 + 20
    assert np.isclose(tf_wgsef.sparsify(wide(), budget={"macs": 260}, floor=floors).level.budget.amount, 260)


@pytest.mark.parametrize("huge", [10**30, 10**400])
@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
def test_numbers_that_no_array_holds_keep_whole_layers(level, huge):
    every = {"budget": {"macs": 1.0}} if "budget" in level else {"sparsity": 0.0}
    for arguments in (dict(floor=huge), dict(floor={"h1": huge}), dict(round_to=huge)):
        sparse = tf_wgsef.sparsify(wide(), **{**level, **every, **arguments})
        floors = {layer: floor for pool in sparse.level.pools for layer, floor in pool.floors.items()}
        assert floors[0] == sparse.groups.sizes[0]
        sparse.freeze()
        assert sparse.live_groups() == dict(zip(sparse.groups.layers, sparse.groups.sizes, strict=True))
