"""strip: remove what is zero, leave the outputs the same, prove it."""

import keras
import numpy as np

from tf_wgsef.errors import InputError, StripError
from tf_wgsef.graph import ChannelGraph, Plan, build_channel_graph, check_keras_model, plan_removal
from tf_wgsef.strip._blueprint import Blueprint
from tf_wgsef.strip._proof import prove_equal
from tf_wgsef.strip._rebuild import rebuild
from tf_wgsef.strip._result import StrippedLayer, StripResult
from tf_wgsef.validation import check_non_negative, check_positive_int


def strip(model, *, round_to: int = 1, tolerance: float | None = None, seed: int = 0) -> StripResult:
    """Removes every channel that does not matter, and returns a smaller model that computes the same.

    Only the weights are looked at, so it does not matter what made them zero. A channel that is constant
    (zero, or a batch norm's beta behind a gamma of zero) is folded into the next bias where that is
    exact; a channel that nothing uses goes too. A residual branch that is all zero disappears with its Add,
    and so do layers that return their input; kernel rows and columns that are zero in all channels are cut
    off. A layer without a rule is a barrier: what it touches stays.

    Args:
        model: a built Sequential or functional ``keras.Model``, or a ``ProximalModel``; never changed.
        round_to: keep a few silent channels so that layers have a multiple of this number of filters or
            units, as devices like; the live ones always stay.
        tolerance: largest output difference allowed, as a share of the output range. By default 1e-5 in
            float32 and more in half precision; more also where rounding alone does more, as measured by
            moving inputs and weights by one step of their dtype.
        seed: of the random inputs of the proof.

    Returns:
        The new model, what went and what stayed and why, and the largest output difference.

    Raises:
        InputError: if the model's graph cannot be read, or its weights are not finite.
        StripError: if the smaller model would not compute the same, nothing is left to compute, or two
            layers hold the same weights.

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
    check_positive_int("round_to", round_to)
    model = check_keras_model(model)
    _check_finite(model)
    graph = build_channel_graph(model)
    plan = plan_removal(graph, round_to=round_to)
    _check_some_path(graph, plan)
    _check_sharing(graph)
    blueprint = Blueprint(graph, plan)
    smaller = rebuild(blueprint)
    sizes = frozenset(size for call in graph.calls for shape in call.output_shapes for size in shape if size)
    proof = prove_equal(model, smaller, tolerance=tolerance, seed=seed, avoid=sizes)
    return StripResult(smaller, _layers(blueprint), _vanished(graph, plan), proof)


def _check_finite(model) -> None:
    for weight in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight).astype(np.float64)).all():
            raise InputError(
                f"Expected finite weights. Received: {weight.path} holds NaN or infinity. "
                f"Training has diverged: train again with a lower learning rate."
            )


def _check_some_path(graph: ChannelGraph, plan: Plan) -> None:
    """A model whose outputs are all constant has nothing left to compute."""

    def is_constant(keys) -> bool:
        return all(np.isfinite(plan.values[key]).all() for key in keys)

    if is_constant(graph.outputs):
        silent = next(call for call in graph.calls if call.inputs and is_constant(call.outputs))
        raise StripError(
            f"Expected a model whose output depends on its input. Received: model={graph.model.name!r}, "
            f"whose outputs are constant: all that comes out of {silent.describe()} is. Train it with a "
            f"lower sparsity, or with a floor for this layer."
        )


def _check_sharing(graph: ChannelGraph) -> None:
    """Layers are made again one by one: weights that two of them hold would be two after that."""
    holders: dict[int, object] = {}
    for reading, _ in graph.scopes.values():
        for call in reading.calls:
            if isinstance(call.layer, keras.Model):
                continue
            for weight in getattr(call.layer, "weights", ()):
                other = holders.setdefault(id(weight), call.layer)
                if other is not call.layer:
                    raise StripError(
                        f"Expected weights that are shared by calling one layer several times. Received: "
                        f"{weight.path!r}, which both {other.name!r} and {call.layer.name!r} hold: they "
                        f"would be two after the strip. Use one layer for both."
                    )


def _layers(blueprint: Blueprint) -> tuple[StrippedLayer, ...]:
    graph, plan = blueprint.graph, blueprint.plan
    rows = {}
    at_output = {one for key in graph.outputs for one in graph.ids[key].tolist()}
    for call in graph.calls:
        if call.name in rows or not call.inputs or not getattr(call.layer, "weights", None):
            continue
        ids = graph.ids[call.outputs[0]]
        lives = not plan.needed.isdisjoint(call.outputs)
        keeps = plan.keeps(ids) & lives
        rows[call.name] = StrippedLayer(
            name=call.name,
            kind=type(call.layer).__name__,
            before=len(ids),
            after=int(keeps.sum()),
            window=_window(blueprint, call.layer) if lives else "",
            reason=_reason(graph, plan, set(ids[keeps].tolist()) - at_output),
        )
    return tuple(rows.values())


def _window(blueprint: Blueprint, layer) -> str:
    """How the kernel's window shrinks, such as ``5×5 → 3×3``; empty if it does not."""
    crop = blueprint.crop(layer)
    if crop is None:
        return ""
    old, new = ("×".join(map(str, size)) for size in (layer.kernel_size, crop.kernel_size))
    return f"{old} → {new}"


def _vanished(graph: ChannelGraph, plan: Plan) -> tuple[str, ...]:
    """Names of the layers that no application needs: on a dead branch, or returning their input."""
    lives = {
        call.name
        for number, call in enumerate(graph.calls)
        if number not in plan.bypassed and not plan.needed.isdisjoint(call.outputs)
    }
    return tuple(dict.fromkeys(call.name for call in graph.calls if call.inputs and call.name not in lives))


def _reason(graph: ChannelGraph, plan: Plan, kept: set[int]) -> str:
    """Why these channels could not go."""
    texts = {graph.pins.get(one) or plan.reasons.get(one) for one in sorted(kept)}
    return "; ".join(sorted(text for text in texts if text))
