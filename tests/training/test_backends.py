"""The same code on JAX and PyTorch, each in a process of its own that has no TensorFlow."""

import importlib.util
import json
import pathlib

import keras
import numpy as np
import pytest

import tf_wgsef
from tests import models
from tests.training.processes import run_alone
from tests.training.toys import At, EachEpoch, data, interrupt, live_counts, mlp, sparse_mlp

STEPS = {
    "wgsef": (mlp, dict(k=3), 6),
    "group_lasso": (mlp, dict(k=3, penalty="group_lasso"), 6),
    "hspg": (mlp, dict(k=3, update="hspg"), 6),
    "adahspg+": (mlp, dict(k=3, update="adahspg+"), 6),
    "sparse": (mlp, dict(k=3, update=tf_wgsef.SparseProx(elementwise=0.03)), 6),
    "gradual": (mlp, dict(k=3, update="gradual"), 6),
    "convolutions": (models.residual, dict(sparsity=0.5, scope="global"), 5),
}
MODES = {
    "adam": lambda: keras.optimizers.Adam(0.01),
    "accumulation": lambda: keras.optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "ema": lambda: keras.optimizers.Adam(0.01, use_ema=True),
    "steps_per_execution": lambda: keras.optimizers.AdamW(0.01),
    "loss_scale": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)),
    "metric": lambda: keras.optimizers.Adam(0.01),
    "hspg": lambda: keras.optimizers.Adam(0.01),
    "adahspg+": lambda: keras.optimizers.Adam(0.01),
    "sparse": lambda: keras.optimizers.Adam(0.01),
    "gradual": lambda: keras.optimizers.Adam(0.01),
}
RULES = ("hspg", "adahspg+", "sparse", "gradual")
LEVELS = {"metric": dict(metric="group"), **{rule: dict(update=rule) for rule in RULES}}
COMPILED = {"steps_per_execution": dict(steps_per_execution=2)}
NOT_ON_TORCH = {"steps_per_execution"}  # Keras has it on the other two
BACKENDS = ["jax", "torch"]


def twenty_steps(name, start, **compiled) -> tuple[list[np.ndarray], dict[str, int]]:
    """Weights and live groups after four epochs of five batches: the ramp, then the survivors."""
    make, level, _ = STEPS[name]
    rate = keras.optimizers.schedules.ExponentialDecay(0.05, 5, 0.7)
    sparse = tf_wgsef.sparsify(make(), **level)
    sparse.compile(keras.optimizers.SGD(rate, momentum=0.9), "mse", **compiled)
    sparse.model.set_weights(start)
    x, y = data(sparse.model, samples=40)
    sparse.begin_ramp(4)
    for epoch in range(4):
        sparse.begin_epoch(epoch, 5)
        for batch in range(5):
            now = slice(8 * batch, 8 * batch + 8)
            sparse.train_on_batch(x[now], y[now])
    return sparse.model.get_weights(), sparse.live_groups()


def read(path) -> list[np.ndarray]:
    with np.load(path) as saved:
        return [saved[key] for key in saved.files]


def in_backend(folder):
    """What the process does; its results are files in ``folder``."""
    folder = pathlib.Path(folder)
    found = {"backend": keras.backend.backend(), "live": {}}
    for name in STEPS:
        weights, found["live"][name] = twenty_steps(name, read(folder / f"{name}_start.npz"))
        np.savez(folder / f"{name}.npz", *weights)

    x, y = data()
    for name, optimizer in MODES.items():
        if found["backend"] == "torch" and name in NOT_ON_TORCH:
            continue
        sparse = sparse_mlp(optimizer(), compiled=COMPILED.get(name), **LEVELS.get(name, {}))
        seen = EachEpoch(lambda model: sum(counts_of(model).values()))
        history = sparse.fit(x, y, batch_size=8, epochs=3, verbose=0, callbacks=[seen])
        found[name] = [counts_of(sparse), seen.found, history.history["live_groups"]]
    found["interrupted"], found["resumed"] = interrupted_and_resumed(x, y)
    found["saved"] = saved_and_stripped(folder, x, y)
    (folder / "found.json").write_text(json.dumps(found))


def counts_of(sparse):
    return live_counts(sparse.model, ("h1", "h2"))


def interrupted_and_resumed(x, y):
    sparse = sparse_mlp(keras.optimizers.Adam(0.01, use_ema=True))
    try:
        sparse.fit(x, y, batch_size=8, epochs=4, verbose=0, callbacks=[At(14, interrupt)])
    except KeyboardInterrupt:
        interrupted = counts_of(sparse)
    sparse.compile("adam", "mse")  # with use_ema Keras itself cannot fit twice on JAX (3.15.1)
    sparse.fit(x, y, batch_size=8, epochs=1, verbose=0)
    return interrupted, counts_of(sparse)


def saved_and_stripped(folder, x, y):
    """A model of each backend, frozen by hand, saved, loaded, trained on and stripped."""
    sparse = sparse_mlp(keras.optimizers.SGD(0.05))
    sparse.freeze()
    sparse.fit(x, y, batch_size=8, epochs=1, verbose=0)
    sparse.save(folder / "sparse.keras")
    loaded = keras.models.load_model(folder / "sparse.keras")
    same = all(map(np.array_equal, loaded.model.get_weights(), sparse.model.get_weights()))
    loaded.fit(x, y, batch_size=8, epochs=1, verbose=0)
    result = tf_wgsef.strip(loaded)
    difference = np.abs(result.model.predict(x, verbose=0) - loaded.predict(x, verbose=0)).max()
    return {
        "same": same,
        "frozen": loaded.frozen,
        "counts": counts_of(loaded),
        "norms": int(np.sum(np.asarray(loaded.groups.norms(loaded.model)) > 0)),
        "kept": result.kept,
        "difference": float(difference),
    }


def in_process(backend, function, folder):
    """Runs ``function(folder)`` on ``backend``, where there is no TensorFlow; skips without ``backend``."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed, see CONTRIBUTING.md")
    for name, (make, *_) in STEPS.items():
        keras.utils.set_random_seed(1)
        np.savez(folder / f"{name}_start.npz", *make().get_weights())
    environment = {"KERAS_BACKEND": backend, "KERAS_TORCH_DEVICE": "cpu"}
    run_alone(function, str(folder), hidden=("tensorflow",), **environment)


@pytest.fixture(scope="module", params=BACKENDS)
def run(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    in_process(request.param, in_backend, folder)
    found = json.loads((folder / "found.json").read_text())
    assert found["backend"] == request.param
    return folder, found


def assert_steps_of_tensorflow(folder, name) -> dict[str, int]:
    """Compares the weights with those that this process gets; returns its live groups."""
    start = read(folder / f"{name}_start.npz")
    expected, live = twenty_steps(name, start)
    for mine, weight, before in zip(read(folder / f"{name}.npz"), expected, start, strict=True):
        np.testing.assert_allclose(mine, weight, rtol=0, atol=1e-5)
        np.testing.assert_array_equal(mine == 0, weight == 0)
        # A bias in front of batch norm has no gradient.
        assert weight.ndim == 1 or np.abs(weight - before).max() > 1e-3
    return live


@pytest.mark.parametrize("name", STEPS)
def test_twenty_steps_are_those_on_tensorflow(run, name):
    folder, found = run
    live = assert_steps_of_tensorflow(folder, name)
    assert found["live"][name] == live
    assert sum(live.values()) == STEPS[name][2]


def steps_in_torch_compile(folder):
    folder = pathlib.Path(folder)
    weights, _ = twenty_steps("wgsef", read(folder / "wgsef_start.npz"), jit_compile=True)
    np.savez(folder / "wgsef.npz", *weights)


@pytest.mark.slow
def test_twenty_steps_inside_torch_compile_are_those_on_tensorflow(tmp_path):
    """It left out a sum with 0 that stood for a copy, so that no step seemed to have updated anything."""
    in_process("torch", steps_in_torch_compile, tmp_path)
    assert_steps_of_tensorflow(tmp_path, "wgsef")


@pytest.mark.parametrize("mode", MODES)
def test_the_level_is_met_and_history_is_true(run, mode):
    found = run[1]
    if found["backend"] == "torch" and mode in NOT_ON_TORCH:
        pytest.skip("Keras does not offer it on PyTorch")
    counts, seen, history = found[mode]
    assert counts == {"h1": 4, "h2": 3}
    assert history == seen


def test_an_interrupt_keeps_the_zeros_that_averaging_would_undo(run):
    assert run[1]["interrupted"] == run[1]["resumed"] == {"h1": 4, "h2": 3}


def test_freeze_save_load_and_strip(run):
    found = dict(run[1]["saved"])
    assert found.pop("difference") < 1e-6
    counts = {"h1": 4, "h2": 3}
    assert found == {
        "same": True,
        "frozen": True,
        "counts": counts,
        "norms": 7,
        "kept": {**counts, "out": 2},
    }
