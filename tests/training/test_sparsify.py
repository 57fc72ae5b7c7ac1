import keras
import numpy as np
import pytest
from keras import layers

import tf_wgsef
from tests import models
from tests.training.toys import data, live_counts, mlp, sparse_mlp
from tf_wgsef.errors import InputError

NAMES = {
    "wgsef": "WGSEF",
    "group_lasso": "GroupLasso",
    "group_l0": "GroupL0",
    "group_mcp": "GroupMCP",
    "group_scad": "GroupSCAD",
    "group_transformed_l1": "GroupTransformedL1",
    "group_l1_minus_l2": "GroupL1MinusL2",
}


def test_the_arguments_reach_the_level():
    sparse = tf_wgsef.sparsify(models.lenet(), sparsity=0.5, skip=["conv1"], round_to=2, ramp=0.25)
    assert sparse.groups.layers == ("conv2", "dense1")
    assert [pool.k for pool in sparse.level.pools] == [4.0, 6.0]
    assert sparse.ramp == 0.25


def test_a_group_set_of_ones_own():
    model = mlp()
    groups = tf_wgsef.build_groups(model, only=["h2"])
    sparse = tf_wgsef.sparsify(model, k=2, groups=groups)
    assert sparse.groups.layers == ("h2",)


@pytest.mark.parametrize(
    ("penalty", "kind"),
    [*NAMES.items(), (tf_wgsef.GroupLasso(strength=2.0), "GroupLasso")],
)
def test_penalties_by_name_or_as_objects(penalty, kind):
    assert type(tf_wgsef.sparsify(mlp(), k=1, penalty=penalty).penalty).__name__ == kind


@pytest.mark.parametrize("penalty", NAMES)
def test_every_penalty_trains_to_the_level(penalty):
    sparse = sparse_mlp("adam", penalty=penalty)
    x, y = data()
    history = sparse.fit(x, y, batch_size=16, epochs=2, verbose=0).history
    assert live_counts(sparse.model, ("h1", "h2")) == {"h1": 4, "h2": 3} == sparse.live_groups()
    assert np.all(np.isfinite(history["loss"])) and history["live_groups"][-1] == 7


@pytest.mark.parametrize("penalty", sorted(set(NAMES) - {"group_l0"}))
def test_every_penalty_with_a_gradient_takes_half_space_steps(penalty):
    update = tf_wgsef.HSPG(start=0.0)
    sparse = sparse_mlp(keras.optimizers.SGD(0.01), penalty=penalty, update=update)
    x, y = data()
    sparse.fit(x, y, batch_size=16, epochs=2, verbose=0)
    assert live_counts(sparse.model, ("h1", "h2")) == {"h1": 4, "h2": 3}


def test_l0_has_no_gradient_for_half_space_steps():
    with pytest.raises(InputError, match="Received: GroupL0.*update='prox'"):
        sparse_mlp(penalty="group_l0", update="hspg")


def test_a_penalty_that_couples_groups_says_so_where_each_would_take_its_own_step():
    sparse = sparse_mlp("adam", penalty="group_l1_minus_l2", metric="group")
    x, y = data()
    with pytest.raises(InputError, match="one step for all groups.*metric='euclidean'"):
        sparse.fit(x, y, verbose=0)


def test_it_computes_what_the_model_computes_and_changes_nothing_yet():
    model = models.randomize(models.two_heads())
    x = [np.random.default_rng(0).normal(size=(3, 5)).astype("float32") for _ in range(2)]
    before = model.predict(x, verbose=0)
    after = tf_wgsef.sparsify(model, sparsity=0.5).predict(x, verbose=0)
    for name in ("y", "z"):
        np.testing.assert_array_equal(after[name], before[name])


def no_channels():
    return keras.Sequential([keras.Input((4,)), layers.Dense(2)])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: tf_wgsef.sparsify(m), "one of `sparsity`, `k` and `budget`"),
        (lambda m: tf_wgsef.sparsify(m, sparsity=1.5), "Received: sparsity=1.5"),
        (lambda m: tf_wgsef.sparsify(m, k=1, skip=["h7"]), "Received: 'h7'. The model has: h1, h2, out"),
        (lambda m: tf_wgsef.sparsify(m, k=1, skip="h1"), r"Pass skip=\['h1'\]"),
        (lambda m: tf_wgsef.sparsify(m, k=1, skip=["h1", "h2"]), "a model with channels to remove"),
        (lambda m: tf_wgsef.sparsify(no_channels(), k=1), "makes the output"),
        (lambda m: tf_wgsef.sparsify(m, k=1, groups="rows"), "Received: kind='rows'"),
        (
            lambda m: tf_wgsef.sparsify(m, k=1, groups=tf_wgsef.build_groups(m), skip=["h1"]),
            r"no `skip` beside a GroupSet.*build_groups\(model, skip=\['h1'\]\)",
        ),
        (lambda m: tf_wgsef.sparsify(m, k=1, penalty="lasso"), r"\['group_l0', .*, 'wgsef'\].*'lasso'"),
        (lambda m: tf_wgsef.sparsify(m, k=1, penalty=["wgsef"]), r"Received: penalty=\['wgsef'\]"),
        (lambda m: tf_wgsef.sparsify(m, k=1, penalty=None), "Received: penalty=None"),
        (lambda m: tf_wgsef.sparsify(m, k=1, ramp=0), r"`ramp` in \(0, 1\).*Received: ramp=0\."),
        (lambda m: tf_wgsef.sparsify(m, k=1, ramp=1.0), "Received: ramp=1.0"),
        (lambda m: tf_wgsef.sparsify(m, k=1, ramp=float("nan")), "Received: ramp=nan"),
        (lambda m: tf_wgsef.sparsify(m, k=1, ramp="half"), "Received: ramp='half'"),
    ],
)
def test_bad_input_gets_one_clear_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call(mlp())
    assert "\n" not in str(caught.value)
