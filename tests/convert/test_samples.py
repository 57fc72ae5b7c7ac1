import weakref

import keras
import numpy as np
import pytest

import tf_wgsef
from tf_wgsef.convert._samples import SampleStream, collect_samples, random_samples
from tf_wgsef.convert._signature import InputSpec, unique_names
from tf_wgsef.errors import InputError

IMAGE = InputSpec("image", (2, 2, 1), "float32")
EXTRA = InputSpec("extra", (3,), "float32")
X = np.arange(40, dtype=np.float32).reshape(10, 2, 2, 1)
E = np.arange(30, dtype=np.float32).reshape(10, 3)
Y = np.arange(10)


def _dataset(*elements):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices(elements if len(elements) > 1 else elements[0])


class _Batches(keras.utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, index):
        return X[2 * index : 2 * index + 2], Y[2 * index : 2 * index + 2]


@pytest.mark.parametrize(
    "make",
    [
        lambda: X,
        lambda: X.astype(np.int64),
        lambda: {"image": X},
        lambda: (X, Y),
        lambda: (X, Y, np.ones(10)),
        lambda: [X],
        lambda: [X[:5], X[5:]],
        lambda: _dataset(X).batch(4),
        lambda: _dataset(X, Y).batch(4),
        lambda: _dataset({"image": X}, Y).batch(4),
        lambda: _Batches(),
        lambda: ([X[i : i + 1]] for i in range(10)),
        lambda: lambda: ([X[i : i + 1]] for i in range(10)),
        lambda: ((X[i : i + 1], Y[i : i + 1]) for i in range(10)),
    ],
)
def test_every_kind_of_data_gives_the_same_samples(make):
    samples = collect_samples(make(), [IMAGE], limit=256)
    assert list(samples) == ["image"]
    assert samples["image"].dtype == np.float32
    np.testing.assert_array_equal(samples["image"], X)


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"extra": E, "image": X},
        lambda: [X, E],
        lambda: (X, E),
        lambda: ((X, E), Y),
        lambda: ({"extra": E, "image": X}, Y),
        lambda: _dataset((X, E), Y).batch(4),
        lambda: _dataset({"extra": E, "image": X}).batch(4),
        lambda: ([X[i : i + 1], E[i : i + 1]] for i in range(10)),
    ],
)
def test_every_kind_of_data_for_two_inputs(make):
    samples = collect_samples(make(), [IMAGE, EXTRA], limit=256)
    np.testing.assert_array_equal(samples["image"], X)
    np.testing.assert_array_equal(samples["extra"], E)


def test_arrays_are_sampled_evenly_and_streams_from_the_start():
    np.testing.assert_array_equal(collect_samples(X, [IMAGE], limit=4)["image"], X[[0, 3, 6, 9]])
    stream = (X[i : i + 2] for i in range(0, 10, 2))
    np.testing.assert_array_equal(collect_samples(stream, [IMAGE], limit=3)["image"], X[:3])
    np.testing.assert_array_equal(next(stream), X[4:6])


BAD = X.copy()
BAD[3, 0, 0, 0] = np.nan


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            np.ones((4, 2, 2)),
            r"shape \(n, 2, 2, 1\) for input 'image'. Received: shape=\(4, 2, 2\)",
        ),
        (X[0], r"Received: shape=\(2, 2, 1\). A single sample needs a batch axis"),
        ([X[0]], r"Received: shape=\(2, 2, 1\). A single sample needs a batch axis"),
        (BAD, "Received: 1 values that are NaN or infinite"),
        (X + np.inf, "values that are NaN or infinite"),
        (X.astype(str), "Received: dtype=<U"),
        (X.astype(complex), "Received: dtype=complex128"),
        (X[:0], "at least one sample. Received: none"),
        ([], "at least one sample. Received: none"),
        (iter(()), "Received: none .a generator can be read once only"),
        ({"picture": X}, r"inputs \['image'\]. Received: keys=\['picture'\]"),
        (7, "Expected `calibration` to be data. Received: calibration=7"),
        ("train", "to be data. Received: calibration='train'"),
        ([np.ones((2, 5)), 3], r"Received: shape=\(2, 5\)"),
    ],
)
def test_data_that_does_not_fit_is_one_clear_line(data, message):
    with pytest.raises(InputError, match=message) as caught:
        collect_samples(data, [IMAGE], limit=256)
    assert "\n" not in str(caught.value)


def test_two_inputs_need_both_and_as_many_of_each():
    with pytest.raises(InputError, match="for 2 inputs, a dict by name"):
        collect_samples(X, [IMAGE, EXTRA], limit=8)
    with pytest.raises(InputError, match="as many samples for each input"):
        collect_samples({"image": X, "extra": E[:3]}, [IMAGE, EXTRA], limit=8)


def test_random_samples_fit_and_repeat():
    specs = [IMAGE, InputSpec("token", (6,), "int32")]
    first, second = random_samples(specs, 5), random_samples(specs, 5)
    assert first["image"].shape == (5, 2, 2, 1)
    assert set(np.unique(first["token"])) == {0, 1}
    assert first["token"].dtype == np.int32
    np.testing.assert_array_equal(first["image"], second["image"])


def test_integer_inputs_take_no_floats():
    with pytest.raises(InputError, match="fits int32.*Received: dtype=float32"):
        collect_samples(E, [InputSpec("token", (3,), "int32")], limit=8)


def test_unique_names():
    assert unique_names(["my input", "x", "x", "x"]) == ["my_input", "x", "x_1", "x_2"]


@pytest.mark.parametrize("size", [1, 3, 4, 7])
@pytest.mark.parametrize("kind", ["array", "stream"])
def test_a_stream_gives_every_sample_once_and_fills_the_last_batch_up(kind, size):
    data = X if kind == "array" else (X[i : i + 4] for i in range(0, 10, 4))
    stream = SampleStream(data, [IMAGE], limit=9, held=2)
    batches = [batch["image"] for batch in stream.batches(size)]
    assert {len(batch) for batch in batches} == {size}
    rows = np.linspace(0, 9, 9).round().astype(int) if kind == "array" else np.arange(9)
    seen = np.concatenate(batches)
    np.testing.assert_array_equal(seen[:9], X[rows])
    assert (seen[9:] == X[rows[-1]]).all()
    np.testing.assert_array_equal(stream.head["image"], X[[0, 9]] if kind == "array" else X[:2])


def test_a_stream_is_never_held():
    """Of batches that were passed on, none but the first and the current one are alive."""
    alive = []

    def data():
        for _ in range(50):
            batch = np.ones((4, 2, 2, 1), np.float32)
            alive.append(weakref.ref(batch))
            yield batch

    stream = SampleStream(data(), [IMAGE], limit=200, held=4)
    count = 0
    for _ in stream.batches(4):
        count += 1
        assert sum(ref() is not None for ref in alive) <= 4
    assert count == 50


def test_a_bad_sample_far_into_a_stream_is_refused():
    stream = SampleStream((batch for batch in (X, BAD)), [IMAGE], limit=20, held=4)
    with pytest.raises(InputError, match="1 values that are NaN"):
        list(stream.batches(5))


@pytest.mark.parametrize(("make", "told"), [(lambda x: x, (8, 300)), (lambda x: iter([x]), (8, None))])
def test_the_record_says_how_many_samples_were_read(make, told):
    """NaN in those that are not read goes unseen, so that is said."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    x = np.random.default_rng(0).normal(size=(300, 4)).astype("float32")
    x[100:110] = np.nan
    tflite = tf_wgsef.convert(model, quantization="int8", calibration=make(x), calibration_samples=8)
    assert tflite.record.calibrated_on == told
    of = " of 300" if told[1] else ""
    assert f"calibrated on 8{of} samples; no others were read" in tflite.report()
    x[0] = np.nan
    with pytest.raises(InputError, match="finite `calibration`"):
        tf_wgsef.convert(model, quantization="int8", calibration=make(x), calibration_samples=8)
    assert tf_wgsef.convert(model, calibration=x[200:]).record.calibrated_on is None
