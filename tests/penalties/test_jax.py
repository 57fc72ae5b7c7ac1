"""TensorFlow and JAX give the same numbers; JAX runs once, in its own process."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.penalties.cases import CASES

SCRIPT = """
import sys
import jax, numpy as np
from tests.penalties.cases import CASES
jax.config.update("jax_enable_x64", True)
given = np.load(sys.argv[1])
norms, weights, long = given["norms"], given["weights"], given["long"]
out = {}
for case in CASES:
    p = case.make()
    out[case.name + "/eager"] = p.factors(norms, 0.5, weights)
    out[case.name + "/jit"] = jax.jit(p.factors)(norms, np.float64(0.5), weights)
    out[case.name + "/hard"] = jax.jit(p.factors)(norms, np.float64(1.0), weights)
    out[case.name + "/long"] = jax.jit(p.factors)(long, np.float64(0.5))
    out[case.name + "/value"] = jax.jit(p.value)(norms, weights)
    out[case.name + "/gradient"] = jax.jit(jax.grad(lambda n: p.value(n, weights).sum()))(norms)
np.savez(sys.argv[2], **{k: np.asarray(v) for k, v in out.items()})
"""


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(12)
    norms, weights = rng.random((3, 12)), rng.uniform(0.2, 1.0, (3, 12))
    norms[0, 6:], weights[0, 6:] = 0, 0
    return {"norms": norms, "weights": weights, "long": rng.random(20_000)}


@pytest.fixture(scope="module")
def jax_results(problem, tmp_path_factory):
    folder = tmp_path_factory.mktemp("jax")
    np.savez(folder / "in.npz", **problem)
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder / "in.npz"), str(folder / "out.npz")],
        env={**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
        check=True,
        timeout=120,
    )
    return np.load(folder / "out.npz")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_tensorflow_equals_jax(case, problem, jax_results):
    import tensorflow as tf

    p, norms, weights = case.make(), problem["norms"], problem["weights"]
    variable = tf.Variable(norms)
    with tf.GradientTape() as tape:
        value = p.value(variable, weights)
    expected = {
        "eager": p.factors(norms, 0.5, weights),
        "jit": p.factors(norms, 0.5, weights),
        "hard": p.factors(norms, 1.0, weights),
        "long": p.factors(problem["long"], 0.5),
        "value": value,
        "gradient": tape.gradient(value, variable),
    }
    for name, numbers in expected.items():
        got = jax_results[f"{case.name}/{name}"]
        np.testing.assert_allclose(got, numbers, rtol=1e-9, atol=1e-11, err_msg=name)
