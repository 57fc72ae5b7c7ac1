import json

import pytest

from tests.cli.bench import Bench
from tf_wgsef.cli import _benchmark
from tf_wgsef.cli._main import parse, run


@pytest.fixture
def bench(monkeypatch, tmp_path, capsys):
    """Runs the command on benches instead of devices: (status, JSON or None, standard error)."""

    def call(*options, benches=(), sizes=(100, 110)):
        named = {str(one): one for one in benches or (Bench(),)}
        monkeypatch.setattr(_benchmark, "open_target", lambda name, arguments: named[name])
        arguments = ["tf-wgsef", "benchmark"]
        for number, size in enumerate(sizes):
            path = tmp_path / f"{'ab'[number]}.tflite"
            path.write_bytes(b"....TFL3".ljust(size, b"."))
            arguments.append(str(path))
        arguments += [part for name in named for part in ("--target", name)]
        status = run(parse([*arguments, *map(str, options), "--json"]))
        captured = capsys.readouterr()
        return status, json.loads(captured.out) if captured.out else None, " ".join(captured.err.split())

    return call
