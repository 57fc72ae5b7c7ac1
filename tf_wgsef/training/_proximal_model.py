"""ProximalModel: a Keras model that trains to a preset level of structured sparsity."""

import inspect

import keras
import numpy as np
from absl import logging
from keras import ops

from tf_wgsef.errors import InputError
from tf_wgsef.graph import check_keras_model
from tf_wgsef.groups import GroupSet
from tf_wgsef.penalties import WGSEF, GroupPenalty
from tf_wgsef.training._check_level import check_level
from tf_wgsef.training._checks import check_count, check_penalty, check_ramp, check_trainable_by_keras
from tf_wgsef.training._custom_loop import CustomLoop
from tf_wgsef.training._level import Level
from tf_wgsef.training._level_callback import LevelCallback
from tf_wgsef.training._metric import check_metric
from tf_wgsef.training._optimizer_state import OptimizerState
from tf_wgsef.training._proximal_state import StateVariables
from tf_wgsef.training._proximal_step import ProximalStep
from tf_wgsef.training._regularizer import level_from_regularizers
from tf_wgsef.training._rule_names import update_rule
from tf_wgsef.training._saving import Saving
from tf_wgsef.training._schedules import GradualBudget, LearningRateStep
from tf_wgsef.training._strategy import check_same_strategy
from tf_wgsef.training._update_rules import UpdateRule, begin_epoch, check_rule

_WELL_USED = 0.98
"""A budget that is used up to this share is used."""


@keras.saving.register_keras_serializable("tf_wgsef")
class ProximalModel(CustomLoop, Saving, keras.Model):
    """Wraps a Keras model; each training step is the optimizer's, followed by the penalty's prox.

    Over the first part of training (``ramp``) the penalty tightens until only the preset number of groups
    is alive; then the survivors are chosen, and the rest of training fits them. ``fit`` leads through
    this by itself. Everything else (compile, evaluate, predict, callbacks) is Keras's own.

    Args:
        model: a built Sequential or functional ``keras.Model``. It is trained in place.
        groups: its groups. Without them the layers' ``WGSEFRegularizer`` say what to group.
        level: how many groups stay.
        penalty: ``WGSEF`` without its ridge if None.
        ramp: share of the epochs over which the penalty tightens, in (0, 1).
        update: ``"prox"``; ``"hspg"`` or ``"adahspg+"``, half-space steps as well; ``"sparse"``, a prox of
            single weights as well; ``"mixed"``, part of the way to the prox; ``"gradual"``, no penalty; or an
            ``UpdateRule``.
        metric: ``"euclidean"``, or ``"group"``: that of an adaptive optimizer, one number per group.

    Attributes:
        model: the wrapped model; ``.model.save(path)`` writes a plain Keras file.

    Raises:
        InputError: if the model cannot be read, trains in a way of its own, has no groups, or holds weights
            that are not finite.

    Example:
        >>> import keras, numpy as np, tf_wgsef
        >>> hidden = keras.layers.Dense(8, activation="relu", name="hidden")
        >>> model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(1)])
        >>> sparse = tf_wgsef.sparsify(model, sparsity=0.75)
        >>> sparse.compile("adam", "mse")
        >>> x = np.random.default_rng(0).normal(size=(64, 4))
        >>> history = sparse.fit(x, x[:, :1], epochs=4, verbose=0)
        >>> sparse.live_groups()
        {'hidden': 2}
    """

    wraps_a_model = True
    """Says that what the graph reads is the model inside."""

    def __init__(
        self,
        model,
        groups: GroupSet | None = None,
        level: Level | None = None,
        *,
        penalty: GroupPenalty | None = None,
        ramp: float = 0.5,
        update: str | UpdateRule = "prox",
        metric: str = "euclidean",
        **kwargs,
    ):
        model = check_trainable_by_keras(check_keras_model(model))
        # Keras scales the loss of a float16 model by the policy of the model that is compiled: this one.
        super().__init__(**{"dtype": model.dtype_policy, "autocast": False, **kwargs})
        self.model = model
        if groups is None and level is None:
            groups, level = level_from_regularizers(self.model)
        if groups is None or level is None:
            raise InputError(
                f"Expected both `groups` and `level`, or neither. Received: no "
                f"{'groups' if groups is None else 'level'}. Use tf_wgsef.sparsify(model, sparsity=0.75)."
            )
        check_level(level, groups)
        self.groups, self.level, self.ramp = groups, level, check_ramp(ramp)
        self.penalty = WGSEF(1) if penalty is None else check_penalty(penalty)
        self.update, self.metric = update_rule(update), check_metric(metric)
        check_rule(self.update, self.penalty, self.metric)
        self.at_level_before_freeze = False
        self.check_weights()
        for variable in self._targets:
            # The prox takes the penalty's place; both would count it twice.
            if getattr(variable.regularizer, "is_group_penalty", False):
                variable.regularizer = None
        self._prepare_step(groups, level)
        self.built = True

    def _prepare_step(self, groups: GroupSet, level: Level) -> None:
        debiased = isinstance(self.penalty, WGSEF) and self.penalty.debias
        self._schedule = GradualBudget.for_ramp(self.ramp) if debiased else LearningRateStep()
        self._step = ProximalStep(groups, level, self.penalty, self._schedule, self.update)
        self._costs = None if level.budget is None else level.budget.costs(self.model, groups)
        self._state = StateVariables(
            groups.num_groups,
            0 if self._costs is None else len(level.pools),
            self.update.state(groups.num_groups, [tuple(v.shape) for v in self._targets]),
            self._state_weight,
        )
        check_same_strategy(self._state.variables[0], self._targets)
        if self._costs is not None:
            self._estimate_costs()

    def call(self, inputs, training=None, mask=None):
        """Runs the wrapped model."""
        return self.model(inputs, training=training, mask=mask)

    @property
    def output_names(self):
        """The names of the wrapped model's outputs, by which losses and metrics may be given."""
        return getattr(self.model, "output_names", None)

    @property
    def frozen(self) -> bool:
        """Whether the survivors are chosen."""
        return self._state.number("frozen") > 0

    @property
    def position(self) -> tuple[int, int]:
        """The epoch that the weights come from, and the batches of it that they have seen."""
        return int(self._state.number("epoch")), int(self._state.number("batch"))

    def cost(self) -> dict[str, float]:
        """What ``strip`` would leave now and what the budget allows, ``{"macs": …, "budget": …}``.

        Raises:
            InputError: if the level is no budget.
        """
        if self._costs is None:
            raise InputError(
                "Expected a model with a budget. Received: one with a level in groups. Pass "
                'budget={"macs": 0.3} to sparsify, or see tf_wgsef.profile(tf_wgsef.strip(model).model).'
            )
        budget = self.level.budget
        return {budget.unit: self._costs.total(self._norms() > 0), "budget": budget.amount}

    def live_groups(self) -> dict[str, int]:
        """Counts the groups that are not zero now, {layer name: number}."""
        alive = self._norms() > 0
        counts = np.bincount(self.groups.layer_of[alive], minlength=len(self.groups.layers))
        return dict(zip(self.groups.layers, counts.tolist(), strict=True))

    def fit(self, *args, **kwargs):
        """Trains as ``keras.Model.fit`` does, with the same arguments, and meets the level at the end.

        The ramp runs over the first ``ramp`` share of ``epochs``. With a single epoch the choice falls at
        its end, with no training after it. A later call of ``fit`` trains the survivors on.

        Returns:
            Keras's ``History``, with ``live_groups`` beside the metrics.
        """
        bound = inspect.signature(super().fit).bind(*args, **kwargs)
        given = bound.arguments.get("callbacks")
        if given is None:
            given = []
        elif isinstance(given, keras.callbacks.CallbackList):
            given = given.callbacks
        elif isinstance(given, keras.callbacks.Callback):
            given = [given]
        bound.arguments["callbacks"] = [*given, LevelCallback(given)]
        try:
            return super().fit(*bound.args, **bound.kwargs)
        except KeyboardInterrupt:
            if self.frozen:
                self.hold()  # JAX finishes the averages of the weights (EMA) on the way out
            alive, total = sum(self.live_groups().values()), self.groups.num_groups
            logging.warning(
                "Training was interrupted with %d of %d groups alive. The weights are kept in .model; "
                "call fit again to go on, or freeze() to cut to the level now.",
                alive,
                total,
            )
            raise

    def train_step(self, *args):
        """One step of the optimizer, then the prox on what it updated."""
        self._warn_unless_begun()
        if keras.backend.backend() == "jax":
            return self._stateless_train_step(*args)
        with self._followed_by_prox(self.optimizer):
            logs = super().train_step(*args)
        return {**logs, "live_groups": self._state.read().live}

    def freeze(self) -> None:
        """Chooses the survivors now, by norm, and zeroes the other groups; they stay zero from here on.

        Raises:
            InputError: if the weights are no longer finite.
        """
        self.check_weights()
        norms, stays = self._norms(), self._choose()
        self.at_level_before_freeze = bool((norms[~stays] == 0).all())
        if (norms[stays] == 0).any():
            logging.warning(
                "Only %d of the %d groups that the level keeps are not zero: the penalty took more than the "
                "level asks. Use a lower strength, or penalty='wgsef', which cannot.",
                int((norms[stays] > 0).sum()),
                int(stays.sum()),
            )
        elif self._costs is not None:
            self._warn_of_unused_budget(norms, stays)
        self._state.assign(mask=stays.astype("float32"), kept=float(stays.sum()), frozen=1.0)
        self.hold()

    def _warn_of_unused_budget(self, norms: np.ndarray, stays: np.ndarray) -> None:
        budget, used = self.level.budget, self._costs.total(stays)
        if used >= _WELL_USED * budget.amount or (norms > 0).all() or not (norms > 0).any():
            return
        # What would stay if the dead groups were alive, behind all others.
        revived = np.where(norms > 0, norms, 1e-6 * norms[norms > 0].min())
        most = self._costs.total(self.level.select(self.groups, revived, self._costs))
        if used < _WELL_USED * most:
            logging.warning(
                "The groups that are not zero use %.0f %% of the budget, and %.0f %% could be: the penalty "
                "took more than the budget asks. Use a lower strength, or penalty='wgsef', which cannot.",
                100 * used / budget.amount,
                100 * most / budget.amount,
            )

    def hold(self) -> None:
        """Zeroes the groups that were not chosen again, whatever has written to them since."""
        self.groups.scale(self.model, self._state.mask())
        self._state.assign(live=float((self._norms() > 0).sum()))

    def check_weights(self) -> None:
        """Checks that no weight of the groups is NaN or infinite: the choice of survivors would be wrong.

        Raises:
            InputError: naming the variable, if one is.
        """
        for variable in self._targets:
            if not np.isfinite(ops.convert_to_numpy(variable).astype(np.float64)).all():
                raise InputError(
                    f"Expected finite weights. Received: {variable.path} holds NaN or infinity. Load the "
                    f"weights again, or train with a lower learning rate."
                )

    def begin_ramp(self, epochs: int, *, initial_epoch: int = 0) -> int:
        """Lays the ramp over the first part of training, leaving an epoch after it where there are two.

        Args:
            epochs: the epoch at which training ends.
            initial_epoch: the epoch at which it begins. A ramp that began before it is taken up again.

        Returns:
            The epoch at which the survivors are chosen.

        Raises:
            InputError: if a number is not whole, ``epochs`` below 1 or ``initial_epoch`` below 0.
        """
        epochs, initial_epoch = check_count("epochs", epochs, 1), check_count("initial_epoch", initial_epoch)
        begun, start = self._state.number("ramp_epochs") > 0, self._state.number("ramp_start")
        start = min(start, initial_epoch) if begun else initial_epoch
        epochs = max(epochs - start, 1)
        length = min(max(round(self.ramp * epochs), 1), max(epochs - 1, 1))
        self._state.assign(ramp_start=float(start), ramp_epochs=float(length))
        return int(start) + length

    def begin_epoch(self, epoch: int, steps: int | None) -> None:
        """Notes where training stands; chooses the survivors when the ramp is over.

        Args:
            epoch: number of the epoch that begins, from 0.
            steps: its number of batches; None for as many as the last epoch had, if there was one.

        Raises:
            InputError: if ``begin_ramp`` was never called, or a number is not whole or below 0.
        """
        epoch, steps = check_count("epoch", epoch), None if steps is None else check_count("steps", steps)
        if not self._state.number("ramp_epochs") > 0:
            raise InputError(
                f"Expected begin_ramp(epochs) before the first begin_epoch. Received: begin_epoch({epoch}, "
                f"{steps}) of a model whose ramp has no length. Call begin_ramp with the number of epochs."
            )
        self._begun = True
        before, seen = self.position
        if not steps:
            # The weights know it, so that a run that resumes goes on as the one that was interrupted.
            steps = seen if epoch == before + 1 else self._state.number("steps")
        self._state.assign(epoch=float(epoch), batch=0.0, steps=float(steps))
        if not self.frozen:
            if epoch >= self._state.number("ramp_start") + self._state.number("ramp_epochs"):
                self.freeze()
            elif self._costs is not None:
                self._estimate_costs()
        self._state.assign(rule=begin_epoch(self.update, self._state.read(), self._choose))

    def _stateless_train_step(self, state, data):
        """The same on JAX, whose training state goes in and comes out as lists of values."""
        learning_rate, before = self._optimizer_state(self.optimizer, state[2]).progress()
        previous = self._values(self._by_id(*state[:2])) if self.update.needs_previous else None
        logs, (trained, other, optimizer_values, metrics) = super().train_step(state, data)
        optimizer = OptimizerState(self.optimizer, optimizer_values)
        _, after = optimizer.progress()
        scales = optimizer.scales(self._targets) if self.metric == "group" else None
        found = self._by_id(trained, other)
        values, after_step = self._step(
            self._values(found),
            self._state.read(found),
            learning_rate,
            after > before,
            previous,
            scales,
            optimizer.every,
        )
        found.update(zip(map(id, self._targets), values, strict=True))
        found.update((id(variable), value) for variable, value in self._state.after_step(after_step))
        trained = [found[id(variable)] for variable in self.trainable_variables]
        other = [found[id(variable)] for variable in self.non_trainable_variables]
        return {**logs, "live_groups": after_step.live}, (trained, other, optimizer_values, metrics)

    def _optimizer_state(self, optimizer, values=None) -> OptimizerState:
        state = OptimizerState(optimizer, values)
        if self.update.needs_learning_rate or not self._schedule.up_to_one:
            state.check_one_rate()
        return state

    def _estimate_costs(self) -> None:
        """Weighs each group by what it costs given the groups that would stay now, of each pool.

        The penalty's budget is what those weigh: so it pulls towards a choice whose true cost is right.
        """
        stays = self._choose()
        weights = self._costs.weights(stays)
        weights /= weights.mean() or 1.0
        budgets = [pool.budget_while_tightening(stays, weights) for pool in self.level.pools]
        self._state.assign(costs=weights, budgets=budgets)

    def _choose(self) -> np.ndarray:
        """Which groups stay if the choice falls now, bool of shape (num_groups,)."""
        return self.level.select(self.groups, self._norms(), self._costs)

    def _values(self, found: dict | None = None) -> list:
        return [found[id(v)] if found else ops.stop_gradient(v) for v in self._targets]

    def _by_id(self, trained, other) -> dict:
        found = dict(zip(map(id, self.trainable_variables), trained, strict=True))
        found.update(zip(map(id, self.non_trainable_variables), other, strict=True))
        return found

    @property
    def _targets(self) -> list:
        # Looked up each time: Keras would track and save an attribute that holds them a second time.
        return self.groups.variables(self.model)

    def _state_weight(self, name: str, shape: tuple):
        return self.add_weight(
            name=name,
            shape=shape,
            initializer="zeros",
            trainable=False,
            dtype="float32",
            autocast=False,
        )

    def _norms(self) -> np.ndarray:
        return ops.convert_to_numpy(self.groups.norms(self.model))
