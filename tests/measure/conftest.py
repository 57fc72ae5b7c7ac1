import contextlib
import io
import itertools

import pytest

from .boards import board_in_a_box


@pytest.fixture(scope="session")
def tiny_tflite():
    """The bytes of a .tflite file of a few hundred weights, with a dynamic batch."""
    import keras
    import tensorflow as tf

    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(2, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    with contextlib.redirect_stdout(io.StringIO()):  # the converter lists every variable there
        return tf.lite.TFLiteConverter.from_keras_model(model).convert()


class FakeClock:
    """A clock in nanoseconds that moves only when something is run."""

    def __init__(self):
        self.now = 0

    def __call__(self):
        return self.now


class FakeFile:
    """Loads and runs in given times, in microseconds, and keeps a log of both."""

    def __init__(self, name, clock, log, *, durations, load=0.0):
        self.name, self._clock, self._log = name, clock, log
        self._durations = itertools.cycle(durations)
        self._load = load

    def __call__(self):
        self._log.append(("load", self.name))
        self._clock.now += int(self._load * 1e3)
        return self

    def invoke(self):
        self._log.append(("run", self.name))
        self._clock.now += int(next(self._durations) * 1e3)


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def fake_file(clock):
    """Makes a ``FakeFile`` on the test's clock; all of them share ``fake_file.log``."""

    def make(name, durations, **options):
        return FakeFile(name, clock, make.log, durations=durations, **options)

    make.log = []
    return make


@pytest.fixture(scope="session")
def native_board(tmp_path_factory):
    """An sshd of our own on loopback, with this machine's Python."""
    with board_in_a_box(tmp_path_factory.mktemp("native"), "--native") as board:
        yield board


@pytest.fixture(scope="session")
def arm_board(tmp_path_factory):
    """An emulated 64-bit ARM board behind an sshd of our own."""
    with board_in_a_box(tmp_path_factory.mktemp("arm")) as board:
        yield board


@pytest.fixture
def tiny_path(tiny_tflite, tmp_path):
    path = tmp_path / "tiny.tflite"
    path.write_bytes(tiny_tflite)
    return path
