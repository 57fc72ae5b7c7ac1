"""The options of commands that measure: what is refused before anything is loaded or measured."""

import pytest

from tf_wgsef.cli import _devices
from tf_wgsef.cli._main import parse, run


def call(*arguments):
    return run(parse(["tf-wgsef", *map(str, arguments)]))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.tflite"
    path.write_bytes(b"....TFL3")
    return path


@pytest.mark.parametrize("command", ["benchmark", "latency-table"])
@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--python", "python3", "environment"),
        ("--benchmark-model", "t", "Leave"),
        ("--ssh-config", "c", "Leave"),
    ],
)
def test_this_machine_takes_no_option_for_boards(
    file, tmp_path, monkeypatch, capsys, command, option, value, said
):
    monkeypatch.chdir(tmp_path)
    assert call(command, file, option, value) == 1
    error = " ".join(capsys.readouterr().err.split())
    assert f"takes no {option}" in error and said in error


def test_nothing_is_left_on_this_machine(file, capsys):
    assert call("benchmark", file, "--keep") == 1
    error = " ".join(capsys.readouterr().err.split())
    assert "--target local alone, which takes no --keep. Nothing is copied" in error


@pytest.mark.parametrize(
    ("targets", "options", "said"),
    [
        (["adb"], ["--benchmark-model", "t", "--python", "p"], "a board (ssh://...) as --target"),
        (["adb", "local"], ["--benchmark-model", "t", "--ssh-config", "c"], "none such"),
        (["ssh://b"], ["--benchmark-model", "/t", "--python", "p"], "leave one out"),
        (["ssh://b", "nonsense"], ["--keep"], 'Expected target="local"'),
    ],
)
def test_no_option_is_passed_over(file, capsys, targets, options, said):
    named = [word for one in targets for word in ("--target", one)]
    assert call("benchmark", file, *named, *options) == 1
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(("targets", "cores"), [([], "0"), (["local"], "0"), (["local", "adb"], None)])
def test_cores_of_this_machine(file, monkeypatch, targets, cores):
    named = [word for one in targets for word in ("--target", one)]
    arguments = parse(["tf-wgsef", "benchmark", str(file), *named, "--cores", "0"])
    given = {}
    monkeypatch.setattr("tf_wgsef.measure.resolve_target", lambda name, **options: given.update(options))
    _devices.open_target("local", arguments)
    assert given.get("cores") == (cores and [0])


def test_ctrl_c_ends_with_one_line_and_130(file, monkeypatch, capsys):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("tf_wgsef.measure._targets.measure_here", stop)
    assert call("benchmark", file) == 130
    assert capsys.readouterr().err.strip() == "tf-wgsef: Interrupted; nothing was written."


def test_beside_a_board_the_options_are_for_the_board(monkeypatch, file):
    arguments = parse(["tf-wgsef", "benchmark", str(file), "--cores", "4", "--python", "/venv/bin/python"])
    _devices.check_device_options(["local", "ssh://pi@board"], arguments)
    assert str(_devices.open_target("local", arguments)) == "local"
    given = {}
    monkeypatch.setattr("tf_wgsef.measure.resolve_target", lambda name, **options: given.update(options))
    _devices.open_target("ssh://pi@board", arguments)
    assert given == {"cores": [4], "python": "/venv/bin/python", "keep": False}


def test_beside_a_phone_the_native_tool_is_for_the_phone(monkeypatch, file):
    words = ["--target", "ssh://pi@board", "--target", "adb", "--python", "p", "--benchmark-model", "tool"]
    arguments = parse(["tf-wgsef", "benchmark", str(file), *words])
    _devices.check_device_options(arguments.target, arguments)
    given = {}
    monkeypatch.setattr(
        "tf_wgsef.measure.resolve_target", lambda name, **options: given.update({name: options})
    )
    for name in arguments.target:
        _devices.open_target(name, arguments)
    assert "benchmark_model" not in given["ssh://pi@board"] and given["ssh://pi@board"]["python"] == "p"
    assert given["adb"]["benchmark_model"] == "tool"


def test_cores_that_are_no_numbers(file, capsys):
    with pytest.raises(SystemExit) as stop:
        call("benchmark", file, "--cores", "abc")
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert "numbers of cores such as 4,5,6,7; received 'abc'" in error and "_cores" not in error


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--check", -1, "--check of at least 0. Received: -1"),
        ("--seconds", 0, "--seconds above 0. Received: 0.0"),
        ("--seconds", -0.5, "--seconds above 0"),
        ("--seconds", "nan", "--seconds above 0"),
    ],
)
def test_numbers_that_no_table_is_measured_with(tmp_path, monkeypatch, capsys, option, value, said):
    monkeypatch.chdir(tmp_path)
    # There is no such model: the numbers are checked before it is read.
    assert call("latency-table", "missing.keras", option, value) == 1
    assert said in " ".join(capsys.readouterr().err.split())
