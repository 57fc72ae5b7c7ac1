"""Python on a board: copy the runner, start it, and keep each round as it arrives."""

import dataclasses
import json
from collections.abc import Callable, Sequence

from tf_wgsef.errors import MeasurementError

from ._conditions import PYTHON_MEMORY, Conditions
from ._litert_profile import Profile
from ._messages import decode, raise_error, read_operators, read_reading, read_ready, read_round
from ._model_file import ModelFile
from ._plan import SamplingPlan
from ._runner_zip import runner_zip
from ._sampling import FileSamples
from ._shell import Shell
from ._stats import LatencyStats
from ._targets import make_stats

# Without `timeout` there, the end of standard input still ends the runner. The shell stays and tells a crash
# by its status: ssh reports a program that died of a signal like a connection that failed.
RUN = 'if command -v timeout >/dev/null; then timeout "$@"; else shift; "$@"; fi; exit $?'


def run_python(
    shell: Shell,
    folder: str,
    files: Sequence[ModelFile],
    plan: SamplingPlan,
    *,
    command: Sequence[str],
    keep: bool,
    seconds: int,
    progress: Callable[[float], None] | None = None,
) -> list[LatencyStats]:
    """Returns the latency of files whose copies are ``0.tflite``, ``1.tflite``, ... in ``folder``.

    Args:
        shell: the board.
        folder: a private folder there.
        files: the files.
        plan: how long and how often.
        command: the Python there, as an argument list.
        keep: whether the folder stays.
        seconds: after so many the runner is ended.
        progress: called with the share done, in [0, 1].

    Raises:
        InputError: if a file is damaged.
        MeasurementError: if the board cannot measure; ``measured`` holds the rounds before.
    """
    shell.push(runner_zip(), f"{folder}/runner.zip")
    request = {
        "plan": dataclasses.asdict(plan),
        "files": [
            {"path": f"{number}.tflite", "name": file.name, "sha256": file.sha256}
            for number, file in enumerate(files)
        ],
        "python": command[-1],
        "keep": keep,
    }
    results = _Results(files, plan, shell.label, progress)
    run = ["sh", "-c", RUN, "sh", str(seconds), *command, f"{folder}/runner.zip"]
    content = json.dumps(request).encode() + b"\n"
    try:
        with shell.start(run, content=content, hold=True, seconds=seconds + 60) as call:
            for line in call.lines():
                results.take(line)
            status, complaint = call.finish()
        if not results.done:
            advice = "Pass python=... (a path there)." if status in (126, 127) else ""
            raise shell.error(status, complaint, f"run {' '.join(command)} to the end", advice)
    except MeasurementError as error:
        results.attach(error)
        raise
    return results.stats()


class _Results:
    """What has arrived so far."""

    def __init__(self, files, plan, target, progress):
        self.done = False
        self._files, self._plan, self._target, self._progress = files, plan, target, progress
        self._timed = [FileSamples() for _ in files]
        self._context = None
        self._conditions = Conditions()
        self._profiles = [Profile()] * len(files)

    def take(self, line):
        """Reads one line from the board."""
        message = decode(line)
        if message is None or self.done:
            return
        kind = message["kind"]
        if kind == "error":
            raise_error(message)
        elif kind == "ready":
            machine, runtime, delegates = read_ready(message, len(self._files))
            self._context = {"machine": machine, "runtime": runtime, "delegates": delegates}
            self._conditions = Conditions(read_reading(message), memory_of=PYTHON_MEMORY)
        elif kind == "round":
            self._add(*read_round(message, len(self._files)))
        elif kind == "operators":
            index, profile = read_operators(message, len(self._files))
            self._profiles[index] = profile
        elif kind == "done":
            self.done = self._rounds == self._plan.rounds
            if self.done:
                self._conditions = dataclasses.replace(self._conditions, after=read_reading(message))

    def _add(self, index, load, first, runs):
        timed = self._timed[index]
        if self._context is None or len(timed.rounds) >= self._plan.rounds:
            raise MeasurementError(
                f"Expected {self._plan.rounds} rounds from {self._target}. Received: rounds that were not "
                f"asked for. Check what else writes to its output."
            )
        timed.rounds.append(runs)
        timed.loads.append(load)
        timed.first_invokes.append(first)
        if self._progress:
            finished = sum(len(one.rounds) for one in self._timed)
            self._progress(finished / (self._plan.rounds * len(self._timed)))

    @property
    def _rounds(self):
        """Rounds in which all files had their turn."""
        return min(len(one.rounds) for one in self._timed)

    def stats(self):
        """The statistics of all rounds that are complete."""
        count = self._rounds
        whole = [
            FileSamples(one.rounds[:count], one.loads[:count], one.first_invokes[:count])
            for one in self._timed
        ]
        context = {"target": self._target, "conditions": self._conditions, **self._context}
        context["profiles"] = self._profiles
        return make_stats(self._files, whole, self._plan, **context)

    def attach(self, error):
        """Gives ``error`` what was measured, and says so."""
        if self._rounds:
            error.measured = tuple(self.stats())
            error.args = (
                f"{error} {self._rounds} of {self._plan.rounds} rounds were measured and are kept.",
            )
