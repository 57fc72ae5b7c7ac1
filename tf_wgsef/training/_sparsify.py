"""sparsify: from a Keras model and a level to a model that trains to it."""

from collections.abc import Callable, Mapping

import keras
from absl import logging

from tf_wgsef.errors import InputError
from tf_wgsef.groups import GroupSet, build_groups
from tf_wgsef.penalties import (
    WGSEF,
    GroupL0,
    GroupL1MinusL2,
    GroupLasso,
    GroupMCP,
    GroupPenalty,
    GroupSCAD,
    GroupTransformedL1,
)
from tf_wgsef.training._budget import read_budget, step_of
from tf_wgsef.training._level import Level, check_scope, preset_level
from tf_wgsef.training._proximal_model import ProximalModel
from tf_wgsef.training._update_rules import UpdateRule

_PENALTIES: dict[str, Callable[[], GroupPenalty]] = {
    "wgsef": lambda: WGSEF(1),
    "group_lasso": GroupLasso,
    "group_l0": GroupL0,
    "group_mcp": GroupMCP,
    "group_scad": GroupSCAD,
    "group_transformed_l1": GroupTransformedL1,
    "group_l1_minus_l2": GroupL1MinusL2,
}


def sparsify(
    model: keras.Model,
    *,
    sparsity: float | None = None,
    k: int | dict[str, int] | None = None,
    budget: Mapping | None = None,
    scope: str = "layer",
    groups: str | Mapping[str, str] | GroupSet = "filter",
    skip=(),
    round_to: int | str = 1,
    floor: int | Mapping[str, int] = 1,
    penalty: str | GroupPenalty = "wgsef",
    ramp: float = 0.5,
    update: str | UpdateRule = "prox",
    metric: str = "euclidean",
) -> ProximalModel:
    """Wraps ``model`` so that ``fit`` trains it to a preset level of structured sparsity.

    Args:
        model: a built Sequential or functional ``keras.Model``; trained in place.
        sparsity: share of the groups to remove, in [0, 1); at least this share goes, unless ``round_to``
            or ``floor`` keeps more.
        k: number of groups that stay instead: of every layer, {pattern of layer names: number}, or in total.
            Of patterns the first that fits counts; a layer that none fits is left alone.
        budget: what may stay of the cost instead: ``{"macs": 0.3}``, also ``"params"`` or ``"bytes"``: a
            share (a float of at most 1) or an amount; or ``{"latency": (microseconds, LatencyTable)}``.
            Groups are weighed by what they cost, re-estimated each epoch; the cost of the stripped model
            is within the budget, and no further group would fit.
        scope: ``"layer"``: the level holds in every layer; ``"global"``: in total, each layer keeping one.
            Without a budget each group counts as one there, whatever it costs. With a budget, ``"layer"``
            lets all layers keep the same share of their groups; ``"global"`` lets the groups of all layers
            compete by norm/√cost: layers whose weights are small by nature lose most.
        groups: kind of the groups (``"filter"``, ``"head"``, ``"depth"``, …: see ``build_groups``), a kind
            per pattern of layer names, such as ``{"att*": "head", "*": "filter"}``, or a ``GroupSet`` of this
            model.
        skip: names of layers to leave alone (not with a ``GroupSet``, which says it itself).
        round_to: each layer keeps a multiple of this, as the device's kernels like it (8, 16): with
            scope ``"layer"`` the number that stays is rounded up, so less than ``sparsity`` goes. ``"table"``
            takes the multiple that the budget's ``LatencyTable`` saw on the device (``channel_step``).
        floor: each layer keeps at least this many groups, whatever the level: a number, or one per pattern
            of layer names, such as ``{"conv1": 8, "block3_*": 16}``; rounded up to ``round_to``.
        penalty: ``"wgsef"``, or a ``GroupPenalty``; also a rival by its name, with a strength of 1:
            ``"group_lasso"``, ``"group_l0"``, ``"group_mcp"``, ``"group_scad"``, ``"group_transformed_l1"``
            or ``"group_l1_minus_l2"``. These have no budget: the strength decides how much they take
            before the level is met by the final choice.
        ramp: share of the epochs over which the penalty tightens; the rest fits the survivors. Between a half
            and five sixths it mattered little but where 97 % was removed (``docs/results.md``); a short one
            chooses in haste.
        update: how the penalty acts on the weights after each step of the optimizer: ``"prox"``, its
            proximal operator; ``"hspg"`` and ``"adahspg+"``, half-space steps as well; ``"sparse"``, an ℓ1 of
            single weights as well; ``"gradual"``, no penalty: what is to go is picked at the start and falls
            to zero; ``"mixed"``, that of ProxSGD, in its metric; or one of these with options of your own,
            ``HSPG(epsilon=0.1)``.
        metric: in which the prox is nearest: ``"euclidean"``, or ``"group"`` for an optimizer with a step
            size per weight (Adam and its kin, RMSprop, Adagrad), with the mean of these in each group: what
            stays is then chosen by norm and curvature rather than by norm alone.

    Returns:
        A ``ProximalModel``: compile and fit it as usual, then ``tf_wgsef.strip`` it.

    Raises:
        InputError: for a level that cannot be met, an unknown layer, or a model that cannot be read.

    Example:
        >>> import keras, tf_wgsef
        >>> hidden = keras.layers.Dense(8, activation="relu", name="hidden")
        >>> model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(1)])
        >>> tf_wgsef.sparsify(model, sparsity=0.75).level.pools[0].k
        2.0
    """
    if isinstance(groups, GroupSet):
        if skip:
            raise InputError(
                f"Expected no `skip` beside a GroupSet. Received: skip={skip!r}. "
                f"Pass groups=build_groups(model, skip={skip!r})."
            )
        group_set = groups
    else:
        group_set = build_groups(model, kind=groups, skip=skip)
    if not group_set.num_groups:
        why = "every channel is skipped, makes the output, or meets a layer without a rule"
        if groups != "filter":
            why = (
                f"there is nothing of the kind {groups!r}"
                if isinstance(groups, str)
                else "there are no groups"
            )
        raise InputError(
            f"Expected a model with channels to remove. Received: model={getattr(model, 'name', model)!r}, "
            f"where {why}. `tf-wgsef inspect` shows the layers, and why their channels stay."
        )
    check_scope(scope)
    if budget is not None:
        budget = read_budget(budget, model, group_set, evenly=scope == "layer")
    if isinstance(round_to, str):
        round_to = step_of(budget, round_to)
    level = preset_level(
        group_set, sparsity=sparsity, k=k, budget=budget, scope=scope, round_to=round_to, floor=floor
    )
    if budget is None:
        _warn_of_whole_layers(group_set, level)
    penalty = _penalty(penalty)
    return ProximalModel(model, group_set, level, penalty=penalty, ramp=ramp, update=update, metric=metric)


def _warn_of_whole_layers(groups: GroupSet, level: Level) -> None:
    whole = [groups.layers[pool.layer_of[0]] for pool in level.pools if pool.k >= len(pool.groups)]
    if whole:
        logging.warning("The level removes nothing from %s: lower k, floor or round_to.", ", ".join(whole))


def _penalty(penalty: str | GroupPenalty) -> GroupPenalty:
    if isinstance(penalty, GroupPenalty):
        return penalty
    if not isinstance(penalty, str) or penalty not in _PENALTIES:
        raise InputError(
            f"Expected `penalty` to be one of {sorted(_PENALTIES)}, or a GroupPenalty. "
            f"Received: penalty={penalty!r}."
        )
    return _PENALTIES[penalty]()
