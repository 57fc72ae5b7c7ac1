"""Saved configurations that were damaged or edited, and parts that do not belong together."""

import copy
import json

import numpy as np
import pytest

import tf_wgsef
from tests.training.toys import mlp
from tf_wgsef.errors import InputError
from tf_wgsef.training import Level, Pool, ProximalModel

RUNS = {
    "behind the last": {"shape": [2], "runs": [[98, 1, 2]]},
    "negative": {"shape": [2], "runs": [[-1, 1, 2]]},
    "twice": {"shape": [2], "runs": [[0, 0, 2]]},
    "none": {"shape": [0], "runs": []},
    "a matrix": {"shape": [1, 2], "runs": [[0, 1, 2]]},
    "texts": {"shape": [2], "numbers": ["0", "1"]},
    "many": {"shape": [10**8], "runs": [[0, 1, 10**8]]},
}


def edited(config: dict, path: tuple, value) -> dict:
    config = copy.deepcopy(config)
    place = config
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return config


@pytest.fixture(scope="module")
def saved() -> dict:
    return tf_wgsef.sparsify(mlp(), sparsity=0.5).get_config()


@pytest.fixture(scope="module")
def saved_budget() -> dict:
    return tf_wgsef.sparsify(mlp(), budget={"macs": 0.5}).get_config()


def refused(config: dict) -> str:
    with pytest.raises(InputError) as caught:
        ProximalModel.from_config(config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["groups", "level", "penalty", "ramp", "name"])
def test_what_is_missing_is_named(saved, name):
    config = {key: value for key, value in saved.items() if key != name}
    assert repr(name) in refused(config)


@pytest.mark.parametrize(
    "level", [None, 5, "x", [], {}, {"pools": None}, {"pools": [{}]}, {"pools": []}], ids=str
)
def test_levels_that_are_none(saved, level):
    assert "evel" in refused({**saved, "level": level})


@pytest.mark.parametrize("value", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("name", ["groups", "layer_of"])
def test_pools_of_groups_that_are_not_there(saved, name, value):
    refused(edited(saved, ("level", "pools", 0, name), value))


@pytest.mark.parametrize("value", [None, "3", -1, float("nan"), [], {}, True], ids=str)
@pytest.mark.parametrize("name", ["k", "floor", "round_to"])
def test_pools_with_numbers_that_are_none(saved, name, value):
    assert name in refused(edited(saved, ("level", "pools", 0, name), value))


def test_a_pool_that_is_there_twice(saved):
    pools = saved["level"]["pools"]
    assert "in another one too" in refused(edited(saved, ("level", "pools"), [*pools, pools[0]]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("unit", "watts"),
        ("unit", "latency"),
        ("unit", ["macs"]),
        ("amount", "5"),
        ("amount", float("nan")),
        ("amount", -5.0),
        ("amount", 10**400),
        ("table", 5),
        ("evenly", "yes"),
    ],
)
def test_budgets_that_are_none(saved_budget, name, value):
    refused(edited(saved_budget, ("level", "budget", name), value))


def test_groups_beyond_the_model_make_no_array(saved):
    groups = {**json.loads(saved["groups"]), "layer_of": RUNS["many"]}
    assert "of more than" in refused({**saved, "groups": json.dumps(groups)})


@pytest.mark.parametrize("penalty", ["wgsef", 5, tf_wgsef.WGSEF])
def test_a_penalty_that_is_none(penalty):
    sparse = tf_wgsef.sparsify(mlp(), sparsity=0.5)
    with pytest.raises(InputError, match="`penalty` to be a GroupPenalty"):
        ProximalModel(sparse.model, sparse.groups, sparse.level, penalty=penalty)


def test_arguments_that_are_no_groups_and_no_level():
    sparse = tf_wgsef.sparsify(mlp(), sparsity=0.5)
    with pytest.raises(InputError, match="`groups` to be a GroupSet. Received: a value of type str"):
        ProximalModel(sparse.model, "filter", sparse.level)
    with pytest.raises(InputError, match="`level` to be a Level. Received: a value of type float"):
        ProximalModel(sparse.model, sparse.groups, 0.5)


def test_a_level_of_another_model():
    sparse = tf_wgsef.sparsify(mlp(), sparsity=0.5)
    count = sparse.groups.num_groups
    other = Level((Pool(np.arange(count + 1), np.zeros(count + 1, int), 2.0),))
    with pytest.raises(InputError, match="a level of these groups.*of which there are"):
        ProximalModel(sparse.model, sparse.groups, other)
