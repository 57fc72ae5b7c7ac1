"""A run that is stopped, by its time or by a kill, ends bit for bit where it would have ended."""

import io
import json
import subprocess
import sys
import zlib

import keras
import numpy as np
import pytest
from rich.console import Console

import tf_wgsef
from tests.workflows.compare.test_compare import images
from tf_wgsef.errors import InputError
from tf_wgsef.workflows.compare import RECIPES, Recipe, Settings, _execute, _run_all, _run_state, _sweep

QUICK = dict(recipe="tiny", seeds=[0], levels=[0.5], epochs=5, ramp=0.5, latency=False)


def network():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(8, 3, name="conv"),
            keras.layers.BatchNormalization(name="bn"),
            keras.layers.ReLU(name="relu"),
            keras.layers.Conv2D(8, 3, activation="relu", name="conv2"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dropout(0.3, name="dropout"),
            keras.layers.Dense(3, name="logits"),
        ]
    )


class Over(_run_state.Deadline):
    """The time is over at every question."""

    def leaves(self, seconds):
        return False


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    recipe = Recipe(network, images, 5, 32, learning_rate=0.02, weight_decay=1e-4, augment=True)
    monkeypatch.setitem(RECIPES, "tiny", recipe)

    def weights_of(model, latency):
        weights = b"".join(keras.ops.convert_to_numpy(one).tobytes() for one in model.weights)
        return {"file_bytes": zlib.crc32(weights), "latency_us": None}

    monkeypatch.setattr(_execute, "file_figures", weights_of)


def run_of(method):
    settings = Settings(**QUICK, methods=[method], restart=method != "wgsef")  # each way of the rate once
    return next(run for run in settings.runs() if run.method == method)


def figures(row):
    return {name: value for name, value in row.items() if name not in ("seconds", "date")}


def execute(run, folder, deadline=None, every=100):
    state = _run_state.RunState(folder, run, "images", every=every, deadline=deadline)
    return _execute.execute(run, images(), network, state=state)


# prox_sgd: an optimizer of its own; incremental: a callback; both save and load through other code.
METHODS = ["wgsef", "sparse_connections_incremental", pytest.param("prox_sgd", marks=pytest.mark.slow)]


@pytest.mark.parametrize("method", METHODS)
def test_a_run_that_is_stopped_between_all_its_epochs_ends_as_if_it_was_not(tmp_path, method):
    run, stops = run_of(method), []
    for _ in range(10):
        try:
            row = execute(run, tmp_path, Over())
            break
        except _run_state.OutOfTime:
            (note,) = tmp_path.glob("*/state.json")
            stops.append(json.loads(note.read_text())["epoch"])
            assert len(list(note.parent.iterdir())) == 2
    # Two epochs before the cut, and at once the cut; then between the three after it.
    assert run.first == 2 and stops == [1, 2, 3, 4]
    assert figures(row) == figures(execute(run, None))


def test_a_kill_costs_the_epochs_since_the_state_was_kept(tmp_path, monkeypatch):
    run, begun = run_of("magnitude"), []
    real = _run_state.RunState.begin_epoch

    def begin_epoch(self):
        begun.append(self.epoch)
        if len(begun) == 5:
            raise KeyboardInterrupt
        real(self)

    monkeypatch.setattr(_run_state.RunState, "begin_epoch", begin_epoch)
    with pytest.raises(KeyboardInterrupt):
        execute(run, tmp_path, every=3)
    row = execute(run, tmp_path, every=3)
    assert len(begun) == 5 + 2  # epochs 3 and 4 of 0 to 4
    assert figures(row) == figures(execute(run, None))


@pytest.fixture
def stopped(tmp_path):
    """A run that was stopped after its first epoch: (run, the folder of its state)."""
    run = run_of("magnitude")
    with pytest.raises(_run_state.OutOfTime):
        execute(run, tmp_path, Over())
    return run, next(tmp_path.glob("*/state.json")).parent


def damaged(change):
    def damage(folder):
        note = json.loads((folder / "state.json").read_text())
        (folder / "state.json").write_text(json.dumps({**note, **change}))

    return damage


def other_optimizer(folder):
    model = network()
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    model.save_weights(folder / "1.weights.h5")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "state.json").write_text('{"epoch": 1'), "is damaged"),
        (lambda folder: (folder / "state.json").write_text("[" * 10_000), "is damaged"),
        (lambda folder: (folder / "1.weights.h5").write_bytes(b"\x89HDF"), "cannot be used (1.weights.h5"),
        (other_optimizer, "another optimizer's"),
        (lambda folder: (folder / "1.weights.h5").unlink(), "its file is missing"),
        (damaged({"file": "../../1.weights.h5"}), "its file is missing"),
        (damaged({"epoch": "1"}), "its file is missing"),
        (damaged({"epoch": 10**6}), "its file is missing"),
        (damaged({"found": {"accuracy_before_cut": "high"}}), "no number"),
        (damaged({"found": 5}), "is damaged"),
        (damaged({"of": {}}), "another run's"),
        (damaged({"seeds": [[1, 2, 3]]}), "random state"),
        (damaged({"seeds": [["a", None]]}), "cannot be used"),
        (damaged({"seeds": 5}), "is damaged"),
    ],
)  # fmt: skip
def test_a_damaged_state_is_warned_of_and_the_run_begins_anew(stopped, damage, message, caplog, monkeypatch):
    run, folder = stopped
    damage(folder)
    fitted = []

    def trained(run, data, build, advance, state):  # loading is what is tested; nothing trains
        model = build()
        rate = keras.optimizers.schedules.CosineDecay(0.1, 9)
        model.compile(keras.optimizers.SGD(rate, momentum=0.9), "mse")
        if state.epoch:
            state.restore(model)
        fitted.append(state.epoch)
        return model

    monkeypatch.setattr(_execute, "_trained", trained)
    execute(run, folder.parent)
    assert fitted == [0] and message in caplog.text


def test_the_time_limit_stops_cleanly_and_the_same_call_goes_on(tmp_path, monkeypatch):
    settings, said = {**QUICK, "methods": ["magnitude"], "epochs": 3}, io.StringIO()
    console = Console(file=said, width=200)
    monkeypatch.setattr(_sweep, "Deadline", lambda minutes: Over())
    stopped = tf_wgsef.compare_methods(settings, output=tmp_path, minutes=1, console=console)
    assert (stopped.runs, stopped.missing) == ([], 2) and not (tmp_path / "compare.md").exists()
    assert (
        "The time is over after 0 of 2 runs. The same command goes on at nothing removed" in said.getvalue()
    )
    monkeypatch.setattr(_sweep, "Deadline", _run_state.Deadline)
    rest = tf_wgsef.compare_methods(settings, output=tmp_path, console=console)
    assert [run["method"] for run in rest.runs] == ["dense", "magnitude"] and rest.missing == 0
    assert not any((tmp_path / "unfinished").iterdir())


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), "9", True])
def test_minutes_that_are_none(minutes, tmp_path):
    with pytest.raises(InputError, match="`minutes` to be a number above 0"):
        tf_wgsef.compare_methods(QUICK, output=tmp_path, minutes=minutes)
    with pytest.raises(InputError, match="`save_every` to be a whole number"):
        tf_wgsef.compare_methods(QUICK, output=tmp_path, save_every=0)


def test_the_deadline_leaves_room_for_another_epoch_or_not():
    assert _run_state.Deadline().leaves(10**9)
    assert _run_state.Deadline(1).leaves(30) and not _run_state.Deadline(1).leaves(61)
    assert np.isfinite(_run_state.Deadline(1e-9)._end) and not _run_state.Deadline(1e-9).leaves(0)


CLAIM = (
    "import filelock, sys; lock = filelock.FileLock(sys.argv[1]); lock.acquire(); print(flush=True); input()"
)


def test_what_another_process_makes_is_left_to_it(tmp_path):
    run = run_of("magnitude")
    settings = {**QUICK, "methods": ["magnitude"]}
    file = tmp_path / "unfinished" / f"{_run_state.state_name(run, 'noise in three shades')}.lock"
    file.parent.mkdir()
    said = Console(file=io.StringIO(), width=200)
    with subprocess.Popen(
        [sys.executable, "-c", CLAIM, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()  # it holds the claim
        found = tf_wgsef.compare_methods(settings, output=tmp_path, console=said)
        other.kill()
    assert [one["method"] for one in found.runs] == ["dense"] and (found.missing, found.failed) == (1, 0)
    assert "Left to other processes in this folder: 1 of 2 runs." in said.file.getvalue()
    # A process that was killed holds no claim.
    assert tf_wgsef.compare_methods(settings, output=tmp_path).missing == 0
    assert not any((tmp_path / "unfinished").iterdir())


def test_what_another_process_has_made_meanwhile_is_not_made_again(tmp_path, monkeypatch):
    settings = {**QUICK, "methods": ["magnitude"]}
    real, made = _run_all.execute, []

    def execute_both(run, **arguments):
        """While this process makes the first run, another one makes the second."""
        made.append(run)
        if len(made) == 1:
            tf_wgsef.compare_methods(settings, output=tmp_path)
        return real(run, **arguments)

    monkeypatch.setattr(_run_all, "execute", execute_both)
    found = tf_wgsef.compare_methods(settings, output=tmp_path)
    assert [run.method for run in made] == ["dense", "magnitude"] and found.missing == 0
