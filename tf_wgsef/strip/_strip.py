"""strip: remove what is zero, leave the outputs the same, prove it."""

import keras
import numpy as np

from tf_wgsef.errors import InputError
from tf_wgsef.graph import ChannelGraph, build_channel_graph, check_keras_model
from tf_wgsef.strip._dataflow import Plan, plan_removal
from tf_wgsef.strip._proof import prove_equal
from tf_wgsef.strip._rebuild import rebuild
from tf_wgsef.strip._result import StrippedLayer, StripResult
from tf_wgsef.validation import check_non_negative


def strip(model, *, tolerance: float | None = None, seed: int = 0) -> StripResult:
    """Removes every channel that does not matter, and returns a smaller model that computes the same.

    Only the weights are looked at, so it does not matter what made them zero. A channel that is constant
    (zero, or a batch norm's beta behind a gamma of zero) is folded into the next bias where that is
    exact; a channel that nothing uses goes too. A layer without a rule is a barrier: what it touches stays.

    Args:
        model: a built Sequential or functional ``keras.Model``, or a ``ProximalModel``; never changed.
        tolerance: largest output difference allowed, as a share of the output range; by default 1e-5 in
            float32, more in half precision.
        seed: of the random inputs of the proof.

    Returns:
        The new model, what went and what stayed and why, and the largest output difference.

    Raises:
        InputError: if the model's graph cannot be read, or its weights are not finite.
        StripError: if the smaller model would not compute the same.

    Example:
        >>> import keras, numpy as np, tf_wgsef
        >>> hidden = keras.layers.Dense(8, activation="relu", name="hidden")
        >>> model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(2)])
        >>> groups = tf_wgsef.build_groups(model)
        >>> groups.scale(model, np.array([1, 1, 0, 0, 0, 0, 0, 0]))
        >>> tf_wgsef.strip(model).kept["hidden"]
        2
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"Expected `seed` to be a whole number of at least 0. Received: seed={seed!r}.")
    if tolerance is not None:
        check_non_negative("tolerance", tolerance)
    model = check_keras_model(model)
    _check_finite(model)
    graph = build_channel_graph(model)
    plan = plan_removal(graph)
    smaller = rebuild(graph, plan)
    proof = prove_equal(model, smaller, tolerance=tolerance, seed=seed)
    return StripResult(smaller, _layers(graph, plan), proof)


def _check_finite(model) -> None:
    for weight in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight).astype(np.float64)).all():
            raise InputError(
                f"Expected finite weights. Received: {weight.path} holds NaN or infinity. "
                f"Training has diverged: train again with a lower learning rate."
            )


def _layers(graph: ChannelGraph, plan: Plan) -> tuple[StrippedLayer, ...]:
    rows = {}
    at_output = {one for key in graph.outputs for one in graph.ids[key].tolist()}
    for call in graph.calls:
        if call.name in rows or not call.inputs or not getattr(call.layer, "weights", None):
            continue
        ids = graph.ids[call.outputs[0]]
        keeps = plan.keeps(ids)
        rows[call.name] = StrippedLayer(
            name=call.name,
            kind=type(call.layer).__name__,
            before=len(ids),
            after=int(keeps.sum()),
            reason=_reason(graph, plan, set(ids[keeps].tolist()) - at_output),
        )
    return tuple(rows.values())


def _reason(graph: ChannelGraph, plan: Plan, kept: set[int]) -> str:
    """Why these channels could not go."""
    texts = {graph.pins.get(one) or plan.reasons.get(one) for one in sorted(kept)}
    return "; ".join(sorted(text for text in texts if text))
