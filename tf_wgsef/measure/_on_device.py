"""What runs on a board: it reads a request, measures as at home, and prints each round as it ends.

The request is one line of JSON on standard input: {"plan": {...}, "files": [{"path", "name", "sha256"}],
"python": the word that started it, "keep": bool}; or, for answers, {"accuracy": header, "files", "threads",
"keep"} and the samples behind it. Standard input stays open as long as somebody listens; at its end the
runner removes its folder and stops, so that a lost connection leaves neither a process nor files.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import sys
import threading

from tf_wgsef.errors import MeasurementError, WGSEFError

from ._classifier import Classifier
from ._litert_profile import profile_here
from ._machine import Machine
from ._messages import encode
from ._model_file import ModelFile
from ._plan import SamplingPlan
from ._reading import Reading
from ._runtime import find_runtime
from ._samples import read_parts
from ._sampling import FileSamples
from ._targets import measure_here


def main() -> int:
    """Measures what standard input asks for; returns the exit status."""
    folder = pathlib.Path(sys.argv[0]).absolute().parent
    request = json.loads(sys.stdin.buffer.readline())
    listener = _Listener(folder, keep=request["keep"])
    try:
        files = [_read(folder, **file) for file in request["files"]]
        if "accuracy" in request:
            _answer(files[0], request, listener)
        else:
            _measure(files, SamplingPlan(**request["plan"]), listener, request["python"])
    except WGSEFError as error:
        listener.say("error", type=type(error).__name__, text=str(error))
        return 1
    except MemoryError:
        text = "Expected enough memory on the board. Received: a file that needs more."
        listener.say("error", type="MeasurementError", text=text)
        return 1
    return 0


def _measure(files, plan, listener, python):
    listener.watch()
    measure_here(files, plan, on_ready=listener.ready, on_round=listener.round)
    reading = _reading()
    if plan.operators:
        for number, file in enumerate(files):
            told = profile_here(file, threads=plan.threads, version=listener.runtime, python=python)
            listener.say("operators", file=number, **dataclasses.asdict(told))
    listener.say("done", reading=reading)


def _answer(file, request, listener):
    """Answers piece after piece: only one is held."""
    runtime = find_runtime()
    classifier = Classifier(runtime, file, threads=request["threads"])
    listener.say("loaded", runtime=f"{runtime.name} {runtime.version}", classes=classifier.classes)
    for part in read_parts(request["accuracy"], listener.read):
        listener.say("answers", classes=classifier.answers(part).tolist())
    listener.say("done")


def _reading():
    return dataclasses.asdict(Reading.local())


def _read(folder, path, name, sha256):
    file = ModelFile(name, (folder / path).read_bytes())
    if file.sha256 != sha256:
        raise MeasurementError(
            f"Expected {name} to reach the board whole. Received: {len(file.content)} bytes that differ. "
            f"Measure again."
        )
    return file


class _Listener:
    """Who asked: hears of each round, and is gone when standard input ends or nobody reads the output."""

    def __init__(self, folder, *, keep):
        self._folder, self._keep, self.runtime = folder, keep, ""

    def ready(self, runtime: str, delegates: list[str]) -> None:
        self.runtime = runtime
        found = {"machine": dataclasses.asdict(Machine.local()), "reading": _reading()}
        self.say("ready", runtime=runtime, delegates=delegates, **found)

    def round(self, index: int, samples: FileSamples) -> None:
        """Prints the last round of file ``index`` and forgets it: the other side keeps it."""
        durations = samples.rounds.pop()
        self.say(
            "round",
            file=index,
            load=samples.loads.pop(),
            first=samples.first_invokes.pop(),
            ns=[round(1e3 * value) for value in durations.tolist()],
        )

    def say(self, kind, **values):
        try:
            print(encode(kind, **values), flush=True)
        except BrokenPipeError:
            self.leave()

    def read(self, count: int) -> bytes:
        """Returns so many bytes of standard input; leaves if nobody sends them."""
        content = sys.stdin.buffer.read(count)
        if len(content) < count:
            self.leave()
        return content

    def watch(self):
        """From now on the end of standard input ends all."""
        threading.Thread(target=self.leave_at_the_end, daemon=True).start()

    def leave_at_the_end(self):
        # Not through sys.stdin, whose lock would be in the way when Python ends.
        while os.read(0, 1):
            pass
        self.leave()

    def leave(self):
        """Removes what was copied and stops at once."""
        if not self._keep and self._folder.name.startswith("tf_wgsef."):
            shutil.rmtree(self._folder, ignore_errors=True)
        os._exit(1)
