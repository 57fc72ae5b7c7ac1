"""k = 0: all branches go, by every way of training, alone or with a number of filters elsewhere."""

import keras
import numpy as np
import pytest
from keras import layers

import tf_wgsef
from tests.training.toys import data
from tf_wgsef.errors import InputError

MIXED = {"*0": "depth", "*": "filter"}


def branches():
    """A trunk with two branches beside it."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="stem")(inputs)
    for number in range(2):
        y = layers.Conv2D(5, 3, padding="same", name=f"in{number}")(x)
        y = layers.ReLU(name=f"relu{number}")(layers.BatchNormalization(name=f"norm{number}")(y))
        y = layers.Conv2D(6, 1, name=f"back{number}")(y)
        x = layers.Add(name=f"add{number}")([x, layers.BatchNormalization(name=f"shift{number}")(y)])
    x = layers.Conv2D(7, 3, padding="same", name="last")(x)
    return keras.Model(inputs, layers.Dense(2, name="out")(layers.GlobalAveragePooling2D()(x)))


def trained(sparse, optimizer=None):
    sparse.compile(optimizer or keras.optimizers.SGD(0.05, momentum=0.9), "mse")
    x, y = data(sparse.model, 32)
    sparse.fit(x, y, batch_size=8, epochs=4, verbose=0)
    return sparse


def stripped(sparse):
    """The result of the strip, whose outputs are those of before it."""
    x, _ = data(sparse.model, 8, seed=1)
    before = sparse.model.predict(x, verbose=0)
    assert np.isfinite(before).all()
    result = tf_wgsef.strip(sparse)
    np.testing.assert_allclose(result.model.predict(x, verbose=0), before, rtol=1e-5, atol=1e-6)
    return result


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"penalty": "group_lasso"},
        {"penalty": "group_l0"},
        {"penalty": "group_mcp"},
        {"update": "hspg"},
        {"update": "adahspg+"},
        {"update": "sparse"},
        {"update": "gradual"},
        {"round_to": 4},
        {"metric": "group"},
    ],
    ids=lambda how: "-".join(map(str, how.values())) or "wgsef",
)
def test_a_branch_goes_beside_a_number_of_filters(how):
    sparse = tf_wgsef.sparsify(branches(), groups=MIXED, k={"depth": 0, "in1": 4}, **how)
    result = stripped(trained(sparse, keras.optimizers.Adam(1e-2) if "metric" in how else None))
    assert {"in0", "norm0", "relu0", "back0", "shift0", "add0"} <= set(result.vanished)
    assert (result.kept["in1"], result.kept["stem"], result.kept["last"]) == (4, 6, 7)


@pytest.mark.parametrize("k", [0, {"depth": 0}, {"*": 0}], ids=str)
def test_all_branches_go(k):
    result = stripped(trained(tf_wgsef.sparsify(branches(), groups="depth", k=k)))
    assert {"add0", "add1"} <= set(result.vanished)
    assert result.model.count_params() < branches().count_params()


@pytest.mark.parametrize(("k", "gone"), [(0, 2), (1, 1), (2, 0)])
def test_as_many_branches_stay_as_asked_without_training(k, gone):
    sparse = tf_wgsef.sparsify(branches(), groups="depth", k=k)
    sparse.freeze()
    assert sum(name.startswith("add") for name in stripped(sparse).vanished) == gone


@pytest.mark.parametrize("floor", [{"depth": 1}, 2, {"*": 2}], ids=str)
def test_a_floor_speaks_against_it(floor):
    with pytest.raises(InputError, match="at least the floor of each layer. Received: k=0 for layer 'depth'"):
        tf_wgsef.sparsify(branches(), groups="depth", k=0, floor=floor)


@pytest.mark.parametrize("k", [0, {"in1": 0}, {"*": 0}, {"depth": 0, "last": 0}], ids=str)
def test_filters_do_not_all_go(k):
    with pytest.raises(InputError, match="`k` to be a whole number of at least 1. Received: k=0"):
        tf_wgsef.sparsify(branches(), groups=MIXED, k=k)


@pytest.mark.parametrize("k", [-1, False, 0.0, "0", None], ids=str)
def test_no_other_number(k):
    with pytest.raises(InputError, match="`k` to be a whole number of at least 0. Received: k="):
        tf_wgsef.sparsify(branches(), groups="depth", k={"depth": k})


def test_a_saved_one_goes_on(tmp_path):
    sparse = tf_wgsef.sparsify(branches(), groups="depth", k=0)
    sparse.compile("sgd", "mse")
    sparse.save(tmp_path / "half.keras")
    again = trained(keras.models.load_model(tmp_path / "half.keras"))
    assert {"add0", "add1"} <= set(stripped(again).vanished)


def test_a_floor_of_branches_holds_under_a_budget_too():
    with pytest.raises(InputError, match="a budget that leaves each layer its floor"):
        tf_wgsef.sparsify(branches(), groups="depth", budget={"macs": 0.95}, floor=2)
    sparse = tf_wgsef.sparsify(branches(), groups="depth", budget={"macs": 0.99})
    sparse.freeze()
    assert sparse.live_groups() == {"depth": 1}
