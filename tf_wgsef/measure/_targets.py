"""Where files are run: ``Target`` is what every device can do, ``LocalTarget`` is this machine."""

import abc
import uuid
from collections.abc import Callable, Sequence

import numpy as np

from tf_wgsef.errors import MeasurementError

from ._classifier import Classifier
from ._conditions import PYTHON_MEMORY, Conditions
from ._cores import check_cores, pinned_here
from ._litert_profile import Profile, profile_here
from ._machine import Machine
from ._model_file import ModelFile
from ._plan import SamplingPlan
from ._reading import Reading
from ._runtime import LoadedFile, find_runtime
from ._samples import Samples
from ._sampling import FileSamples, sample_interleaved
from ._stats import LatencyStats


class Target(abc.ABC):
    """A device on which files can be run.

    Example:
        A new kind of target is a subclass with ``run`` and a line in ``resolve_target``.
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

    @property
    def classifies(self) -> bool:
        """Whether ``classify`` works: whether Python runs files there, not only ``benchmark_model``."""
        return False

    def classify(
        self,
        file: ModelFile,
        samples: Samples,
        *,
        threads: int = 1,
        on_loaded: Callable[[int], None],
        progress: Callable[[float], None] | None = None,
    ) -> tuple[np.ndarray, str]:
        """Returns the class that the file gives to each sample, ``(n,)``, and the runtime's name and version.

        Args:
            file: the file.
            samples: its inputs.
            threads: threads of the runtime.
            on_loaded: called with the number of classes, before the first sample.
            progress: called with the share done, in [0, 1].

        Raises:
            InputError: if file and samples do not fit each other.
            MeasurementError: if the device cannot be used, or only measures.
        """
        raise MeasurementError(
            f"Expected a target where Python runs files, to compute answers there. Received: {self}, where "
            f"benchmark_model only measures. Compute them on this machine: target='local'."
        )

    def __str__(self):
        return type(self).__name__


class LocalTarget(Target):
    """This machine, in this process.

    Args:
        cores: the cores to run on, by number, or "big" for all but the slowest kind; None for all that this
            process may use. Linux only; what was allowed before is allowed again afterwards.

    Raises:
        InputError: if ``cores`` is neither.

    Example:
        ``LocalTarget(cores=[0]).run([read_model_file("model.tflite")], SamplingPlan())``
    """

    def __init__(self, *, cores: str | Sequence[int] | None = None):
        self._cores = check_cores(cores)

    def run(self, files, plan, *, progress=None):  # noqa: D102 - as in Target
        with pinned_here(self._cores):
            return self._run(files, plan, progress)

    def _run(self, files, plan, progress):
        known = {}

        def on_ready(runtime, delegates):
            known.update(runtime=runtime, delegates=delegates, before=Reading.local())

        timed = measure_here(files, plan, progress=progress, on_ready=on_ready)
        conditions = Conditions(known.pop("before"), Reading.local(), PYTHON_MEMORY)
        if plan.operators:
            known["profiles"] = [
                profile_here(file, threads=plan.threads, version=known["runtime"]) for file in files
            ]
        context = {"target": "local", "machine": Machine.local(), "conditions": conditions}
        return make_stats(files, timed, plan, **context, **known)

    @property
    def classifies(self):  # noqa: D102 - as in Target
        return True

    def classify(self, file, samples, *, threads=1, on_loaded, progress=None):  # noqa: D102 - as in Target
        runtime, found = find_runtime(), []
        with pinned_here(self._cores):
            classifier = Classifier(runtime, file, threads=threads)
            on_loaded(classifier.classes)
            for part in samples.parts():
                found.append(classifier.answers(part))
                if progress:
                    progress(min(1.0, len(found) * samples.at_a_time / samples.count))
        return np.concatenate(found), f"{runtime.name} {runtime.version}"

    def __str__(self):
        return "local"


def measure_here(
    files: Sequence[ModelFile],
    plan: SamplingPlan,
    *,
    progress: Callable[[float], None] | None = None,
    on_ready: Callable[[str, list[str]], None],
    on_round: Callable[[int, FileSamples], None] | None = None,
) -> list[FileSamples]:
    """Returns the timed runs of files that took turns in this process.

    Args:
        files: the files.
        plan: how long and how often.
        progress: called with the share done, in [0, 1].
        on_ready: called before the first run with the runtime's name and version, and each file's delegate.
        on_round: as in ``sample_interleaved``.

    Raises:
        InputError: if a file is damaged.
        MeasurementError: if there is no runtime, or it cannot run a file.
    """
    runtime = find_runtime()
    loaders = [_Loader(runtime, file, plan) for file in files]
    on_ready(f"{runtime.name} {runtime.version}", [load().describe_delegate() for load in loaders])
    return sample_interleaved(loaders, plan, progress=progress, on_round=on_round)


def make_stats(
    files: Sequence[ModelFile],
    timed: Sequence[FileSamples],
    plan: SamplingPlan,
    *,
    delegates: Sequence[str],
    profiles: Sequence[Profile] | None = None,
    **context,
) -> list[LatencyStats]:
    """Returns the statistics of files that took turns in one run.

    Args:
        files: the files.
        timed: what was timed of each.
        plan: how long and how often.
        delegates: the delegate of each.
        profiles: the operators of each, if they were asked for.
        **context: ``target``, ``runtime``, ``machine``, ``conditions``.
    """
    context |= {"threads": plan.threads, "session": uuid.uuid4().hex}
    return [
        LatencyStats.from_samples(
            file, one, delegate=delegate, operators=told.operators, operators_by=told.by, **context
        )
        for file, one, delegate, told in zip(
            files, timed, delegates, profiles or [Profile()] * len(files), strict=True
        )
    ]


class _Loader:
    """Loads one file afresh at each call."""

    def __init__(self, runtime, file, plan):
        self._runtime, self._file, self._plan = runtime, file, plan

    def __call__(self):
        return LoadedFile(self._runtime, self._file, threads=self._plan.threads, seed=self._plan.seed)
