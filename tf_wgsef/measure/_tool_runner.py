"""A native ``benchmark_model`` on a device: started for each file in each round, in turns."""

import dataclasses
import time
import uuid
from collections.abc import Callable, Sequence

import numpy as np

from tf_wgsef.errors import MeasurementError

from ._conditions import TOOL_MEMORY, Conditions
from ._cores import pinned_cores
from ._device_facts import read_machine, take_reading
from ._model_file import ModelFile
from ._plan import SamplingPlan
from ._shell import Shell
from ._stats import LatencyStats
from ._text import one_line
from ._tool_log import ToolRound, read_log
from ._tool_profile import read_profile

_RUN = 'if command -v timeout >/dev/null; then timeout "$@" 2>&1; else shift; "$@" 2>&1; fi; exit $?'
# Share of a round that a freshly started tool runs untimed, as at home (``_sampling``).
_SETTLE_SHARE = 0.1
_BY = "benchmark_model --enable_op_profiling=true, in a run of its own"
_NONE = "none: this benchmark_model printed none"


def run_tool(
    shell: Shell,
    folder: str,
    files: Sequence[ModelFile],
    plan: SamplingPlan,
    *,
    command: Sequence[str],
    seconds: int,
    progress: Callable[[float], None] | None = None,
) -> list[LatencyStats]:
    """Returns the latency of files whose copies are ``0.tflite``, ``1.tflite``, ... in ``folder``.

    Args:
        shell: the device.
        folder: a private folder there.
        files: the files.
        plan: how long and how often; each round starts the tool once per file.
        command: the tool there, as an argument list.
        seconds: after so many the measurement is ended.
        progress: called with the share done, in [0, 1].

    Raises:
        MeasurementError: if the device cannot measure; ``measured`` holds the rounds before.
    """
    machine = read_machine(shell)
    rounds = [[] for _ in files]
    end = time.monotonic() + seconds
    context = {"target": shell.label, "machine": machine, "threads": plan.threads}
    cores = pinned_cores(command)
    before = take_reading(shell, cores)
    try:
        for turn in range(plan.rounds):
            order = range(len(files)) if turn % 2 == 0 else reversed(range(len(files)))
            for done, index in enumerate(order):
                left = max(1, round(end - time.monotonic()))
                options = _options(plan, f"{folder}/{index}.tflite", first=turn == 0, seconds=left)
                rounds[index].append(_run_once(shell, [*command, *options], files[index], left))
                if progress:
                    progress((turn + (done + 1) / len(files)) / plan.rounds)
        after = take_reading(shell, cores)
        operators = [()] * len(files)
        if plan.operators:
            operators = _profile(shell, folder, files, plan, command=command, end=end)
    except MeasurementError as error:
        complete = min(len(one) for one in rounds)
        if complete:
            kept = [one[:complete] for one in rounds]
            error.measured = tuple(_stats(files, kept, context, Conditions(before)))
            error.args = (f"{error} {complete} of {plan.rounds} rounds were measured and are kept.",)
        raise
    found = _stats(files, rounds, context, Conditions(before, after))
    if not plan.operators:
        return found
    return [
        dataclasses.replace(one, operators=told, operators_by=_BY if told else _NONE)
        for one, told in zip(found, operators, strict=True)
    ]


def _options(plan, path, *, first, seconds):
    warmup = plan.warmup_seconds if first else _SETTLE_SHARE * plan.seconds_per_round
    return [
        f"--graph={path}",
        f"--num_threads={plan.threads}",
        f"--num_runs={plan.runs_per_round}",
        f"--min_secs={plan.seconds_per_round:.6g}",
        f"--max_secs={seconds}",
        "--warmup_runs=1",
        f"--warmup_min_secs={warmup:.6g}",
    ]


def _run_once(shell, command, file, seconds):
    run = ["sh", "-c", _RUN, "sh", str(seconds), *command]
    with shell.start(run, seconds=seconds + 30) as call:
        text = "\n".join(call.lines())
        status, complaint = call.finish()
    found = None if status else read_log(text)
    if found:
        return found
    last = [line for line in text.splitlines() if line.strip()][-1:]
    problem = f"run benchmark_model on {one_line(file.name)}"
    if status or shell.lost(status, complaint):
        raise shell.error(status, "\n".join([complaint, *last]).strip(), problem)
    raise MeasurementError(
        f"Expected {shell.label} to {problem}. Received: no timings, but {one_line(' '.join(last))!r} at the "
        f"end. Run it there by hand and check that it is the tool of TensorFlow Lite or LiteRT."
    )


def _profile(shell, folder, files, plan, *, command, end):
    """The operators that took most time in each file; () of a tool that does not tell."""
    found = []
    for index in range(len(files)):
        left = max(1, round(end - time.monotonic()))
        options = _options(plan, f"{folder}/{index}.tflite", first=False, seconds=left)
        run = ["sh", "-c", _RUN, "sh", str(left), *command, *options, "--enable_op_profiling=true"]
        with shell.start(run, seconds=left + 30) as call:
            text = "\n".join(call.lines())
            status, complaint = call.finish()
        if shell.lost(status, complaint):
            raise shell.error(status, complaint, "tell times per operator")
        found.append(read_profile(text))
    return found


def _stats(files, rounds, context, conditions):
    session = uuid.uuid4().hex
    found = []
    for file, one in zip(files, rounds, strict=True):
        kind = "medians" if all(part.typical == part.median for part in one) else "means"
        known = {
            "runtime": f"benchmark_model ({kind} of {len(one)} rounds)",
            "delegate": one[0].delegate,
            "conditions": _with_memory(conditions, one),
        }
        found.append(LatencyStats.from_summary(file, **_sum_up(one), **context, **known, session=session))
    return found


def _with_memory(conditions, rounds):
    """The conditions with the most memory that the tool told of in any round."""
    told = [one.memory for one in rounds if one.memory is not None]
    if not told:
        return conditions
    after = dataclasses.replace(conditions.after, peak_memory=max(told))
    return dataclasses.replace(conditions, after=after, memory_of=TOOL_MEMORY)


def _sum_up(rounds: Sequence[ToolRound]) -> dict:
    """The figures of all rounds together; what the tool does not tell of single runs stays unknown."""
    typical = tuple(one.typical for one in rounds)
    known = {"p50": float(np.median(typical)), "round_medians": typical}
    for name, pick in (("load", np.median), ("first_invoke", np.median), ("min", np.min), ("max", np.max)):
        values = [getattr(one, name) for one in rounds]
        known[name] = None if None in values else float(pick(values))
    counts, means = [one.runs for one in rounds], np.array([one.mean for one in rounds])
    if None in counts:
        return known | {"runs": None, "mean": float(means.mean()), "std": None}
    weights = np.array(counts) / sum(counts)
    mean = float(weights @ means)
    spread = [one.std for one in rounds]
    known |= {"runs": sum(counts), "mean": mean, "std": None}
    if None not in spread:
        # The law of total variance: within the rounds, and between them.
        known["std"] = float(np.sqrt(weights @ (np.square(spread) + np.square(means - mean))))
    return known
