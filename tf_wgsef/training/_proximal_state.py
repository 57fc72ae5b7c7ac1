"""What the proximal step carries from batch to batch, as values and as variables of the model."""

import dataclasses
from typing import Any

import numpy as np
from keras import ops

SCALARS = ("epoch", "batch", "steps", "ramp_start", "ramp_epochs", "frozen", "kept", "live")


@dataclasses.dataclass(frozen=True)
class ProximalState:
    """What the step carries from batch to batch; scalars but for the last four.

    Attributes:
        epoch: number of the running epoch.
        batch: batches seen in this epoch.
        steps: batches in an epoch, 0 while unknown.
        ramp_start: the epoch at which the ramp starts.
        ramp_epochs: how many epochs the ramp takes.
        frozen: 1 when the surviving groups are chosen, else 0.
        kept: number of groups that stay once frozen.
        live: number of groups that are not zero.
        mask: 1 for the groups that stay once frozen, shape (num_groups,).
        costs: weight d_g of each group where a budget re-estimates it, shape (num_groups,); else None.
        budgets: the k of each pool in that case, shape (num_pools,).
        rule: what the update rule carries, {name: tensor}.
    """

    epoch: Any
    batch: Any
    steps: Any
    ramp_start: Any
    ramp_epochs: Any
    frozen: Any
    kept: Any
    live: Any
    mask: Any
    costs: Any = None
    budgets: Any = None
    rule: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def progress(self):
        """How far the ramp has come, in [0, 1]."""
        within = ops.minimum(self.batch / ops.maximum(self.steps, 1.0), 1.0)
        within = ops.where(self.steps > 0, within, 0.0)
        passed = self.epoch - self.ramp_start + within
        return ops.minimum(passed / ops.maximum(self.ramp_epochs, 1.0), 1.0)


class StateVariables:
    """The state as variables, which the model saves and restores with its weights.

    Args:
        num_groups: number of groups of the model.
        num_pools: number of pools with a budget that is re-estimated; 0 if there is none.
        rule: what the update rule carries at first, {name: array}.
        add: makes a variable of the model from a name and a shape, all zero.
    """

    def __init__(self, num_groups: int, num_pools: int, rule: dict, add):
        self._own = {name: add(name, ()) for name in SCALARS}
        self._own["mask"] = add("mask", (num_groups,))
        if num_pools:
            self._own["costs"] = add("group_costs", (num_groups,))
            self._own["budgets"] = add("budgets", (num_pools,))
        self._rule = {name: add(f"rule_{name}", np.shape(value)) for name, value in rule.items()}
        self.assign(rule=rule, live=float(num_groups))

    @property
    def variables(self) -> list:
        """All of them."""
        return [*self._own.values(), *self._rule.values()]

    def read(self, values: dict | None = None) -> ProximalState:
        """Returns the state, taken from ``values``, {id of the variable: tensor}, if given."""

        def value(variable):
            return ops.convert_to_tensor(variable) if values is None else values[id(variable)]

        own = {name: value(variable) for name, variable in self._own.items()}
        return ProximalState(**own, rule={name: value(one) for name, one in self._rule.items()})

    def number(self, name: str) -> float:
        """Returns one of the scalars."""
        return float(ops.convert_to_numpy(self._own[name]))

    def mask(self) -> np.ndarray:
        """Returns the mask, shape (num_groups,)."""
        return ops.convert_to_numpy(self._own["mask"])

    def assign(self, *, rule: dict | None = None, **values) -> None:
        """Writes what is given, by name."""
        for name, value in values.items():
            self._own[name].assign(value)
        for name, value in (rule or {}).items():
            self._rule[name].assign(value)

    def after_step(self, state: ProximalState) -> list[tuple]:
        """Returns (variable, value) of all that a step changes."""
        changed = [(self._own["batch"], state.batch), (self._own["live"], state.live)]
        return changed + [(self._rule[name], value) for name, value in state.rule.items()]
