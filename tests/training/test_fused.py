"""The step fused by XLA inside a plain TensorFlow graph trains as the plain step does."""

import keras
import numpy as np
import pytest

import tf_wgsef
from tests.training.toys import data, mlp
from tf_wgsef.training import _fused


def trained(groups, update="prox", **compiled):
    keras.utils.set_random_seed(0)
    sparse = tf_wgsef.sparsify(mlp(), sparsity=0.5, groups=groups, update=update)
    sparse.compile(keras.optimizers.SGD(0.05, momentum=0.9), "mse", jit_compile=False, **compiled)
    x, y = data(sparse.model)
    history = sparse.fit(x, y, batch_size=8, epochs=4, shuffle=False, verbose=0)
    return sparse.model.get_weights(), history.history["live_groups"]


@pytest.fixture
def calls(monkeypatch):
    """Fuses every step, however few the groups, and counts the functions that were."""
    import tensorflow as tf

    monkeypatch.setattr(_fused, "MANY", 1)
    found = []

    def function(one, **options):
        found.append(options)
        return real(one, **options)

    real = tf.function
    monkeypatch.setattr(tf, "function", function)
    return found


@pytest.mark.parametrize("update", ["prox", "hspg", "sparse", "gradual"])
@pytest.mark.parametrize("groups", ["element", "filter"])
def test_a_fused_step_is_the_same_step(groups, update, request):
    plain, live = trained(groups, update)
    calls = request.getfixturevalue("calls")
    fused, live_fused = trained(groups, update)
    assert [options for options in calls if options.get("jit_compile")]
    assert live == live_fused
    for one, other in zip(plain, fused, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(other == 0, one == 0)


def test_an_eager_step_is_not_compiled_anew_each_time(calls):
    trained("element", run_eagerly=True)
    assert not [options for options in calls if options.get("jit_compile")]


def test_few_groups_are_left_to_the_graph(monkeypatch, calls):
    monkeypatch.setattr(_fused, "MANY", 10_000)
    trained("element")
    assert not [options for options in calls if options.get("jit_compile")]
