"""One progress bar over a workflow of several steps, on standard error."""

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn


class WorkflowProgress:
    """Shows how far a workflow has come; each step has a share of the whole.

    Args:
        steps: {name of a step: its share of the time, in any unit}, in order.
        console: where the bar is drawn; standard error if None.

    Example:
        >>> with WorkflowProgress({"train": 3, "strip": 1}) as progress:
        ...     progress.begin("train")
        ...     progress.advance(0.5)
        ...     progress.begin("strip")
    """

    def __init__(self, steps: dict[str, float], *, console: Console | None = None):
        self._steps = dict(steps)
        self._step, self._start = "", 0.0
        self._bar = Progress(
            TextColumn("{task.description:<34}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=console or Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=sum(self._steps.values()))

    def __enter__(self):
        self._bar.__enter__()
        return self

    def __exit__(self, *error):
        self._bar.__exit__(*error)

    def begin(self, step: str) -> None:
        """Shows that ``step`` begins, and that all before it is done."""
        names = list(self._steps)
        self._step = step
        self._start = sum(self._steps[name] for name in names[: names.index(step)])
        self._bar.update(self._task, completed=self._start, description=step, refresh=True)

    def advance(self, share: float, detail: str = "") -> None:
        """Shows that ``share`` in [0, 1] of the running step is done."""
        completed = self._start + share * self._steps[self._step]
        self._bar.update(self._task, completed=completed, description=f"{self._step} {detail}")


class EpochProgress(keras.callbacks.Callback):
    """Moves the bar on while a model trains.

    Args:
        progress: the bar, whose running step is this training.
    """

    def __init__(self, progress: WorkflowProgress):
        super().__init__()
        self._progress = progress
        self._epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        epochs, steps = self.params["epochs"], self.params.get("steps") or batch + 1
        share = (self._epoch + (batch + 1) / steps) / epochs
        live = f", {int(logs['live_groups'])} live" if "live_groups" in (logs or {}) else ""
        self._progress.advance(min(share, 1.0), f"epoch {self._epoch + 1}/{epochs}{live}")
