"""ProxSGD against a NumPy loop over the paper's formulas, and what a user sees of it."""

import keras
import numpy as np
import pytest

import tf_wgsef
from tests.training.toys import data, live_counts, mlp, sparse_mlp
from tf_wgsef.errors import InputError
from tf_wgsef.training import MixedProx, PowerDecay, ProxSGD

SCHEDULES = {
    "paper": (None, lambda t: 0.06 / (t + 4) ** 0.5, 2.0),
    "constant": (0.2, lambda t: 0.2, 0.8),
    "whole": (1.0, lambda t: 1.0, 0.8),  # x = x̂ at each step
    "steep": (PowerDecay(0.8, 0.9), lambda t: 0.8 / (t + 4) ** 0.9, 1.2),
}


def loop(weights, gradients, rates, mu, *, last):
    """The algorithm, variable by variable and group by group; kernel columns with their bias are groups."""
    x = [one.astype("float64") for one in weights]
    v, r = [np.zeros_like(one) for one in x], [np.zeros_like(one) for one in x]
    for t, gradient in enumerate(gradients):
        rho = 0.9 / (t + 4) ** 0.5
        v = [(1 - rho) * old + rho * g for old, g in zip(v, gradient, strict=True)]
        r = [0.999 * old + 0.001 * g**2 for old, g in zip(r, gradient, strict=True)]
        tau = [np.sqrt(one / (1 - 0.999 ** (t + 1))) + 1e-7 for one in r]
        hat = [a - b / c for a, b, c in zip(x, v, tau, strict=True)]
        gone = []
        for kernel, bias in ((0, 1), (2, 3)):
            for j in range(x[bias].size):
                z = np.append(hat[kernel][:, j], hat[bias][j])
                metric = np.mean(np.append(tau[kernel][:, j], tau[bias][j]))
                factor = max(0.0, 1 - mu / metric / np.linalg.norm(z))
                hat[kernel][:, j] *= factor
                hat[bias][j] *= factor
                gone += [(kernel, bias, j)] if factor == 0 else []
        x = [a + rates(t) * (b - a) for a, b in zip(x, hat, strict=True)]
    for kernel, bias, j in gone if last else ():
        x[kernel][:, j] = x[bias][j] = 0
    return x, len(gone)


@pytest.mark.parametrize("last", [False, True], ids=["inside the ramp", "to its end"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_twenty_steps_are_those_of_the_paper(name, last):
    rate, rates, mu = SCHEDULES[name]
    model = mlp()
    lasso = tf_wgsef.GroupLasso(strength=mu, scale_by_size=False)
    sparse = tf_wgsef.sparsify(model, sparsity=0.5, penalty=lasso, update="mixed", metric="group")
    optimizer = ProxSGD(rate)
    variables = sparse.trainable_variables
    optimizer.build(variables)
    generator = np.random.default_rng(3)
    start = [generator.normal(size=v.shape).astype("float32") for v in variables]
    gradients = [[generator.normal(size=v.shape).astype("float32") for v in variables] for _ in range(20)]
    for variable, value in zip(variables, start, strict=True):
        variable.assign(value)
    sparse.begin_ramp(2 if last else 4)
    sparse.begin_epoch(0, 20)
    for gradient in gradients:
        with sparse.proximal_step(optimizer):
            optimizer.apply([keras.ops.array(one) for one in gradient], variables)
    expected, gone = loop(start, gradients, rates, mu, last=last)
    assert 0 < gone < 14  # some of the 14 groups, not all
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(keras.ops.convert_to_numpy(variable), value, rtol=2e-4, atol=2e-5)
    if last:
        assert sum(sparse.live_groups().values()) == 14 - gone


@pytest.mark.parametrize("update", ["mixed", "prox"])
def test_fit_meets_the_level_and_a_saved_model_loads(update, tmp_path):
    lasso = tf_wgsef.GroupLasso(strength=1e-3)
    sparse = sparse_mlp(ProxSGD(), sparsity=0.5, penalty=lasso, update=update, metric="group")
    x, y = data()
    sparse.fit(x, y, epochs=4, verbose=0)
    assert live_counts(sparse.model, ("h1", "h2")) == {"h1": 4, "h2": 3}
    sparse.save(tmp_path / "sparse.keras")
    loaded = keras.models.load_model(tmp_path / "sparse.keras")
    assert loaded.optimizer.get_config() == sparse.optimizer.get_config()
    history = [model.fit(x, y, epochs=1, verbose=0).history["loss"] for model in (sparse, loaded)]
    assert history[0] == pytest.approx(history[1], rel=1e-5)


def test_what_cannot_be_is_said():
    lasso = tf_wgsef.GroupLasso(strength=1e-3)
    with pytest.raises(InputError, match="metric='group' for update=MixedProx"):
        sparse_mlp(penalty=lasso, update=MixedProx())
    with pytest.raises(InputError, match="a penalty with a strength for update='mixed'"):
        sparse_mlp(update="mixed", metric="group")
    for options, name in [
        (dict(rho=0.0), "rho"), (dict(rho="a"), "rho"),
        (dict(beta=1.0), "beta"), (dict(epsilon=0.0), "epsilon"),
    ]:  # fmt: skip
        with pytest.raises(InputError, match=f"Expected `{name}`"):
            ProxSGD(**options)
    for arguments in ((0.0,), (float("nan"),), (0.1, -1.0)):
        with pytest.raises(InputError, match="Expected `"):
            PowerDecay(*arguments)
