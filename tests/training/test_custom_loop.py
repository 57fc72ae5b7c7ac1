"""Loops without ``fit``: the prox behind any update, on each backend; the oracle is train_on_batch."""

import importlib.util
import pathlib
import re

import keras
import numpy as np
import pytest

import tf_wgsef
from tests import oracles
from tests.training.processes import ROOT, run_alone
from tests.training.toys import data, live_counts, sparse_mlp
from tf_wgsef.errors import InputError

optimizers = keras.optimizers
LEVEL = {"h1": 4, "h2": 3}


def halving(rate):
    return optimizers.schedules.ExponentialDecay(rate, 1, 0.5)


CASES = {
    "momentum": (lambda: optimizers.SGD(0.05, momentum=0.9), {}),
    "schedule": (lambda: optimizers.SGD(halving(0.2)), dict(penalty=tf_wgsef.GroupLasso(strength=0.5))),
    "accumulation": (lambda: optimizers.Adam(0.01, gradient_accumulation_steps=3), {}),
    "loss_scale": (lambda: optimizers.LossScaleOptimizer(optimizers.SGD(0.1), initial_scale=3e38), {}),
}


def twins(optimizer, **level):
    """Two ProximalModels with equal weights and an optimizer each, in the midst of the ramp."""
    first, second = (sparse_mlp(optimizer(), **level) for _ in range(2))
    second.model.set_weights(first.model.get_weights())
    for sparse in (first, second):
        sparse.begin_ramp(4)
        sparse.begin_epoch(1, 4)
    return first, second


def step_of(sparse):
    """A training step written out."""
    import tensorflow as tf

    optimizer, loss_of = sparse.optimizer, keras.losses.MeanSquaredError()

    def step(x, y):
        with tf.GradientTape() as tape:
            loss = optimizer.scale_loss(loss_of(y, sparse(x, training=True)))
        gradients = tape.gradient(loss, sparse.trainable_variables)
        with sparse.proximal_step(optimizer):
            optimizer.apply(gradients, sparse.trainable_variables)

    return step


@pytest.mark.parametrize("compiled", [dict(), dict(jit_compile=True), None], ids=["graph", "jit", "eager"])
@pytest.mark.parametrize("case", CASES)
def test_steps_are_those_of_train_on_batch(case, compiled):
    import tensorflow as tf

    optimizer, level = CASES[case]
    mine, keras_own = twins(optimizer, **level)
    mine.optimizer.build(mine.trainable_variables)
    step = step_of(mine) if compiled is None else tf.function(step_of(mine), **compiled)
    x, y = data()
    if case == "loss_scale":
        y = 20 * y  # the scaled gradients overflow, until the scale is halved often enough
    for _ in range(4):
        step(x, y)
        keras_own.train_on_batch(x, y)
        for weight, expected in zip(mine.weights, keras_own.weights, strict=True):
            np.testing.assert_allclose(np.array(weight), np.array(expected), rtol=1e-5, atol=1e-6)
    mine.freeze()
    assert live_counts(mine.model, LEVEL) == mine.live_groups() == LEVEL


def test_another_kind_of_optimizer_gives_its_learning_rate():
    sparse = sparse_mlp(penalty=tf_wgsef.GroupLasso(strength=0.5))
    sparse.begin_ramp(4)
    sparse.begin_epoch(0, 4)
    for rate in (0.2, np.float32(0.1), keras.ops.convert_to_tensor(0.05)):
        before = [np.array(weight) for weight in sparse.model.get_weights()]
        with sparse.proximal_step(rate):
            for variable in sparse.trainable_variables:
                variable.assign(variable * 0.9)
        for layer in range(2):
            kernel, bias = (0.9 * weight for weight in before[2 * layer : 2 * layer + 2])
            factors = oracles.lasso_factors(np.sqrt((kernel**2).sum(0) + bias**2), 0.5 * float(rate), None)
            assert (factors < 1).all()
            found = sparse.model.layers[layer].kernel
            np.testing.assert_allclose(np.array(found), kernel * factors, rtol=1e-5, atol=1e-6)


def test_no_prox_after_an_update_that_failed():
    sparse, _ = twins(lambda: optimizers.SGD(0.1))
    before = sparse.model.get_weights()
    with pytest.raises(ZeroDivisionError), sparse.proximal_step(sparse.optimizer):
        1 / 0  # noqa: B018
    for now, then in zip(sparse.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_freeze_at_the_end_changes_nothing_once_the_choice_is_made():
    sparse, _ = twins(lambda: optimizers.SGD(0.05))
    step = step_of(sparse)
    sparse.begin_epoch(2, 4)  # the ramp is over
    assert sparse.frozen
    step(*data())
    before = [np.array(weight) for weight in sparse.weights]
    sparse.freeze()
    for now, then in zip(sparse.weights, before, strict=True):
        np.testing.assert_array_equal(np.array(now), then)


def begun():
    return twins(lambda: optimizers.SGD(0.05))[0]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: sparse_mlp().begin_epoch(0, 4),
            r"begin_ramp\(epochs\) before the first begin_epoch",
        ),
        (
            lambda: sparse_mlp().proximal_step(0.1).__enter__(),
            r"Received: proximal_step without it",
        ),
        (lambda: begun().proximal_step("adam").__enter__(), r"Received: 'adam'. Of torch.optim pass"),
        (lambda: begun().proximal_step([0.1, 0.2]).__enter__(), r"Received: \[0.1, 0.2\]"),
        (lambda: begun().proximal_step(None).__enter__(), r"Received: None"),
        (lambda: begun().stateless_proximal_step(0.1, [], ()), r"Received: optimizer=0.1. Pass keras.optim"),
    ],
    ids=["no_ramp", "no_epoch", "a_name", "a_list", "none", "stateless"],
)
def test_misuse_is_one_clear_line(call, text):
    with pytest.raises(InputError, match=text):
        call()


@pytest.mark.parametrize(
    "value", ["4", None, -1, 2.5, float("nan"), float("inf"), True, [4], 10**400], ids=str
)
def test_epochs_and_batches_are_whole_numbers(value):
    with pytest.raises(InputError, match="`epochs` to be a whole number of at least 1"):
        sparse_mlp().begin_ramp(value)
    with pytest.raises(InputError, match="`initial_epoch` to be a whole number of at least 0"):
        sparse_mlp().begin_ramp(4, initial_epoch=value)
    with pytest.raises(InputError, match="`epoch` to be a whole number of at least 0"):
        begun().begin_epoch(value, 4)
    if value is not None:
        with pytest.raises(InputError, match="`steps` to be a whole number of at least 0"):
            begun().begin_epoch(0, value)


@pytest.mark.parametrize("rate", [float("nan"), float("inf"), -0.1, True, 10**400], ids=str)
def test_a_rate_that_is_none_leaves_the_weights_alone(rate):
    sparse = begun()
    before = sparse.get_weights()
    with (
        pytest.raises(InputError, match="a number of at least 0: the learning rate"),
        sparse.proximal_step(rate),
    ):
        pass
    for now, then in zip(sparse.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("state", [5, [], [[], [], []]], ids=str)
def test_a_state_that_is_none_says_what_one_is(state):
    with pytest.raises(InputError, match="three lists of"):
        begun().stateless_proximal_step(optimizers.SGD(0.05), [], state)


# --- the loops of docs/training.md ---

LOOPS = ("tensorflow", "torch", "jax")


def blocks():
    page = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)


def prepared(code, folder):
    """Runs what comes before all loops, and gives the model the weights in ``folder``."""
    names = {}
    exec(compile(code, "training.md", "exec"), names)  # noqa: S102
    with np.load(pathlib.Path(folder) / "start.npz") as saved:
        names["model"].set_weights([saved[key] for key in saved.files])
    return names


def run_the_loop(folder):
    """Runs the page's loop for this backend and saves what becomes of the weights."""
    first, *loops = blocks()
    names = prepared(first, folder)
    backend = keras.backend.backend()
    exec(compile(loops[LOOPS.index(backend)], "training.md", "exec"), names)  # noqa: S102
    np.savez(pathlib.Path(folder) / f"{backend}.npz", *names["model"].get_weights())


def run_with_torch_optim(folder):
    """The page's loop for PyTorch, as it says, with an optimizer of ``torch.optim``."""
    import torch

    first, _, loop, _ = blocks()
    loop = loop.replace("proximal_step(optimizer)", 'proximal_step(torch_optimizer.param_groups[0]["lr"])')
    loop = loop.replace("optimizer.apply(gradients, sparse.trainable_variables)", "torch_optimizer.step()")
    names = prepared(first, folder)
    names["torch_optimizer"] = torch.optim.SGD(names["sparse"].parameters(), lr=0.05, momentum=0.9)
    exec(compile(loop, "training.md", "exec"), names)  # noqa: S102
    assert int(names["optimizer"].iterations) == 0
    np.savez(pathlib.Path(folder) / "torch.npz", *names["model"].get_weights())


def start(folder):
    generator = np.random.default_rng(1)
    shapes = [(20, 32), (32,), (32, 1), (1,)]
    np.savez(folder / "start.npz", *[generator.normal(0, 0.2, shape).astype("float32") for shape in shapes])


def test_the_loop_on_the_page_meets_the_level(tmp_path):
    start(tmp_path)
    run_the_loop(str(tmp_path))
    with np.load(tmp_path / "tensorflow.npz") as saved:
        assert (np.abs(saved["arr_0"]).sum(0) + np.abs(saved["arr_1"]) > 0).sum() == 8


@pytest.mark.parametrize(
    ("backend", "loop"),
    [("jax", run_the_loop), ("torch", run_the_loop), ("torch", run_with_torch_optim)],
    ids=["jax", "torch", "torch_optim"],
)
def test_the_loops_on_the_page_give_the_same_on_every_backend(tmp_path, backend, loop):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed, see CONTRIBUTING.md")
    start(tmp_path)
    run_the_loop(str(tmp_path))
    environment = {"KERAS_BACKEND": backend, "KERAS_TORCH_DEVICE": "cpu"}
    run_alone(loop, str(tmp_path), hidden=("tensorflow",), **environment)
    with np.load(tmp_path / "tensorflow.npz") as expected, np.load(tmp_path / f"{backend}.npz") as found:
        for key in expected.files:
            np.testing.assert_allclose(found[key], expected[key], rtol=0, atol=1e-5)
            np.testing.assert_array_equal(found[key] == 0, expected[key] == 0)
