import keras
import numpy as np
import pytest

from tf_wgsef.convert._signature import InputSpec
from tf_wgsef.convert.aware._loss import choose_loss
from tf_wgsef.convert.aware._training_data import TrainingData
from tf_wgsef.errors import InputError

SPECS = [InputSpec("x", (3,), "float32")]
OUTPUTS = [("y", (4,), "linear")]
ONE_SCORE = [("y", (1,), "sigmoid")]
X = np.arange(30, dtype="float32").reshape(10, 3)
Y = np.arange(10) % 4
PAIRS = [(X[start : start + 4], Y[start : start + 4]) for start in range(0, 10, 4)]


class _Batches(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return PAIRS[index]


def _tf_data():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)


def _data(x, y=None, *, loss=None, epochs=2, outputs=OUTPUTS):
    return TrainingData(x, y, SPECS, outputs, loss=loss, batch_size=4, epochs=epochs, seed=0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: (X, Y),
        lambda: ({"x": X}, Y[:, None]),
        lambda: ([X], [Y]),
        lambda: (X.astype("float64"), {"y": Y}),
        lambda: (X.astype(int), np.eye(4)[Y]),
        lambda: (_tf_data(), None),
        lambda: (_Batches(), None),
        lambda: (PAIRS, None),
        lambda: (lambda: iter(PAIRS), None),
    ],
)
def test_every_kind_of_data_gives_every_sample_in_every_epoch(make):
    data = _data(*make())
    for _ in range(2):
        batches = list(data.epoch())
        assert [len(y[0]) for _, y, _ in batches] == [4, 4, 2]
        x = np.concatenate([x[0] for x, _, _ in batches])
        y = np.concatenate([y[0] for _, y, _ in batches])
        order = np.argsort(x[:, 0])
        np.testing.assert_array_equal(x[order], X)
        np.testing.assert_array_equal((y if y.ndim == 1 else y.argmax(axis=1))[order], Y)


def test_arrays_are_shuffled_anew_and_the_same_way_each_time():
    first, second = _data(X, Y), _data(X, Y)
    orders = [[tuple(y[0]) for _, y, _ in data.epoch()] for data in (first, first, second, second)]
    assert orders[0] == orders[2] != orders[1] == orders[3]


def test_the_loss_looks_at_all_targets_that_are_there():
    counts = np.array([0, 1, 0, 1, 1, 0, 0, 1, 1, 7])
    for seed in range(3):
        data = TrainingData(X, counts, SPECS, ONE_SCORE, loss=None, batch_size=2, epochs=1, seed=seed)
        assert data.losses[0]["kind"] == "squared_error"


def test_sample_weights_are_passed_on():
    x, y, weights = next(_data([(X, Y, np.ones(10))]).epoch())
    assert [array.shape for array in (*x, *y, *weights)] == [(10, 3), (10,), (10,)]


@pytest.mark.parametrize(
    ("targets", "shape", "activation", "loss", "expected"),
    [
        (Y, (4,), "linear", None, ("sparse_crossentropy", True)),
        (Y[:, None], (4,), "softmax", None, ("sparse_crossentropy", False)),
        (np.eye(4)[Y], (4,), "linear", None, ("crossentropy", True)),
        (np.eye(4)[Y] * 0.9 + 0.025, (4,), "softmax", "crossentropy", ("crossentropy", False)),
        (np.eye(4)[Y] * 0.9, (4,), "linear", None, ("squared_error", False)),
        (Y % 2, (1,), "sigmoid", None, ("binary_crossentropy", False)),
        (Y % 2, (1,), "linear", None, ("binary_crossentropy", True)),
        (Y / 3.0, (1,), "linear", None, ("squared_error", False)),
        (Y / 3.0, (1,), "sigmoid", None, ("squared_error", False)),
        (Y % 2.0, (1,), "linear", None, ("squared_error", False)),
        (Y % 2.0, (1,), "sigmoid", None, ("binary_crossentropy", False)),
        (Y % 2.0, (), "sigmoid", None, ("squared_error", False)),
        (Y, (1,), "linear", "mean_absolute_error", ("absolute_error", False)),
        (np.ones((10, 5, 5), int), (5, 5, 4), "linear", None, ("sparse_crossentropy", True)),
    ],
)
def test_the_loss_is_told_from_targets_and_outputs(targets, shape, activation, loss, expected):
    found = choose_loss(loss, targets, shape, activation)
    assert (found["kind"], found["from_logits"]) == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: _data(X, Y / 2.0, loss="crossentropy", outputs=ONE_SCORE),
            "from 0 to 1 for cross-entropy.*1.5. Pass loss=",
        ),
        (lambda: _data(X, Y[:9]), r"as many samples in `x` as in `y`.*Received: \[9, 10\]"),
        (lambda: _data(X, Y + 1), "classes from 0 to 3 in `y`. Received: values from"),
        (lambda: _data(X, np.full((10, 4), np.nan)), "finite numbers. Received: dtype=float64 with NaN"),
        (lambda: _data(X, np.ones((10, 7))), r"fits an output of shape \('n', 4\)"),
        (lambda: _data(X[:, :2], Y), r"Expected `x` of shape \(n, 3\)"),
        (lambda: _data(np.full_like(X, np.inf), Y), "finite `x` for input 'x'"),
        (lambda: _data(X), "Expected targets.*Received: y=None with arrays"),
        (lambda: _data([X, X]), "batches .x, y.*Received: a batch of another form"),
        (lambda: _data(_tf_data().repeat()), "data that end. Received: a data set that repeats"),
        (lambda: _data([]), "training data. Received: no batch"),
        (lambda: _data(iter(PAIRS)), "read 2 times. Received: an iterator"),
        (lambda: _data(X, Y, loss="hinge"), "None or one of 'crossentropy'.*Received: loss='hinge'"),
        (lambda: _data(X, {"z": Y}), r"outputs \['y'\].*Received: \['z'\]"),
    ],
)
def test_data_that_do_not_fit_are_one_clear_line(make, message):
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)
