import numpy as np
import pytest

import tf_wgsef
from tests.convert.conftest import MODES
from tf_wgsef.convert import Parity, accuracy, parity, predict
from tf_wgsef.convert._runtime import share_right
from tf_wgsef.errors import InputError


@pytest.mark.parametrize("quantization", MODES)
def test_trained_model_keeps_its_accuracy(digits, quantization):
    model, (x, y), (x_test, y_test) = digits
    baseline = np.mean(model.predict(x_test, verbose=0).argmax(axis=1) == y_test)
    assert baseline > 0.85, "chance is 0.1: without a trained model the rest says nothing"
    tflite = tf_wgsef.convert(model, quantization=quantization, calibration=(x, y))
    # 597 samples: 0.02 are 12 of them; seen: at most 3.
    assert accuracy(tflite, x_test, y_test) >= baseline - 0.02
    assert parity(model, tflite, x_test, samples=200).top1_agreement >= 0.97


def test_predict_takes_paths_labels_and_one_hot(digits, tmp_path):
    model, _, (x, y) = digits
    path = tmp_path / "model.tflite"
    path.write_bytes(tf_wgsef.convert(model))
    scores = predict(path, x[:7], threads=2)
    assert scores.shape == (7, 10)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, model.predict(x[:7], verbose=0), atol=1e-5)
    plain = accuracy(str(path), x, y)
    assert accuracy(path, x, np.eye(10)[y]) == plain
    assert accuracy(path, x, y[:, None]) == plain


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "which is empty"),
        (b"PK\x03\x04 a zip file", "bytes 4 to 8 are"),
        (b"\x1c\0\0\0TFL3" + bytes(100), "that it refuses"),
        ("no/such.tflite", "cannot be read"),
        (42, "a value of type int"),
    ],
)
def test_what_is_no_tflite_is_refused(data, message):
    with pytest.raises(InputError, match=message) as caught:
        predict(data, np.ones((1, 4)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (
            np.ones((2, 8, 8)),
            r"shape \(n, 8, 8, 1\) for input 'image'. Received: shape=\(2, 8, 8\)",
        ),
        (np.ones((8, 8, 1)), r"Received: shape=\(8, 8, 1\). A single sample needs a batch axis"),
        (np.ones((0, 8, 8, 1)), "at least 1"),
        (np.full((1, 8, 8, 1), np.nan), "Received: 64 values that are NaN"),
        (np.full((1, 8, 8, 1), "a"), "Received: dtype=<U1"),
        ({"picture": np.ones((1, 8, 8, 1))}, r"inputs \['image'\]. Received: keys=\['picture'\]"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(digits, x, message):
    with pytest.raises(InputError, match=message):
        predict(tf_wgsef.convert(digits[0]), x)


def test_several_inputs_go_by_name_only(converted):
    _, data, tflite = converted("two_in_two_out", "none")
    with pytest.raises(InputError, match=r"dict of arrays with the inputs \['extra', 'image'\]"):
        predict(tflite, list(data.values()))
    with pytest.raises(InputError, match="as many samples for each input"):
        predict(tflite, {**data, "extra": data["extra"][:3]})
    with pytest.raises(InputError, match="one output of class scores.*several outputs"):
        accuracy(tflite, data, np.zeros(40))


def test_accuracy_needs_a_class_per_sample(digits):
    model, _, (x, y) = digits
    with pytest.raises(InputError, match=r"each of the 20 samples. Received: shape=\(10,\)"):
        accuracy(tf_wgsef.convert(model), x[:20], y[:10])


@pytest.mark.parametrize("wrong", [10, -1, 0.5, np.nan, np.inf, "a", None])
def test_labels_that_the_file_cannot_give_are_refused(wrong):
    scores = np.eye(10)
    labels = list(range(10))
    assert share_right(scores, labels) == 1
    labels[7] = wrong
    where = 0 if isinstance(wrong, str | None) else 7  # one text makes texts of them all
    with pytest.raises(InputError, match=rf"whole numbers from 0 to 9.* at {where}. Number"):
        share_right(scores, labels)


def test_accuracy_refuses_labels_from_1(digits):
    model, _, (x, y) = digits
    with pytest.raises(InputError, match="from 0 to 9"):
        accuracy(tf_wgsef.convert(model), x, y + 1)


def test_parity_refuses_the_file_of_another_model(converted, digits):
    _, _, tflite = converted("sequential", "none")
    with pytest.raises(InputError, match="Expected a file of this model"):
        parity(digits[0], tflite)


def test_parity_reads_as_a_sentence():
    assert str(Parity("scores", 16, 0.25, 0.1, 2.0, 0.125, 1.0)) == (
        "output 'scores': max difference 0.25, 0.125 of the output range, top-1 agreement 100.0% (16 samples)"
    )
