"""One run of a comparison: training to the cut, strip, training on, the figures."""

import contextlib
import dataclasses
import datetime
from collections.abc import Callable

import keras
import numpy as np
from absl import logging

from tf_wgsef.errors import InputError, WGSEFError
from tf_wgsef.graph import in_float32, profile
from tf_wgsef.strip import strip
from tf_wgsef.workflows.compare._methods import METHODS
from tf_wgsef.workflows.compare._run import Run
from tf_wgsef.workflows.compare._run_state import OutOfTime, RunState, UnusableState
from tf_wgsef.workflows.compare._trainer import Advance, Trainer, accuracy, is_softmax
from tf_wgsef.workflows.data import ImageData


def execute(
    run: Run,
    data: ImageData,
    build: Callable[[], keras.Model],
    *,
    latency: bool = False,
    advance: Advance | None = None,
    state: RunState | None = None,
    keep: Callable[[keras.Model], object] | None = None,
) -> dict:
    """Trains to the cut, strips, trains the rest, measures; goes on where a stopped run stood.

    The survivors train on as the stripped network: the same as with the others held at zero, and cheaper.

    Args:
        run: what is to be done.
        data: the recipe's data.
        build: makes the recipe's network.
        latency: whether the file is measured on this machine.
        advance: is told how much of the training is done, in [0, 1].
        state: where the run stands; from the start if None.
        keep: is given the network that is measured.

    Returns:
        The run's settings and the name of its ``data`` with ``accuracy_before_cut``,
        ``accuracy_after_cut``, ``accuracy`` (after training on), ``parameters``, ``macs``, ``file_bytes``,
        ``latency_us``, ``max_abs_diff`` of the strip, ``seconds``, ``date``, and what the method notes.

    Raises:
        OutOfTime: at the state's deadline, when the state is kept.
        InputError: if weights are no longer finite: what they answer is no result.
    """
    data = data.first(run.samples, run.validation)
    state = RunState(None, run, data.name) if state is None else state
    with _computing_in(run.precision):
        try:
            model = _trained(run, data, build, advance, state)
        except UnusableState as error:
            logging.warning("The state of a stopped run cannot be used (%s): the run begins anew.", error)
            state.clear()
            model = _trained(run, data, build, advance, state)
    _check_finite(model)
    model = in_float32(model)
    found = {**state.found, "accuracy": accuracy(model, data)}
    model = METHODS[run.method].finish(model)
    if keep is not None:
        keep(model)
    costs = profile(model)
    found |= {"parameters": costs.parameters, "macs": costs.macs, **file_figures(model, latency)}
    found["seconds"] = state.seconds
    found["date"] = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    return {**dataclasses.asdict(run), **found, "data": data.name}


@contextlib.contextmanager
def _computing_in(precision: str | None):
    """Layers made inside compute in this dtype policy; None leaves it as it is."""
    before = keras.config.dtype_policy()
    if precision is not None:
        keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _check_finite(model: keras.Model) -> None:
    for variable in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(variable).astype("float64")).all():
            raise InputError(
                f"Expected finite weights. Received: {variable.path} holds NaN or infinity after training. "
                f"Train with a lower learning rate."
            )


def _trained(run: Run, data: ImageData, build, advance: Advance | None, state: RunState) -> keras.Model:
    """The network at the end of both parts."""
    keras.utils.set_random_seed(run.seed)
    model = build()
    trainer = Trainer(run, data, advance or (lambda share: None), state, softmax=is_softmax(model))
    model = state.load_cut() if state.is_cut else _until_cut(model, run, data, trainer, state)
    # The same order of the data for every method, whatever was drawn before.
    keras.utils.set_random_seed(run.seed + 1_000_000)
    trainer.after_cut(model)
    return model


def _until_cut(model, run: Run, data: ImageData, trainer: Trainer, state: RunState) -> keras.Model:
    model = METHODS[run.method].until_cut(model, run, trainer)
    trainer.note("max_abs_diff", None)
    if METHODS[run.method].strips:
        result = strip(model)
        model = result.model
        trainer.note("max_abs_diff", result.max_abs_diff)
    trainer.note("accuracy_after_cut", accuracy(model, data))
    if run.first < run.epochs and not state.deadline.leaves(0):
        state.keep(model, run.first)
        raise OutOfTime
    return model


def file_figures(model, latency: bool) -> dict:
    """Returns the bytes of the converted file, and its latency; None where there are none.

    Args:
        model: what is converted, in float.
        latency: whether it is measured on this machine.
    """
    if keras.backend.backend() != "tensorflow":
        return {"file_bytes": None, "latency_us": None}
    from tf_wgsef.convert import convert
    from tf_wgsef.measure import measure

    figures = {"file_bytes": None, "latency_us": None}
    try:
        file = convert(model)
        figures["file_bytes"] = len(file)
        if latency:
            figures["latency_us"] = measure(file).p50
    except WGSEFError as error:  # the training is done, and its accuracy known
        logging.warning("A figure of the file is missing: %s", error)
    return figures
