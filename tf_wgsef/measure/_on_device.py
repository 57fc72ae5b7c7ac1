"""What runs on a board: it reads a request, measures as at home, and prints each round as it ends.

The request is one line of JSON on standard input: {"plan": {...}, "files": [{"path", "name", "sha256"}],
"keep": bool}. Standard input stays open as long as somebody listens; at its end the runner removes its
folder and stops, so that a lost connection leaves neither a process nor files.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import sys
import threading

from tf_wgsef.errors import MeasurementError, WGSEFError

from ._machine import Machine
from ._messages import encode
from ._model_file import ModelFile
from ._plan import SamplingPlan
from ._sampling import FileSamples
from ._targets import measure_here


def main() -> int:
    """Measures what standard input asks for; returns the exit status."""
    folder = pathlib.Path(sys.argv[0]).absolute().parent
    request = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_leave_when_alone, args=(folder, request["keep"]), daemon=True).start()
    try:
        plan = SamplingPlan(**request["plan"])
        files = [_read(folder, **file) for file in request["files"]]
        measure_here(files, plan, on_ready=_say_ready, on_round=_say_round)
        _say("done")
    except WGSEFError as error:
        _say("error", type=type(error).__name__, text=str(error))
        return 1
    except MemoryError:
        _say(
            "error", type="MeasurementError", text="Expected enough memory on the board. Received: none left."
        )
        return 1
    return 0


def _read(folder, path, name, sha256):
    file = ModelFile(name, (folder / path).read_bytes())
    if file.sha256 != sha256:
        raise MeasurementError(
            f"Expected {name} to reach the board whole. Received: {len(file.content)} bytes that differ. "
            f"Measure again."
        )
    return file


def _say_ready(runtime: str, delegates: list[str]) -> None:
    _say("ready", machine=dataclasses.asdict(Machine.local()), runtime=runtime, delegates=delegates)


def _say_round(index: int, samples: FileSamples) -> None:
    """Prints the last round of file ``index`` and forgets it: the other side keeps it."""
    durations = samples.rounds.pop()
    _say(
        "round",
        file=index,
        load=samples.loads.pop(),
        first=samples.first_invokes.pop(),
        ns=[round(1e3 * value) for value in durations.tolist()],
    )


def _say(kind, **values):
    try:
        print(encode(kind, **values), flush=True)
    except BrokenPipeError:
        os._exit(1)  # nobody listens; the other thread cleans up


def _leave_when_alone(folder, keep):
    # Not through sys.stdin, whose lock would be in the way when Python ends.
    while os.read(0, 1):
        pass
    if not keep and folder.name.startswith("tf_wgsef."):
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)
