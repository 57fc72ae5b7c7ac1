"""The other process: started in a private folder, fed with batches, read event by event, and always ended."""

import contextlib
import json
import queue
import subprocess
import threading

from tf_wgsef.errors import ConversionError, InputError
from tf_wgsef.keras2._batches import write_batch, write_end_of_epoch

from ._describe import refusal
from ._environment import command, environment
from ._progress import AwareProgress
from ._watchdog import Watchdog


class Keras2Process:
    """A running job; a context manager that leaves no process behind.

    Args:
        folder: the job's private folder.
        name: the model's name, for messages.
        epochs: number of epochs, for the progress.
        batches: batches of an epoch, likewise; None if not known yet.
        time_limit: seconds that the process may go without a sign of life.
        progress: called with an ``AwareProgress``, or None.
    """

    def __init__(self, folder, name: str, *, epochs: int, batches: int | None, time_limit: float, progress):
        self._folder, self._name, self._epochs = folder, name, epochs
        self._time_limit, self._progress = time_limit, progress
        self._stage, self._batches, self._lines = "start", batches, queue.Queue()
        self.found: dict = {}
        self.history: list[dict] = []

    def __enter__(self):
        with (self._folder / "log.txt").open("xb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own argument list
                command(),
                cwd=self._folder,
                env=environment(self._folder),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        self._watchdog = Watchdog(self._time_limit, self._process.kill)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *error):
        self._watchdog.stop()
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._process.stdout.close()
        with contextlib.suppress(BrokenPipeError):  # what was not sent yet is not needed any more
            self._process.stdin.close()

    def wait_until(self, event: str) -> None:
        """Reads events up to one of this name.

        Raises:
            ConversionError: if the process says that it cannot go on, stands still, or ends.
            InputError: if a package is missing there.
        """
        while True:
            line = self._lines.get()
            if line is None:
                self._raise_ended()
            if self._take(line) == event:
                return

    def send(self, groups) -> None:
        """Sends a batch (None: the end of an epoch), and takes what was reported meanwhile.

        Raises:
            ConversionError: as ``wait_until``.
        """
        try:
            if groups is None:
                write_end_of_epoch(self._process.stdin)
            else:
                write_batch(self._process.stdin, groups)
        except BrokenPipeError:
            self.wait_until("never")
        while not self._lines.empty():
            line = self._lines.get()
            if line is None:
                self._raise_ended()
            self._take(line)

    def waiting_for_us(self):
        """A context in which the time limit stands still."""
        return self._watchdog.paused()

    def _read(self):
        for line in self._process.stdout:
            self._watchdog.sign_of_life()
            self._lines.put(line)
        self._lines.put(None)

    def _take(self, line: bytes) -> str:
        """Notes an event and returns its name."""
        try:
            event = json.loads(line)
            kind = event.pop("event")
        except (ValueError, AttributeError, KeyError):
            return ""  # printed by a package before standard output became ours
        if kind == "refused":
            raise ConversionError(refusal(event["what"], self._name, event["problems"]))
        if kind == "missing":
            raise InputError(missing_package(event["module"]))
        if kind == "failed":
            raise ConversionError(
                f"Expected a model that tensorflow-model-optimization can train. Received: "
                f"model={self._name!r}, where it fails at the step {self._stage!r}: {event['reason']}."
            )
        self._note(kind, event)
        return kind

    def _note(self, kind, event):
        if kind == "stage":
            self._stage = event["stage"]
            self._show()
        elif kind in ("step", "epoch"):
            figures = {key: event[key] for key in ("loss", "accuracy") if key in event}
            if kind == "epoch":
                self._batches = event["batch"]
                self.history.append(figures)
            self._show(epoch=event["epoch"] + 1, batch=event["batch"], **figures)
        else:
            self.found.update(event)

    def _show(self, **figures):
        if self._progress:
            self._progress(AwareProgress(self._stage, epochs=self._epochs, batches=self._batches, **figures))

    def _raise_ended(self):
        self._process.wait()
        if self._watchdog.expired:
            raise ConversionError(
                f"Expected a sign of life from tensorflow-model-optimization every {self._time_limit:g} s. "
                f"Received: none at the step {self._stage!r} of model={self._name!r}, so it was ended; there "
                f"are models that it hangs on. Pass a larger time_limit=..., or use tf_wgsef.convert(model, "
                f'quantization="int8").'
            )
        log = (self._folder / "log.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        said = "".join(one for one in (log or ["nothing"])[-1][:200] if one.isprintable())
        raise ConversionError(
            f"Expected the process with Keras 2 to finish. Received: exit status {self._process.returncode} "
            f"at the step {self._stage!r} of model={self._name!r}; its last words: {said}. If its memory ran "
            f"out, use smaller batches."
        )


def missing_package(name: str) -> str:
    """Returns the message about a package of the extra that is not installed."""
    return (
        f"Expected the packages that train in Keras 2. Received: no module named {name!r}. "
        f'Install them with: python -m pip install "tf-wgsef[qat]".'
    )
