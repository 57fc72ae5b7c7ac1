"""Measuring over ssh: a private sshd on loopback, first with this machine's Python, then with an ARM one."""

import json
import shutil
import socket

import keras
import numpy as np
import pytest

import tf_wgsef
from tf_wgsef.cli._main import parse, run
from tf_wgsef.errors import MeasurementError
from tf_wgsef.measure import LatencyStats, SSHTarget, compare_latency, measure
from tf_wgsef.measure._machine import looks_emulated
from tf_wgsef.measure._runner_zip import runner_zip
from tf_wgsef.measure._ssh_shell import _OPTIONS, SSHAddress, SSHShell

from .boards import SHORT


def target(board, **options):
    return SSHTarget(board.target, ssh_config=board.config, **options)


def test_a_board_measures_what_the_plan_says(native_board, tiny_path, tiny_tflite):
    shares = []
    stats = measure(tiny_path, target=target(native_board), progress=shares.append, **SHORT)
    here = measure(tiny_tflite, **SHORT)
    assert (stats.target, stats.name, stats.sha256) == ("ssh://board", "tiny.tflite", here.sha256)
    assert (stats.runtime, stats.delegate, stats.machine) == (here.runtime, here.delegate, here.machine)
    assert stats.runs == stats.samples.size >= 16
    assert len(stats.round_medians) == 8
    assert 0 < stats.min <= stats.p50 <= stats.p99 <= stats.max
    assert stats.load > 0 and stats.first_invoke > 0
    assert shares == [n / 8 for n in range(1, 9)]
    assert LatencyStats.from_dict(json.loads(json.dumps(stats.to_dict()))) == stats
    assert "emulated" not in str(stats)
    assert native_board.left(0) == []


def test_two_files_take_turns_on_the_board(native_board, tiny_tflite):
    both = compare_latency(tiny_tflite, tiny_tflite, target=target(native_board), threads=2, **SHORT)
    assert both.a.session == both.b.session
    assert both.a.threads == 2
    assert both.low <= both.ratio <= both.high


def test_keep_leaves_the_files_and_says_where(native_board, tiny_tflite):
    device = target(native_board, keep=True)
    measure(tiny_tflite, target=device, **SHORT)
    (folder,) = (native_board.folder / "tmp").iterdir()
    try:
        assert device.kept_folder == str(folder)
        assert (folder / "0.tflite").read_bytes() == tiny_tflite
        assert (folder / "runner.zip").read_bytes() == runner_zip()
        assert folder.stat().st_mode & 0o777 == 0o700
    finally:
        shutil.rmtree(folder)


def test_a_greeting_between_the_lines_does_no_harm(native_board, tiny_tflite):
    greeting = "echo Welcome; echo 'tf_wgsef is cool'; echo tf_wgsef folder /etc"
    device = target(native_board)
    with (
        native_board.program("sh", f'{greeting}; exec /bin/sh "$@"'),
        pytest.raises(MeasurementError, match="Received: 'tf_wgsef is cool'"),
    ):
        measure(tiny_tflite, target=device, **SHORT)
    with native_board.program("sh", 'echo Welcome; exec /bin/sh "$@"'):
        assert measure(tiny_tflite, target=target(native_board), **SHORT).runs >= 16
    assert native_board.left() == []


def test_a_board_without_timeout(native_board, tiny_tflite):
    """Its few programs: what a small system may have."""
    few = native_board.folder / "few"
    few.mkdir()
    for name in ("mktemp", "cat", "rm"):
        (few / name).symlink_to(shutil.which(name))
    (few / "python3").symlink_to(native_board.folder / "bin" / "python3")
    with native_board.program("sh", f'PATH={few} exec /bin/sh "$@"'):
        assert measure(tiny_tflite, target=target(native_board), **SHORT).runs >= 16


def test_without_a_shared_connection(native_board, tiny_tflite, monkeypatch):
    """Where sockets cannot be made, each command logs in by itself."""
    monkeypatch.setattr("tf_wgsef.measure._ssh_shell._LONGEST_SOCKET", 0)
    assert measure(tiny_tflite, target=target(native_board), **SHORT).runs >= 16
    assert native_board.left(0) == []


def test_a_login_that_never_ends(native_board, tiny_tflite, monkeypatch, tmp_path):
    monkeypatch.setattr("tf_wgsef.measure._ssh_shell._LOGIN_SECONDS", 0.2)
    monkeypatch.setitem(_OPTIONS, "ConnectTimeout", "1")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes calls, and says nothing
        config = native_board.config_with(tmp_path / "config", Port=silent.getsockname()[1])
        with pytest.raises(MeasurementError, match="connection to ssh://board. Received: it does not answer"):
            measure(tiny_tflite, target=SSHTarget("ssh://board", ssh_config=config), **SHORT)


def test_pinned_to_a_core(native_board, tiny_tflite):
    script = 'printf "%s\\n" "$1" > "$TMPDIR/../mask"; shift; exec "$@"'
    with native_board.program("taskset", script):
        measure(tiny_tflite, target=target(native_board, cores=[4, 0, 5]), **SHORT)
    assert (native_board.folder / "mask").read_text() == "31\n"  # 0b110001


def test_one_command_several_devices(native_board, tiny_path, capsys):
    arguments = ["benchmark", tiny_path, tiny_path, "--seconds", 0.2, "--ssh-config", native_board.config]
    arguments += ["--target", "local", "--target", native_board.target]
    assert run(parse(["tf-wgsef", *map(str, arguments), "--json"])) == 0
    captured = capsys.readouterr()
    values = json.loads(captured.out)["targets"]
    assert list(values) == ["local", "ssh://board"]
    assert all(one["low"] <= one["ratio"] <= one["high"] for one in values.values())
    assert captured.err.count("p50") == 2


def test_addresses():
    assert SSHAddress.parse("ssh://board") == SSHAddress("board")
    assert SSHAddress.parse("ssh://pi@192.168.0.7:2222") == SSHAddress("192.168.0.7", "pi", "2222")
    assert SSHAddress.parse("ssh://[fe80::1%eth0]:22") == SSHAddress("fe80::1%eth0", port="22")
    assert str(SSHAddress.parse("ssh://pi@[::1]:22")) == "ssh://pi@[::1]:22"


@pytest.mark.parametrize(
    ("architecture", "comm", "cpuinfo", "emulated"),
    [
        ("aarch64", "qemu-aarch64-st\n", "CPU part : 0xd08", True),
        ("aarch64", "python3\n", "vendor_id : AuthenticAMD", True),  # registered with the kernel
        ("aarch64", "python3\n", "CPU part : 0xd08", False),
        ("x86_64", "python3\n", "vendor_id : AuthenticAMD", False),
        ("aarch64", "", "", False),
    ],
)
def test_an_emulator_is_told_by_what_it_does_not_hide(architecture, comm, cpuinfo, emulated):
    assert looks_emulated(architecture, comm, cpuinfo) is emulated


@pytest.fixture(scope="module")
def int8_case():
    """An int8 file, 40 inputs, and what this machine's runtime makes of them."""
    from ai_edge_litert.interpreter import Interpreter

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Conv2D(16, 3, activation="relu"), keras.layers.Conv2D(24, 3, activation="relu")]
    layers += [keras.layers.Flatten(), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((12, 12, 3)), *layers])
    x = np.random.default_rng(0).normal(size=(40, 12, 12, 3)).astype("float32")
    file = tf_wgsef.convert(model, quantization="int8", calibration=x)
    inputs = np.random.default_rng(1).integers(-128, 128, (40, 12, 12, 3), dtype="int8")
    return file, inputs, outputs_of(Interpreter(model_content=file, num_threads=1), inputs)


def outputs_of(interpreter, inputs):
    interpreter.allocate_tensors()
    (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    found = []
    for one in inputs:
        interpreter.set_tensor(source["index"], one[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(sink["index"])[0])
    return np.array(found)


ON_THE_BOARD = """
import sys
import numpy as np
try:
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    from tflite_runtime.interpreter import Interpreter
content = sys.stdin.buffer.read()
inputs = np.frombuffer(content[:40 * 432], "int8").reshape(40, 1, 12, 12, 3)
interpreter = Interpreter(model_content=content[40 * 432:], num_threads=1)
interpreter.allocate_tensors()
(source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
for one in inputs:
    interpreter.set_tensor(source["index"], one)
    interpreter.invoke()
    print(*interpreter.get_tensor(sink["index"])[0])
"""


@pytest.mark.parametrize(("python", "tolerance"), [("python3", 0), ("python3-tflite", 5)])
def test_golden_int8_outputs_on_arm(arm_board, int8_case, python, tolerance):
    """Emulation can be wrong without an error, so what runs is compared, not that it runs.

    The same kernels give the same bits. tflite_runtime 2.14 has others, which round differently: outputs
    of two sets of kernels differ by up to 5 steps on x86 as well.
    """
    file, inputs, expected = int8_case
    assert expected.dtype == np.int8 and len(np.unique(expected)) > 50
    with SSHShell(SSHAddress.parse(arm_board.target), arm_board.config) as shell:
        text = shell.run([python, "-c", ON_THE_BOARD], content=inputs.tobytes() + file, to="compute")
    found = np.array([line.split() for line in text.splitlines()], dtype="int64")
    np.testing.assert_allclose(found, expected.astype("int64"), rtol=0, atol=tolerance)


@pytest.mark.parametrize("python", ["python3", "python3-tflite"])
def test_an_emulated_board_proves_function_not_speed(arm_board, tiny_tflite, python):
    device = target(arm_board, python=python)
    both = compare_latency(tiny_tflite, tiny_tflite, names=("x", "y"), target=device, **SHORT)
    assert both.a.machine.architecture == "aarch64"
    assert both.a.machine.cpu == "board in a box (qemu-user, Cortex-A72)"
    assert both.a.machine.emulated
    assert both.a.runtime.startswith("tflite-runtime 2.14" if "tflite" in python else "ai-edge-litert ")
    for text in (str(both.a), str(both)):
        assert text.endswith("emulated: proves function, not speed")
    assert arm_board.left(0) == []
