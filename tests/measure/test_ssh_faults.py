"""What goes wrong between here and a board: one clear line each, exit status 1, nothing lost or left."""

import shlex
import shutil
import socket
import sys

import pytest

from tf_wgsef.cli._main import parse, run
from tf_wgsef.errors import InputError, MeasurementError
from tf_wgsef.measure import SSHTarget, compare_latency, measure, measure_interleaved

from .boards import SHORT, Line


def benchmark(capsys, *arguments):
    """Runs the command; returns its status, its output and its last line of messages."""
    status = run(parse(["tf-wgsef", "benchmark", *map(str, arguments), "--seconds", "0.1"]))
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    lines = [line for line in captured.err.splitlines() if line.strip()]
    return status, captured.out, lines[-1] if lines else ""


def python_that(board, *, first):
    """The words of a Python there that runs ``first``, then what it is asked to."""
    code = f"import runpy, sys; {first}; sys.argv = sys.argv[1:]; "
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    return f'exec {sys.executable} -c {shlex.quote(code)} "$@"'


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# What the board's Python does instead, and what the user then reads.
PYTHONS = {
    "too old": ("sys.version_info = (3, 8, 1)", "Python 3.10 or newer on the board. Received: Python 3.8."),
    "no NumPy": ("sys.modules['numpy'] = None", "Expected NumPy"),
    "no runtime": (
        "sys.modules.update({'ai_edge_litert.interpreter': None, 'tflite_runtime.interpreter': None})",
        "pip install ai-edge-litert",
    ),
    "crash": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "it crashed (segmentation fault)"),
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "as when memory runs out"),
    "runtime too old": (
        "import ai_edge_litert.interpreter as i; i.Interpreter = lambda **k: int('Registration failed')",
        "Install a newer one",
    ),
    "stops early": ("sys.exit(0)", "to the end. Received: status 0"),
    "talks nonsense": (
        'print(\'tf_wgsef {"kind": "round", "file": 7}\')',
        "Expected results from the runner",
    ),
    "moves the cursor": ("print('tf_wgsef \\x1b[2J\\x07'); sys.exit()", "Received: 'tf_wgsef [2J'"),
    "floods": ("print('x' * (1 << 27))", "Expected a device that prints results"),
}


@pytest.mark.parametrize("case", PYTHONS)
def test_pythons(case, native_board, tiny_path, capsys):
    first, said = PYTHONS[case]
    options = ["--target", native_board.target, "--ssh-config", native_board.config, "--python", "odd"]
    with native_board.program("odd", python_that(native_board, first=first)):
        status, out, line = benchmark(capsys, tiny_path, *options)
    assert (status, out) == (1, "")
    assert said in line
    assert "\x1b" not in line
    assert native_board.left() == []


def test_what_a_board_makes_of_a_file_costs_no_other_device_its_results(native_board, tiny_path, capsys):
    refuse = "import ai_edge_litert.interpreter as i; i.Interpreter = lambda **k: int('odd')"
    options = ["--target", "local", "--target", native_board.target, "--ssh-config", native_board.config]
    with native_board.program("odd", python_that(native_board, first=refuse)):
        status, out, line = benchmark(capsys, tiny_path, *options, "--python", "odd")
    assert status == 1 and "p50" in out and "an intact .tflite file" in line


def test_a_folder_that_cannot_be_removed_costs_no_result(native_board, tiny_path, capsys):
    options = ["--target", native_board.target, "--ssh-config", native_board.config]
    first = "import shutil; shutil.rmtree = lambda *a, **k: None"
    with (
        native_board.program("rm", "echo 'no' >&2; exit 1"),
        native_board.program("odd", python_that(native_board, first=first)),
    ):
        status, out, line = benchmark(capsys, tiny_path, *options, "--python", "odd")
    assert status == 1 and "p50" in out and "to remove /" in line
    for left in (native_board.folder / "tmp").iterdir():
        shutil.rmtree(left)


def test_no_python(native_board, tiny_path, capsys):
    options = ["--target", native_board.target, "--ssh-config", native_board.config]
    status, out, line = benchmark(capsys, tiny_path, *options, "--python", "/no/such python; touch canary")
    assert (status, out) == (1, "")
    assert "no such program" in line and "Pass python=" in line
    assert native_board.left() == []


def configurations(board, folder):
    """Client configurations with which the board cannot be reached, and what is said of each."""
    stranger = folder / "stranger"
    stranger.write_bytes((board.folder / "keys" / "host").read_bytes())  # a key, but not the user's
    stranger.chmod(0o600)
    name = f"[127.0.0.1]:{board.port}"
    (folder / "changed").write_text(f"{name} {(board.folder / 'keys' / 'user.pub').read_text()}")
    return {
        "no such host": ({"HostName": "board.invalid"}, "there is no host of this name"),
        "refused": ({"Port": free_port()}, "nothing answers at this port"),
        "wrong key": ({"IdentityFile": stranger}, "it does not accept your key"),
        "host key changed": ({"UserKnownHostsFile": folder / "changed"}, "its host key is not the one that"),
        "host key unknown": ({"UserKnownHostsFile": "/dev/null"}, "its host key is not known yet"),
    }


@pytest.mark.parametrize(
    "case", ["no such host", "refused", "wrong key", "host key changed", "host key unknown"]
)
def test_no_connection(case, native_board, tiny_path, tmp_path, capsys):
    options, said = configurations(native_board, tmp_path)[case]
    config = native_board.config_with(tmp_path / "config", **options)
    before = tiny_path.read_bytes()
    status, out, line = benchmark(capsys, tiny_path, "--target", "ssh://board", "--ssh-config", config)
    assert (status, out) == (1, "")
    assert line.startswith("tf-wgsef: Expected a connection to ssh://board. Received: ")
    assert said in line
    assert tiny_path.read_bytes() == before


def test_no_ssh_here(native_board, tiny_path, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MeasurementError, match="no `ssh` in PATH"):
        measure(tiny_path, target=SSHTarget("ssh://board", ssh_config=native_board.config))


@pytest.mark.parametrize(
    ("program", "script"),
    [
        ("cat", "exec /bin/cat > /dev/full"),
        ("mktemp", "echo 'mktemp: failed to create directory: No space left on device' >&2; exit 1"),
    ],
)
def test_a_full_device(program, script, native_board, tiny_path, capsys):
    options = ["--target", native_board.target, "--ssh-config", native_board.config]
    with native_board.program(program, script):
        status, out, line = benchmark(capsys, tiny_path, *options)
    assert (status, out) == (1, "")
    assert "No space left on device" in line and "Free some space there" in line
    assert native_board.left() == []


@pytest.mark.parametrize(
    "answer", ["/etc", "/var/../etc/tf_wgsef.abcdefgh", "-rf", "$(id)/tf_wgsef.abcdefgh"]
)
def test_only_a_new_folder_is_ever_removed(answer, native_board, tiny_tflite):
    with (
        native_board.program("mktemp", f"echo {shlex.quote(answer)}"),
        native_board.program("rm", 'echo "$@" > "$HOME/removed"'),  # if it came to removing, this would tell
        pytest.raises(MeasurementError, match="make a temporary folder"),
    ):
        measure(tiny_tflite, target=SSHTarget("ssh://board", ssh_config=native_board.config), **SHORT)
    assert not (native_board.folder / "home" / "removed").exists()


def test_a_measurement_that_takes_too_long(native_board, tiny_tflite):
    device = SSHTarget("ssh://board", ssh_config=native_board.config, limit_seconds=1)
    with pytest.raises(MeasurementError, match="status 124 .it took too long and was ended") as caught:
        measure(tiny_tflite, target=device, **SHORT | {"min_seconds": 400, "rounds": 4000})
    assert "rounds were measured and are kept" in str(caught.value)
    assert native_board.left() == []


def big(tflite):
    """The file with a megabyte behind it that nothing refers to."""
    return tflite + bytes(1 << 20)


@pytest.mark.parametrize("again", [True, False])
def test_cut_while_pushing(again, native_board, tiny_tflite, tmp_path):
    line = Line(native_board.port, up=400_000, again=again)
    options = {"Port": line.port, "HostKeyAlias": f"[127.0.0.1]:{native_board.port}"}
    config = native_board.config_with(tmp_path / "config", **options)
    with pytest.raises(MeasurementError, match="connection to ssh://board. Received: it was lost") as caught:
        measure(big(tiny_tflite), target=SSHTarget("ssh://board", ssh_config=config), **SHORT)
    line.close()
    assert caught.value.measured == ()
    left = native_board.left(0 if again else 1)
    if again:
        assert left == []
    else:  # nothing runs there that could remove it, so it is named
        (name,) = left
        folder = native_board.folder / "tmp" / name
        assert f"may be left there in {folder}." in str(caught.value)
        shutil.rmtree(folder)


@pytest.mark.parametrize("again", [True, False])
def test_cut_while_running(again, native_board, tiny_tflite, tmp_path):
    """What was measured is kept, and the board cleans up by itself even if nobody can call it."""
    line = Line(native_board.port, again=again)
    options = {"Port": line.port, "HostKeyAlias": f"[127.0.0.1]:{native_board.port}"}
    config = native_board.config_with(tmp_path / "config", **options)

    def cut(share):
        if share > 0.3:
            line.cut()

    with pytest.raises(
        MeasurementError, match="it was lost.* of 200 rounds were measured and are kept"
    ) as caught:
        compare_latency(
            tiny_tflite,
            tiny_tflite,
            target=SSHTarget("ssh://board", ssh_config=config),
            progress=cut,
            **SHORT | {"rounds": 200, "min_seconds": 4},
        )
    line.close()
    a, b = caught.value.measured
    assert 60 <= len(a.round_medians) == len(b.round_medians) < 200
    assert a.session == b.session and a.name == "a" and a.p50 > 0
    assert native_board.left() == []


def test_what_was_measured_is_shown(native_board, tiny_path, tmp_path, capsys):
    line = Line(native_board.port, down=2_000_000)
    options = {"Port": line.port, "HostKeyAlias": f"[127.0.0.1]:{native_board.port}"}
    config = native_board.config_with(tmp_path / "config", **options)
    options = ["--target", "ssh://board", "--target", "local", "--ssh-config", config, "--seconds", 3]
    status = run(parse(["tf-wgsef", "benchmark", *map(str, [tiny_path, *options])]))
    captured = capsys.readouterr()
    assert status == 1
    assert captured.out.count("p50") == 2  # some rounds of the board, and all of this machine
    assert "Received: it was lost" in captured.err and "rounds were measured and are kept" in captured.err
    assert native_board.left() == []


HOSTS = [
    "ssh://-oProxyCommand=touch${IFS}canary",
    "ssh://-oProxyCommand=touch canary@board",
    "ssh://pi@-oProxyCommand=touch canary",
    "ssh://$(touch canary)",
    "ssh://`touch canary`@board",
    "ssh://board;touch canary",
    "ssh://board|touch canary",
    "ssh://board\ntouch canary",
    "ssh://board touch canary",
    "ssh://pi@board:22;touch canary",
    "ssh://board:0",
    "ssh://board:65536",
    "ssh://board:-1",
    "ssh://b\x1b[2Joard",
    "ssh://%h",
    "ssh://",
    "ssh://pi@",
    "ssh://board/../etc",
    "ssh://[::1;x]",
    "ssh://" + "a" * 300,
    "SSH:board",
]


@pytest.mark.parametrize("host", HOSTS)
def test_hostile_hosts(host, tiny_path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    status, out, line = benchmark(capsys, tiny_path, "--target", host)
    assert (status, out) == (1, "")
    assert line.startswith("tf-wgsef: Expected ") and "\x1b" not in line
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.tflite"]


NAMES = [
    "$(touch canary).tflite",
    "`touch canary`.tflite",
    "a; touch canary;.tflite",
    "a b & touch canary &.tflite",
    "'; touch canary; '.tflite",
    '"; touch canary; ".tflite',
    "-rf.tflite",
    "line\ntouch canary\n.tflite",
    "\x1b[2J\x07.tflite",
    "..tflite",
]


def test_hostile_file_names(native_board, tiny_tflite, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        (tmp_path / name).write_bytes(tiny_tflite)
    device = SSHTarget("ssh://board", ssh_config=native_board.config)
    stats = measure_interleaved({name: name for name in NAMES}, target=device, **SHORT)
    assert list(stats) == [one.name for one in stats.values()] == NAMES
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES)
    assert not list(native_board.folder.rglob("*canary*"))
    assert native_board.left(0) == []


def test_names_do_not_reach_the_terminal_as_they_are(
    native_board, tiny_tflite, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    options = ["--target", native_board.target, "--ssh-config", native_board.config, "--seconds", "0.05"]
    for content, status in ((tiny_tflite, 0), (tiny_tflite[:64], 1)):
        (tmp_path / "-\x1b[2J\x07.tflite").write_bytes(content)
        assert (
            run(parse(["tf-wgsef", "benchmark", *map(str, options), "--", "-\x1b[2J\x07.tflite"])) == status
        )
        captured = capsys.readouterr()
        assert "[2J" in captured.out + captured.err
        assert "\x1b" not in captured.out + captured.err and "\x07" not in captured.out + captured.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"python": "-c"}, "`python`"),
        ({"python": "py\nthon"}, "`python`"),
        ({"python": ""}, "`python`"),
        ({"cores": "fast"}, "`cores`"),
        ({"cores": []}, "`cores`"),
        ({"cores": [-1]}, "`cores`"),
        ({"cores": [True]}, "`cores`"),
        ({"ssh_config": "/no/such/file"}, "`ssh_config`"),
        ({"limit_seconds": 0}, "`limit_seconds`"),
    ],
)
def test_bad_options(options, said):
    with pytest.raises(InputError, match=said) as caught:
        SSHTarget("ssh://board", **options)
    assert "\n" not in str(caught.value)
