"""Answers from a board: the samples flow there, the classes come back, nothing of them is stored there."""

import json
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ._messages import decode, raise_error, read_answers, read_loaded
from ._model_file import ModelFile
from ._python_runner import RUN
from ._runner_zip import runner_zip
from ._samples import Samples
from ._shell import Shell


def run_classifier(
    shell: Shell,
    folder: str,
    file: ModelFile,
    samples: Samples,
    *,
    command: Sequence[str],
    threads: int,
    keep: bool,
    seconds: int,
    on_loaded: Callable[[int], None],
    progress: Callable[[float], None] | None = None,
) -> tuple[np.ndarray, str]:
    """Returns the class of each sample, ``(n,)``, and the runtime there.

    Args:
        shell: the board.
        folder: a private folder there, in which the file is ``0.tflite``.
        file: the file.
        samples: what it is asked.
        command: the Python there, as an argument list.
        threads: threads of the runtime.
        keep: whether the folder stays.
        seconds: after so many the runner is ended.
        on_loaded: called with the number of classes before the samples are read.
        progress: called with the share done, in [0, 1].

    Raises:
        InputError: if file and samples do not fit.
        MeasurementError: if the board cannot compute, or is lost meanwhile.
    """
    shell.push(runner_zip(), f"{folder}/runner.zip")
    request = {
        "accuracy": samples.header,
        "files": [{"path": "0.tflite", "name": file.name, "sha256": file.sha256}],
        "threads": threads,
        "keep": keep,
    }
    run = ["sh", "-c", RUN, "sh", str(seconds), *command, f"{folder}/runner.zip"]
    found, runtime, classes, done = [], "", 0, False
    with shell.start(run, content=_content(request, samples), hold=True, seconds=seconds + 60) as call:
        for line in call.lines():
            message = decode(line)
            kind = message["kind"] if message and not done else ""
            if kind == "error":
                raise_error(message)
            elif kind == "loaded":
                classes, runtime = read_loaded(message)
                on_loaded(classes)
            elif kind == "answers":
                found += read_answers(message, classes, samples.count - len(found))
                if progress:
                    progress(len(found) / samples.count)
            elif kind == "done":
                done = len(found) == samples.count
        status, complaint = call.finish()
    if not done:
        advice = "Pass python=... (a path there)." if status in (126, 127) else ""
        error = shell.error(status, complaint, f"run {' '.join(command)} to the end", advice)
        error.args = (f"{error} {len(found)} of {samples.count} samples were answered.",)
        raise error
    return np.array(found), runtime


def _content(request: dict, samples: Samples) -> Iterator[bytes]:
    yield json.dumps(request).encode() + b"\n"
    yield from samples.chunks()
