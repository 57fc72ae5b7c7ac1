"""A run that is killed and started again ends bit for bit where it would have ended."""

import os
import pathlib
import secrets
import signal
import unittest

import keras
import numpy as np
import pytest

from tests.training import resuming
from tests.training.resuming import EPOCHS, RAMP_END, STEPS
from tests.training.toys import At, data, interrupt, live_counts, sparse_mlp

SEED = int(os.environ.get("TF_WGSEF_KILL_SEED") or secrets.randbelow(2**31))
PHASES = {"ramp": (0, RAMP_END), "choice": (RAMP_END, RAMP_END + 1), "after": (RAMP_END + 1, EPOCHS)}


def drawn(first: int, end: int) -> list[int]:
    """An epoch from ``first`` to before ``end``, and a batch of it."""
    generator = np.random.default_rng([SEED, first, end])
    return [int(generator.integers(first, end)), int(generator.integers(STEPS))]


def torn(first: int) -> list[int]:
    """An epoch from ``first`` on, and how much of a file of it is written."""
    epoch, part = drawn(first, EPOCHS)
    return [epoch, 100 + 4000 * part]


def compare(folder: pathlib.Path, deaths: dict, backend="tensorflow") -> None:
    """Makes the whole runs, those that die ({name: options}) and those that go on, in one process."""
    print(f"TF_WGSEF_KILL_SEED={SEED}", deaths)
    runs, codes, wholes = [], [], {}
    for name, options in deaths.items():
        same = {key: options[key] for key in ("case", "data", "compiled", "level") if key in options}
        if same not in wholes.values():
            wholes[name] = same
            runs.append({"name": "whole", "folder": str(folder / f"{name}-whole"), **same})
            codes.append(0)
        again = {key: value for key, value in options.items() if key not in ("kill", "tear")}
        runs += [{"folder": str(folder / name), **run} for run in (options, again)]
        runs[-2]["name"], runs[-1]["name"] = "killed", "resumed"
        codes += [-signal.SIGKILL if "kill" in options else -signal.SIGXFSZ, 0]
    for run in runs:
        pathlib.Path(run["folder"]).mkdir(exist_ok=True)
    assert resuming.start(runs, backend) == codes
    for name, options in deaths.items():
        whole = next(key for key, same in wholes.items() if same.items() <= options.items())
        first = options.get("kill", options.get("tear"))[0]
        assert_same_end(folder / name / "resumed.npz", folder / f"{whole}-whole" / "whole.npz", first)


def assert_same_end(resumed: pathlib.Path, whole: pathlib.Path, first_epoch: int) -> None:
    """Weights, statistics, slots, schedule, random state, and the history from the resumed epoch on."""
    with np.load(whole) as expected, np.load(resumed) as found:
        assert found["epochs"].tolist() == list(range(first_epoch, EPOCHS))  # it did not start afresh
        assert set(expected.files) == set(found.files)
        for key in set(expected.files) - {"epochs"}:
            value = expected[key][first_epoch:] if key.startswith("history") else expected[key]
            assert (found[key].dtype, found[key].tobytes()) == (value.dtype, value.tobytes()), key


def in_each_phase(**options) -> dict:
    return {phase: {"kill": drawn(*epochs), **options} for phase, epochs in PHASES.items()}


def test_killed_runs_go_on_and_end_where_they_would_have(tmp_path):
    """In the ramp, in the epoch of the choice, after it; by both callbacks; in the middle of a write."""
    deaths = in_each_phase(case="momentum")
    costs = dict(case="ema", saved="checkpoint", level={"budget": {"macs": 0.4}})
    deaths["checkpoint"] = dict(kill=drawn(1, EPOCHS), **costs)
    deaths["torn checkpoint"] = dict(tear=torn(1), **costs)
    deaths["unknown length"] = dict(case="adam", data="unknown", kill=drawn(1, RAMP_END))
    compare(tmp_path, deaths)


@pytest.mark.slow
@pytest.mark.parametrize("saved", ["backup", "checkpoint"])
@pytest.mark.parametrize("case", resuming.CASES)
def test_runs_go_on_with_every_state_that_an_optimizer_has(tmp_path, case, saved):
    compare(tmp_path, in_each_phase(case=case, saved=saved))


MODES = [dict(jit_compile=True), dict(steps_per_execution=2), dict(run_eagerly=True)]


@pytest.mark.slow
@pytest.mark.parametrize("compiled", MODES, ids=str)
def test_runs_go_on_in_every_mode(tmp_path, compiled):
    compare(tmp_path, in_each_phase(case="momentum", compiled=compiled))


@pytest.mark.slow
@pytest.mark.parametrize("saved", ["backup", "checkpoint"])
def test_runs_go_on_through_jax(tmp_path, saved):
    pytest.importorskip("jax")
    compare(tmp_path, in_each_phase(case="momentum", saved=saved), "jax")


WAYS = [
    ("momentum", dict(budget={"macs": 0.4})),
    ("momentum", dict(k=5, scope="global")),
    ("momentum", dict(k=5, scope="global", penalty="group_lasso")),
    ("adam", dict(sparsity=0.5, metric="group")),
    ("momentum", dict(sparsity=0.5, update="hspg")),
    ("momentum", dict(sparsity=0.5, update="adahspg+")),
    ("momentum", dict(sparsity=0.5, update="sparse")),
    ("momentum", dict(budget={"macs": 0.4}, update="gradual")),
]


@pytest.mark.slow
@pytest.mark.parametrize("saved", ["backup", "checkpoint"])
@pytest.mark.parametrize(("case", "level"), WAYS, ids=str)
def test_runs_go_on_whatever_the_level_and_the_update(tmp_path, case, level, saved):
    compare(tmp_path, in_each_phase(case=case, level=level, saved=saved))


@pytest.mark.slow
def test_a_double_backup_outlives_a_kill_while_it_is_written(tmp_path):
    compare(tmp_path, {"torn": dict(case="adam", double=True, tear=[drawn(2, EPOCHS)[0], 100])})


def test_a_backup_inside_an_epoch_repeats_its_batches_and_says_so(tmp_path):
    """What Keras does; the level is met all the same."""
    x, y = data()
    options = dict(batch_size=8, epochs=4, verbose=0, shuffle=False)
    backup = keras.callbacks.BackupAndRestore(tmp_path, save_freq=2)
    with pytest.raises(KeyboardInterrupt):
        sparse_mlp().fit(x, y, callbacks=[backup, At(7, interrupt)], **options)
    again = sparse_mlp()
    with unittest.TestCase().assertLogs("absl", "WARNING") as logged:
        again.fit(x, y, callbacks=[keras.callbacks.BackupAndRestore(tmp_path, save_freq=2)], **options)
    assert "epoch 1 begins again with weights that have seen 2 batches of it" in logged.output[0]
    assert again.optimizer.iterations == 4 + 2 + 3 * 4
    assert live_counts(again.model, ("h1", "h2")) == {"h1": 4, "h2": 3}


def test_nothing_is_said_where_nothing_is_repeated(tmp_path):
    x, y = data()
    options = dict(batch_size=8, verbose=0)
    sparse, kept = sparse_mlp(), keras.callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    with unittest.TestCase().assertNoLogs("absl", "WARNING"):
        sparse.fit(x, y, epochs=3, callbacks=[kept], **options)
        sparse.fit(x, y, epochs=3, **options)
        sparse_mlp().fit(x, y, epochs=5, callbacks=[keras.callbacks.BackupAndRestore(tmp_path)], **options)


def test_files_without_random_state_load(tmp_path):
    """Written before there was any, or for a model without dropout."""
    sparse = sparse_mlp()
    store = {}
    sparse.save_own_variables(store)
    assert not any(key.startswith("seed") for key in store)
    dropped = resuming.sparse_model("adam", {}, resuming.HALF)
    seeds = [v.numpy() for v in dropped.variables if "seed" in v.path]
    dropped.load_own_variables({**store})
    assert [v.numpy().tolist() for v in dropped.variables if "seed" in v.path] == [s.tolist() for s in seeds]
