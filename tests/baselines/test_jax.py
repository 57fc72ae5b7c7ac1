"""The baselines on JAX, in a process that has no TensorFlow; what each does is beside its other tests."""

import pytest

from tests.baselines import test_feature_flow, test_implicit_sparsity, test_slimming, test_sparse_connections
from tests.training.processes import run_alone


def on_jax():
    test_sparse_connections.on_jax()
    test_implicit_sparsity.on_jax()
    test_feature_flow.on_jax()
    test_slimming.shrinks()


def test_they_train_on_jax():
    pytest.importorskip("jax")
    run_alone(on_jax, hidden=("tensorflow",), KERAS_BACKEND="jax")
