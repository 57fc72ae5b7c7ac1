"""The protocol, the time limit and the ends of the other process, with stand-ins that start at once."""

import json
import os
import sys
import time

import pytest

from tf_wgsef.convert.aware import _process
from tf_wgsef.convert.aware._environment import environment
from tf_wgsef.errors import ConversionError, InputError


@pytest.fixture
def start(monkeypatch, tmp_path):
    """``start(code, time_limit=…)``: the process as a context manager, with ``code`` in place of Keras 2."""

    def make(code, *, time_limit=30.0, progress=None):
        monkeypatch.setattr(_process, "command", lambda: [sys.executable, "-c", code])
        limits = {"epochs": 2, "batches": 1, "time_limit": time_limit, "progress": progress}
        return _process.Keras2Process(tmp_path, "toy", **limits)

    return make


def _says(**event):
    return f"print({json.dumps(json.dumps(event))}, flush=True)\n"


@pytest.mark.parametrize(
    ("code", "error", "message"),
    [
        (
            _says(
                event="refused", what="quantized", problems=[["Dot", "a", "no form"], ["ELU", "b", "none"]]
            ),
            ConversionError,
            "can be quantized. Received: model='toy' with Dot 'a': no form; ELU 'b': none. Replace",
        ),
        (_says(event="missing", module="tf_keras"), InputError, "no module named 'tf_keras'.*pip install"),
        (
            _says(event="stage", stage="train") + _says(event="failed", reason="ValueError: no"),
            ConversionError,
            "fails at the step 'train': ValueError: no",
        ),
        (
            "import sys; sys.exit('the \\033[31mend')",
            ConversionError,
            "exit status 1 at the step 'start'.*the .31mend",
        ),
        ("import os; os.kill(os.getpid(), 9)", ConversionError, "exit status -9.*last words: nothing"),
    ],
)
def test_what_goes_wrong_there_is_one_line_here(start, code, error, message):
    with pytest.raises(error, match=message) as caught, start(code) as process:
        process.wait_until("ready")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("reads", [False, True])
def test_a_process_that_stands_still_is_ended(start, reads):
    code = _says(event="stage", stage="quantize") + _says(event="ready") + "import time; time.sleep(600)"
    begin = time.monotonic()
    with (
        pytest.raises(ConversionError, match="sign of life.*every 1 s.*none at the step 'quantize'"),
        start(code, time_limit=1.0) as process,
    ):
        process.wait_until("ready")
        if reads:
            process.wait_until("done")
        for _ in range(100):  # more than a pipe holds
            process.send(([b"x" * 100_000], [], []))
    assert time.monotonic() - begin < 60
    assert process._process.returncode == -9


def test_time_that_we_take_ourselves_does_not_count(start):
    code = _says(event="ready") + "import sys; sys.stdin.buffer.read(1)\n" + _says(event="done")
    with start(code, time_limit=2.0) as process:
        process.wait_until("ready")
        with process.waiting_for_us():
            time.sleep(2.5)
        process.send(None)
        process.wait_until("done")


def test_progress_and_figures_arrive_and_noise_does_not_disturb(start):
    code = (
        "print('a greeting of some package')\n"
        + _says(event="bridged", difference=0.25)
        + _says(event="stage", stage="train")
        + _says(event="step", epoch=0, batch=1, loss=2.0, accuracy=0.5)
        + _says(event="epoch", epoch=0, batch=2, loss=1.0, accuracy=0.75)
        + _says(event="done")
    )
    seen = []
    with start(code, progress=seen.append) as process:
        process.wait_until("done")
    assert process.found == {"difference": 0.25}
    assert process.history == [{"loss": 1.0, "accuracy": 0.75}]
    assert [(one.stage, one.epoch, one.loss, one.share) for one in seen] == [
        ("train", 0, None, 0.0),
        ("train", 1, 2.0, 0.5),
        ("train", 1, 1.0, 0.5),
    ]


def test_an_exception_of_the_caller_leaves_no_process(start):
    with pytest.raises(KeyboardInterrupt), start("import time; time.sleep(600)") as process:
        raise KeyboardInterrupt
    with pytest.raises(ProcessLookupError):
        os.kill(process._process.pid, 0)


def test_the_caller_chooses_no_keras_for_the_other_process(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "0")
    monkeypatch.setenv("KERAS_HOME", "elsewhere")
    found = environment(tmp_path)
    assert "KERAS_BACKEND" not in found
    assert found["TF_USE_LEGACY_KERAS"] == "1"
    assert found["KERAS_HOME"].startswith(str(tmp_path))
    assert os.environ["KERAS_BACKEND"] == "jax"
