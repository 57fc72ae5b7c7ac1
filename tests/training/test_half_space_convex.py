"""The claims of the half-space papers, on logistic regression with group lasso, whose optimum is known."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import tf_wgsef
from tf_wgsef.training import HSPG, AdaHSPGPlus

GROUPS, SIZE, STRENGTH = 20, 4, 0.05


@pytest.fixture(scope="module")
def problem():
    """Inputs and labels of which 5 of 20 groups of inputs matter, and the optimum by another solver."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(400, GROUPS * SIZE)).astype("float32")
    truth = np.zeros((GROUPS, SIZE))
    truth[:5] = generator.normal(size=(5, SIZE))
    y = (x @ truth.ravel() + 0.5 * generator.normal(size=400) > 0).astype("float32")
    return x, y, optimum(x, y)


def objective(w, x, y) -> float:
    margins = (2 * y - 1) * (x.astype("float64") @ w)
    return np.mean(np.logaddexp(0, -margins)) + STRENGTH * group_norms(w).sum()


def group_norms(w):
    return np.linalg.norm(w.reshape(GROUPS, SIZE), axis=1)


def optimum(x, y):
    """FISTA (Beck & Teboulle 2009) with the full gradient, in float64."""
    x, sign = x.astype("float64"), 2 * y.astype("float64") - 1
    step = 4 * len(x) / np.linalg.norm(x, 2) ** 2
    w = momentum = np.zeros(x.shape[1])
    t = 1.0
    for _ in range(3000):
        gradient = -x.T @ (sign / (1 + np.exp(sign * (x @ momentum)))) / len(x)
        moved = (momentum - step * gradient).reshape(GROUPS, SIZE)
        norms = np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-300)
        new = (moved * np.maximum(0, 1 - step * STRENGTH / norms)).ravel()
        t_new = (1 + np.sqrt(1 + 4 * t * t)) / 2
        w, momentum, t = new, new + (t - 1) / t_new * (new - w), t_new
    return w


def trained(update, x, y, *, epochs=20, start=None):
    """The weights after so many epochs of SGD, none of them frozen; phase 2 of HSPG starts half way."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((GROUPS * SIZE,)), layers.Dense(1, use_bias=False, name="d")])
    ids = np.repeat(np.arange(GROUPS), SIZE)[:, None]
    kernel = model.get_layer("d").kernel
    if start is not None:
        kernel.assign(start[:, None])
    sparse = tf_wgsef.sparsify(
        model,
        k=1,
        groups=tf_wgsef.custom_groups(model, {"d/kernel": ids}),
        penalty=tf_wgsef.GroupLasso(strength=STRENGTH),
        update=update,
    )
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    sparse.compile(keras.optimizers.SGD(0.1), loss, jit_compile=False)
    sparse.begin_ramp(2 * epochs)
    generator = np.random.default_rng(0)
    for epoch in range(epochs):
        sparse.begin_epoch(epoch, 25)
        for batch in np.array_split(generator.permutation(len(x)), 25):
            sparse.train_on_batch(x[batch], y[batch, None])
    assert not sparse.frozen
    return ops.convert_to_numpy(kernel).ravel().astype("float64")


def test_hspg_is_sparser_than_prox_sgd_at_no_worse_an_objective(problem):
    x, y, best = problem
    prox, hspg = (trained(update, x, y) for update in ("prox", "hspg"))
    live = {name: (group_norms(w) > 0).sum() for name, w in (("prox", prox), ("hspg", hspg), ("best", best))}
    assert live["best"] <= live["hspg"] + 1 and live["hspg"] <= live["best"] + 1
    assert live["prox"] > 2 * live["hspg"]
    least = objective(best, x, y)
    assert least <= objective(hspg, x, y) < least + 1e-3
    assert objective(hspg, x, y) < objective(prox, x, y)


def test_a_wrong_zero_comes_back_with_adahspg_and_not_with_hspg(problem):
    x, y, best = problem
    wrong = best.copy().reshape(GROUPS, SIZE)
    lost = int(np.argmax(group_norms(best)))
    wrong[lost] = 0.0
    wrong = wrong.ravel()
    least = objective(best, x, y)
    assert objective(wrong, x, y) > least + 0.02
    hspg = trained(HSPG(start=0.0), x, y, epochs=10, start=wrong)
    ada = trained(AdaHSPGPlus(), x, y, epochs=10, start=wrong)
    assert group_norms(hspg)[lost] == 0
    assert objective(hspg, x, y) > least + 0.01
    assert group_norms(ada)[lost] > 0.8 * group_norms(best)[lost]
    assert least <= objective(ada, x, y) < least + 1e-3
    assert (group_norms(ada) > 0).sum() <= (group_norms(best) > 0).sum() + 1
