"""The same code on JAX: in a process of its own, because Keras chooses its backend once."""

import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.training.toys import data, mlp, sparse_mlp

HERE = pathlib.Path(__file__)
PENALTIES = {"wgsef": dict(k=3), "group_lasso": dict(k=3, penalty="group_lasso")}
PENALTIES |= {rule: dict(k=3, update=rule) for rule in ("hspg", "adahspg+")}


def some_steps(level, start, x, y) -> list[np.ndarray]:
    """Weights after 3 steps in the middle of the ramp and one with the survivors chosen."""
    rate = keras.optimizers.schedules.ExponentialDecay(0.01, 1, 0.5)
    sparse = sparse_mlp(keras.optimizers.SGD(rate, momentum=0.9), **level)
    sparse.model.set_weights(start)
    sparse.begin_ramp(4)
    sparse.begin_epoch(1, 4)
    for _ in range(3):
        sparse.train_on_batch(x, y)
    sparse.begin_epoch(2, 4)
    sparse.train_on_batch(x, y)
    return sparse.model.get_weights()


def in_jax(folder: pathlib.Path) -> None:
    """What the process on JAX does; its results are files in ``folder``."""
    from tests.training.toys import At, EachEpoch, interrupt, live_counts

    x, y = data()
    with np.load(folder / "start.npz") as saved:
        start = [saved[name] for name in saved.files]
    for name, level in PENALTIES.items():
        np.savez(folder / f"{name}.npz", *some_steps(level, start, x, y))

    def counts(sparse):
        return live_counts(sparse.model, ("h1", "h2"))

    found = {}
    optimizers = keras.optimizers
    for name, optimizer, compiled in (
        ("adam", optimizers.Adam(0.01), {}),
        ("accumulation", optimizers.Adam(0.01, gradient_accumulation_steps=2), {}),
        ("ema", optimizers.Adam(0.01, use_ema=True), {}),
        ("steps_per_execution", optimizers.AdamW(0.01), dict(steps_per_execution=2)),
        ("loss_scale", optimizers.LossScaleOptimizer(optimizers.Adam(0.01)), {}),
        ("metric", optimizers.Adam(0.01), {}),
    ):
        metric = "group" if name == "metric" else "euclidean"
        sparse = sparse_mlp(optimizer, compiled=compiled, metric=metric)
        seen = EachEpoch(lambda model: sum(counts(model).values()))
        history = sparse.fit(x, y, batch_size=8, epochs=3, verbose=0, callbacks=[seen])
        found[name] = [counts(sparse), seen.found, history.history["live_groups"]]

    for rule in ("hspg", "adahspg+"):
        sparse = sparse_mlp(optimizers.Adam(0.01), update=rule)
        seen = EachEpoch(lambda model: sum(counts(model).values()))
        history = sparse.fit(x, y, batch_size=8, epochs=4, verbose=0, callbacks=[seen])
        found[rule] = [counts(sparse), seen.found, history.history["live_groups"]]

    sparse = sparse_mlp(optimizers.Adam(0.01, use_ema=True))
    try:
        sparse.fit(x, y, batch_size=8, epochs=4, verbose=0, callbacks=[At(14, interrupt)])
    except KeyboardInterrupt:
        found["interrupted"] = counts(sparse)
    sparse.compile("adam", "mse")  # with use_ema Keras itself cannot fit twice on JAX (3.15.1)
    sparse.fit(x, y, batch_size=8, epochs=1, verbose=0)
    found["resumed"] = counts(sparse)
    found["tensorflow"] = "tensorflow" in sys.modules
    found["backend"] = keras.backend.backend()
    (folder / "found.json").write_text(json.dumps(found))


@pytest.fixture(scope="module")
def jax_run(tmp_path_factory):
    pytest.importorskip("jax")
    folder = tmp_path_factory.mktemp("jax")
    start = mlp().get_weights()
    np.savez(folder / "start.npz", *start)
    code = f"import pathlib, {__name__} as test; test.in_jax(pathlib.Path({str(folder)!r}))"
    environment = {**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(HERE.parents[2])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, start, json.loads((folder / "found.json").read_text())


@pytest.mark.parametrize("name", PENALTIES)
def test_steps_on_jax_are_those_on_tensorflow(jax_run, name):
    folder, start, found = jax_run
    assert found["backend"] == "jax"
    x, y = data()
    expected = some_steps(PENALTIES[name], start, x, y)
    with np.load(folder / f"{name}.npz") as saved:
        for key, weight, before in zip(saved.files, expected, start, strict=True):
            np.testing.assert_allclose(saved[key], weight, rtol=1e-5, atol=1e-6)
            assert np.abs(weight - before).max() > 1e-4


@pytest.mark.parametrize(
    "mode",
    ["adam", "accumulation", "ema", "steps_per_execution", "loss_scale", "metric", "hspg", "adahspg+"],
)
def test_the_level_is_met_on_jax_and_history_is_true(jax_run, mode):
    counts, seen, history = jax_run[2][mode]
    assert counts == {"h1": 4, "h2": 3}
    assert history == seen


def test_an_interrupt_on_jax_keeps_the_zeros_that_averaging_would_undo(jax_run):
    assert jax_run[2]["interrupted"] == jax_run[2]["resumed"] == {"h1": 4, "h2": 3}


def test_training_on_jax_never_loads_tensorflow(jax_run):
    assert not jax_run[2]["tensorflow"]
