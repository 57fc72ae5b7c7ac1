"""Gradual removal: its steps against a NumPy loop, its pick against the final choice."""

import unittest

import keras
import numpy as np
import pytest
from keras import ops

import tf_wgsef
from tests import models
from tests.training import half_space_oracle as oracle
from tests.training.test_half_space import EachBatch
from tests.training.toys import data, live_counts, mlp, sparse_mlp
from tf_wgsef.errors import InputError
from tf_wgsef.training import GradualRemoval

optimizers = keras.optimizers


def sgd():
    return optimizers.SGD(0.3, momentum=0.9)


@pytest.mark.parametrize(("mode", "known"), [("graph", True), ("jit", True), ("eager", False)])
def test_the_steps_are_those_of_a_loop(mode, known):
    """An epoch of warm-up, then two of removal; a length of epochs that is not known is made up for."""
    sparse = sparse_mlp(sgd(), k=3, update=GradualRemoval(warmup=0.25))
    sparse.compile(sparse.optimizer, "mse", run_eagerly=mode == "eager", jit_compile=mode == "jit")
    sparse.begin_ramp(6)
    plain = mlp()
    plain.set_weights(sparse.model.get_weights())
    plain.compile(sgd(), "mse")
    x, y = data()
    goes, lengths = {}, [4, 4, 2]
    for epoch, steps in enumerate(lengths):
        sparse.begin_epoch(epoch, steps if known else None)
        assumed = steps if known else [0, 4, 4][epoch]
        if epoch == 1:
            for name, groups in oracle.vectors(plain.get_weights()).items():
                goes[name] = np.argsort([-np.linalg.norm(g) for g in groups], kind="stable")[3:]
            lowered = 1 / 3
        for batch in range(steps):
            sparse.train_on_batch(x, y)
            plain.train_on_batch(x, y)
            now = oracle.vectors(plain.get_weights())
            if goes:
                after = (epoch + (batch + 1) / assumed) / 3
                for name, groups in now.items():
                    for g in goes[name]:
                        groups[g] = groups[g] * (1 - after) / (1 - lowered)
                lowered = after
            plain.set_weights(oracle.to_weights(now, plain.get_weights()))
            for mine, expected in zip(sparse.model.get_weights(), plain.get_weights(), strict=True):
                np.testing.assert_allclose(mine, expected, rtol=2e-4, atol=2e-5)
    if known:
        assert live_counts(sparse.model, ("h1", "h2")) == {"h1": 3, "h2": 3}  # before the final choice
    sparse.begin_epoch(3, 4)
    assert sparse.at_level_before_freeze == known


def test_what_is_picked_falls_in_a_straight_line_and_the_rest_is_untouched():
    sparse = sparse_mlp(optimizers.SGD(0.0), k=3, update="gradual")
    sparse.compile(sparse.optimizer, "mse", jit_compile=False)
    start = sparse._norms()
    seen = EachBatch(lambda model: model._norms() / start)
    x, y = data()
    sparse.fit(x, y, batch_size=8, epochs=4, verbose=0, callbacks=[seen])
    stays = np.zeros(14, bool)
    stays[np.argsort(-start[:8])[:3]] = stays[8 + np.argsort(-start[8:])[:3]] = True
    for batch, shares in enumerate(seen.found):
        np.testing.assert_allclose(shares[~stays], max(0.0, 1 - (batch + 1) / 8), atol=1e-6)
        np.testing.assert_array_equal(shares[stays], 1.0)


LEVELS = {
    "layer": (models.residual, dict(sparsity=0.5)),
    "blocks": (models.lenet, dict(sparsity=0.5, round_to=4)),
    "global": (models.residual, dict(sparsity=0.5, scope="global")),
    "global-blocks": (models.lenet, dict(sparsity=0.5, scope="global", round_to=2, floor=2)),
    "macs": (models.residual, dict(budget={"macs": 0.4})),
    "macs-global": (models.residual, dict(budget={"macs": 0.4}, scope="global")),
    "params-blocks": (models.lenet, dict(budget={"params": 0.3}, round_to=2)),
}


@pytest.mark.parametrize("name", LEVELS)
def test_the_pick_is_the_final_choice_and_needs_no_cut(name):
    """Whatever the level: no more and no less is left at the end of the ramp than the choice at its start."""
    make, level = LEVELS[name]
    model = make()
    sparse = tf_wgsef.sparsify(model, update="gradual", **level)
    picked = sparse.level.select(sparse.groups, sparse._norms(), sparse._costs)
    assert 0 < picked.sum() < len(picked)
    sparse.compile(optimizers.Adam(0.01), "mse", jit_compile=False)
    x, y = data(model)
    with unittest.TestCase().assertNoLogs("absl", "WARNING"):
        sparse.fit(x, y, batch_size=8, epochs=4, verbose=0)
    assert sparse.at_level_before_freeze
    np.testing.assert_array_equal(sparse._norms() > 0, picked)
    np.testing.assert_array_equal(sparse._state.mask() > 0, picked)
    if "budget" in level:
        unit = next(iter(level["budget"]))
        assert sparse.cost()[unit] <= sparse.cost()["budget"]


def test_accumulated_steps_are_made_up_for():
    """Steps without an update lower nothing; the next one lowers for all of them."""
    sparse = sparse_mlp(optimizers.SGD(1e-9, gradient_accumulation_steps=4), k=3, update="gradual")
    sparse.compile(sparse.optimizer, "mse", jit_compile=False)
    start = sparse._norms()
    seen = EachBatch(lambda model: (model._norms() / start).min())
    x, y = data()
    sparse.fit(x, y, batch_size=8, epochs=4, verbose=0, callbacks=[seen])
    expected = [1, 1, 1, 0.5, 0.5, 0.5, 0.5] + [0] * 9
    np.testing.assert_allclose(seen.found, expected, atol=1e-5)


def test_a_longer_ramp_waits_for_what_was_lowered_and_brings_nothing_back():
    sparse = sparse_mlp(optimizers.SGD(0.0), k=3, update="gradual")
    sparse.compile(sparse.optimizer, "mse", jit_compile=False)
    start, found = sparse._norms(), []
    x, y = data()
    for epochs in (4, 16):  # two epochs of ramp, then eight
        sparse.begin_ramp(epochs)
        sparse.begin_epoch(0 if epochs == 4 else 1, 2)
        for _ in range(2):
            sparse.train_on_batch(x, y)
            found.append((sparse._norms() / start).min())
    np.testing.assert_allclose(found, [0.75, 0.5, 0.5, 0.5], atol=1e-6)
    sparse.begin_epoch(6, 2)
    sparse.train_on_batch(x, y)
    np.testing.assert_allclose((sparse._norms() / start).min(), 1 - 6.5 / 8, atol=1e-6)


def test_a_pick_that_no_epoch_starts_after_is_a_cut():
    sparse = sparse_mlp(optimizers.SGD(0.01), k=3, update=GradualRemoval(warmup=0.9))
    sparse.compile(sparse.optimizer, "mse", jit_compile=False)
    x, y = data()
    logs = sparse.fit(x, y, batch_size=8, epochs=4, verbose=0).history
    assert logs["live_groups"] == [14, 14, 6, 6] and not sparse.at_level_before_freeze


def test_the_penalty_and_layers_without_a_level_are_left_alone():
    sparse = sparse_mlp(sgd(), k={"h1": 8}, update="gradual", penalty=tf_wgsef.GroupLasso(strength=100.0))
    plain = mlp()
    plain.set_weights(sparse.model.get_weights())
    plain.compile(sgd(), "mse")
    x, y = data()
    for model in (sparse, plain):
        model.fit(x, y, epochs=2, shuffle=False, verbose=0)
    for mine, expected in zip(sparse.model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-5, atol=1e-6)
    assert (ops.convert_to_numpy(sparse.model.get_layer("h2").kernel) != 0).all()


@pytest.mark.parametrize("warmup", [1.0, -0.1, "0.5", float("nan")])
def test_bad_arguments_get_one_clear_line(warmup):
    with pytest.raises(InputError, match=r"`warmup` in \[0, 1\). Received: warmup=") as caught:
        GradualRemoval(warmup=warmup)
    assert "\n" not in str(caught.value)
