import keras
import numpy as np
import pytest
from keras import layers

import tf_wgsef
from tests import models
from tests.training.toys import mlp
from tf_wgsef.errors import InputError


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
    [("wgsef", "WGSEF"), ("group_lasso", "GroupLasso"), (tf_wgsef.GroupLasso(strength=2.0), "GroupLasso")],
)
def test_penalties_by_name_or_as_objects(penalty, kind):
    assert type(tf_wgsef.sparsify(mlp(), k=1, penalty=penalty).penalty).__name__ == kind


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
        (lambda m: tf_wgsef.sparsify(m, k=1, penalty="lasso"), r"\['group_lasso', 'wgsef'\].*'lasso'"),
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
