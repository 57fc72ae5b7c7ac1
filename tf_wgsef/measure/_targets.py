"""Where files are run: one class per kind of target; ``resolve_target`` reads the user's word."""

import abc
import uuid
from collections.abc import Callable, Sequence

from tf_wgsef.errors import InputError

from ._machine import Machine
from ._model_file import ModelFile
from ._plan import SamplingPlan
from ._runtime import LoadedFile, find_runtime
from ._sampling import sample_interleaved
from ._stats import LatencyStats


class Target(abc.ABC):
    """A device on which files can be run.

    Example:
        A new kind of target is a subclass with ``run`` and one line in ``resolve_target``.
    """

    @abc.abstractmethod
    def run(
        self,
        files: Sequence[ModelFile],
        plan: SamplingPlan,
        *,
        progress: Callable[[float], None] | None = None,
    ) -> list[LatencyStats]:
        """Returns the latency of each file, all measured in one interleaved run on this device.

        Args:
            files: the files, at least one.
            plan: how long and how often.
            progress: called with the share done, in [0, 1].

        Raises:
            InputError: if a file is damaged.
            MeasurementError: if the device cannot be used or cannot run a file.
        """


class LocalTarget(Target):
    """This machine, in this process.

    Example:
        ``LocalTarget().run([read_model_file("model.tflite")], SamplingPlan())``
    """

    def run(self, files, plan, *, progress=None):  # noqa: D102 - as in Target
        runtime = find_runtime()
        loaders = [_Loader(runtime, file, plan) for file in files]
        delegates = [load().describe_delegate() for load in loaders]
        timed = sample_interleaved(loaders, plan, progress=progress)
        context = {
            "threads": plan.threads,
            "target": "local",
            "runtime": f"{runtime.name} {runtime.version}",
            "machine": Machine.local(),
            "session": uuid.uuid4().hex,
        }
        return [
            LatencyStats.from_samples(file, one, delegate=delegate, **context)
            for file, one, delegate in zip(files, timed, delegates, strict=True)
        ]


def resolve_target(target: str | Target) -> Target:
    """Returns the target that ``target`` names.

    Args:
        target: "local", or a ``Target``.

    Raises:
        InputError: if it names nothing that this version can measure on.

    Example:
        ``resolve_target("local")``
    """
    if isinstance(target, Target):
        return target
    if target == "local":
        return LocalTarget()
    raise InputError(
        f'Expected target="local": this version measures on the machine it runs on. Received: '
        f"target={target!r}. For a board, install numpy and ai-edge-litert there and call "
        f"tf_wgsef.measure on it."
    )


class _Loader:
    """Loads one file afresh at each call."""

    def __init__(self, runtime, file, plan):
        self._runtime, self._file, self._plan = runtime, file, plan

    def __call__(self):
        return LoadedFile(self._runtime, self._file, threads=self._plan.threads, seed=self._plan.seed)
