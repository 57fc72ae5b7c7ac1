"""Whatever data, epochs and callbacks fit is given, the level holds when it returns."""

import unittest

import keras
import numpy as np
import pytest
import tensorflow as tf

import tf_wgsef
from tests.training.toys import At, EachEpoch, data, interrupt, live_counts, sparse_mlp

callbacks = keras.callbacks


def batches():
    x, y = data()
    for start in range(0, 32, 8):
        yield x[start : start + 8], y[start : start + 8]


def forever():
    while True:
        yield from batches()


def unknown_length():
    shapes = (tf.TensorSpec((None, 4)), tf.TensorSpec((None, 2)))
    return tf.data.Dataset.from_generator(batches, output_signature=shapes)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return list(batches())[index]


DATA = {
    "tf.data": lambda: dict(x=tf.data.Dataset.from_tensor_slices(tuple(data())).batch(8)),
    "unknown_length": lambda: dict(x=unknown_length()),
    "infinite": lambda: dict(x=forever(), steps_per_epoch=4),
    "PyDataset": lambda: dict(x=Batches()),
    "one_pass_generator": lambda: dict(x=batches(), epochs=1),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", DATA)
def test_the_level_is_met_with_any_kind_of_data(name):
    sparse = sparse_mlp()
    sparse.fit(**{"epochs": 4, "verbose": 0, **DATA[name]()})
    assert live_counts(sparse.model, ("h1", "h2")) == {"h1": 4, "h2": 3}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_ramp_climbs_inside_the_epochs_of_a_generator_of_unknown_length():
    steps = []
    sparse = sparse_mlp(keras.optimizers.SGD(0.01))
    probe = callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: steps.append(float(sparse._state.read().progress))
    )
    sparse.fit(unknown_length(), epochs=4, verbose=0, callbacks=[probe])
    # Nothing is known in the first epoch; then 4 batches, in a ramp of two epochs.
    np.testing.assert_allclose(steps[:8], [0, 0, 0, 0, 0.625, 0.75, 0.875, 1])


def fit(sparse, epochs=4, **options):
    x, y = data()
    return sparse.fit(x, y, batch_size=8, epochs=epochs, verbose=0, **options)


def frozen_by_epoch(sparse, *arguments, **options):
    seen = EachEpoch(lambda model: model.frozen)
    fit(sparse, *arguments, callbacks=[seen], **options)
    return seen.found


@pytest.mark.parametrize(
    ("ramp", "epochs", "ramp_epochs"),
    [(0.5, 2, 1), (0.5, 3, 2), (0.5, 8, 4), (0.2, 5, 1), (0.01, 3, 1), (0.99, 4, 3)],
)
def test_the_ramp_takes_its_share_and_leaves_an_epoch(ramp, epochs, ramp_epochs):
    found = frozen_by_epoch(sparse_mlp(ramp=ramp), epochs)
    assert found == [epoch >= ramp_epochs for epoch in range(epochs)]


def test_groups_go_no_later_in_a_ramp_that_is_longer_than_half_of_training():
    """The budget falls over two fifths of the epochs in both, while the learning rate of a schedule lasts."""
    found = {}
    for ramp in (0.5, 0.8):
        keras.utils.set_random_seed(0)
        seen = EachEpoch(lambda sparse: sparse.model.get_weights())
        fit(sparse_mlp(keras.optimizers.SGD(0.05), ramp=ramp), 10, callbacks=[seen])
        found[ramp] = seen.found
    for one, other in zip(found[0.5][3], found[0.8][3], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_the_ramp_starts_where_fit_starts():
    """A model trained dense for 6 epochs: the ramp runs over half of the other 4, it does not jump."""
    assert frozen_by_epoch(sparse_mlp(), 10, initial_epoch=6) == [False, False, True, True]


def test_an_interrupted_ramp_is_taken_up_where_it_stopped_or_begun_again():
    sparse = sparse_mlp()
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fit(sparse, 8, callbacks=[At(13, interrupt)])
        assert not sparse.frozen  # begun again, it is in epoch 3 of 4 once more
    assert frozen_by_epoch(sparse, 6, initial_epoch=3) == [True] * 3


def test_backup_and_restore_goes_on_in_the_ramp(tmp_path):
    sparse = sparse_mlp()
    with pytest.raises(KeyboardInterrupt):
        fit(sparse, 8, callbacks=[callbacks.BackupAndRestore(tmp_path), At(13, interrupt)])
    again, seen = sparse_mlp(), EachEpoch(lambda model: model.frozen)
    fit(again, 8, callbacks=[callbacks.BackupAndRestore(tmp_path), seen])
    assert seen.found == [False, True, True, True, True]
    assert live_counts(again.model, ("h1", "h2")) == {"h1": 4, "h2": 3}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_one_epoch_meets_the_level_by_a_cut_and_says_so():
    """Of an epoch of unknown length: the penalty cannot tighten within it."""
    sparse = sparse_mlp()
    with unittest.TestCase().assertLogs("absl", "WARNING") as logged:
        sparse.fit(unknown_length(), epochs=1, verbose=0)
    assert "reached by a cut at the very end" in logged.output[0]
    assert live_counts(sparse.model, ("h1", "h2")) == {"h1": 4, "h2": 3}


def test_several_epochs_meet_the_level_without_a_warning():
    with unittest.TestCase().assertNoLogs("absl", "WARNING"):
        fit(sparse_mlp(), 2)


@pytest.mark.parametrize("arguments", [dict(epochs=0), dict(epochs=3, initial_epoch=3)])
def test_no_epoch_no_cut(arguments):
    sparse = sparse_mlp()
    before = sparse.model.get_weights()
    fit(sparse, **arguments)
    for now, weight in zip(sparse.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, weight)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_early_stopping_that_restores_weights_of_the_ramp(mode):
    """In mode max the first epoch is the best: its weights, with all groups alive, come back at the end."""
    stop = callbacks.EarlyStopping("loss", patience=2, mode=mode, restore_best_weights=True)
    sparse = sparse_mlp()
    history = fit(sparse, 12, callbacks=[stop])
    assert mode == "min" or len(history.history["loss"]) < 12
    assert live_counts(sparse.model, ("h1", "h2")) == {"h1": 4, "h2": 3}


def test_checkpoints_of_the_last_epoch_are_at_the_level(tmp_path):
    path = tmp_path / "best.keras"
    x, y = data()
    sparse = sparse_mlp()
    fit(sparse, validation_data=(x, y), callbacks=[callbacks.ModelCheckpoint(path)])
    loaded = keras.models.load_model(path)
    assert live_counts(loaded.model, ("h1", "h2")) == {"h1": 4, "h2": 3}
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), sparse.predict(x, verbose=0))


@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_averaged_weights_keep_the_zeros(swap_on_epoch):
    sparse = sparse_mlp(keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9))
    x, y = data()
    swap = callbacks.SwapEMAWeights(swap_on_epoch)
    fit(sparse, validation_data=(x, y), callbacks=[swap])
    assert live_counts(sparse.model, ("h1", "h2")) == {"h1": 4, "h2": 3}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda one: one,
        lambda one: [one],
        lambda one: (one,),
        lambda one: [[one]],
        lambda one: callbacks.CallbackList([one]),
    ],
    ids=["single", "list", "tuple", "nested", "CallbackList"],
)
def test_callbacks_in_any_form_of_keras_run_once_an_epoch(wrap):
    seen = EachEpoch(lambda model: None)
    sparse = sparse_mlp()
    fit(sparse, 2, callbacks=wrap(seen))
    assert len(seen.found) == 2
    assert live_counts(sparse.model, ("h1", "h2")) == {"h1": 4, "h2": 3}


def test_the_callers_list_of_callbacks_is_left_as_it_is():
    mine = [EachEpoch(lambda model: None)]
    fit(sparse_mlp(), 1, callbacks=mine)
    assert len(mine) == 1


def test_unfrozen_groups_outside_the_level_are_left_alone():
    sparse = sparse_mlp(k={"h1": 2})
    fit(sparse)
    assert live_counts(sparse.model, ("h1", "h2")) == {"h1": 2, "h2": 6}
    assert tf_wgsef.build_groups(sparse.model).num_groups == 14


@pytest.mark.parametrize(("start", "warned"), [(0, True), (2, False)])
def test_early_stopping_inside_the_ramp_is_warned_of(start, warned, caplog):
    sparse = sparse_mlp()
    stop = keras.callbacks.EarlyStopping("loss", patience=9, start_from_epoch=start)
    x, y = data()
    with caplog.at_level("WARNING", logger="absl"):
        sparse.fit(x, y, epochs=4, verbose=0, callbacks=[stop])
    assert ("start_from_epoch=2" in caplog.text) == warned
