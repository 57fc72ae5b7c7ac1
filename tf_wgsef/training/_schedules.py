"""How the penalty tightens while training: its step, and its budget on the way to the level."""

import dataclasses

from keras import ops

from tf_wgsef.errors import InputError
from tf_wgsef.validation import is_finite_number


@dataclasses.dataclass(frozen=True)
class GradualBudget:
    """The schedule of the debiased WGSEF: the budget falls to the level's, then the step grows to 1.

    While the budget falls, few groups at a time are outside it. With the step s these lose about the share s
    of their norm in each step, so that they go within 1/s steps: the others take over, and which groups go
    next is decided by the network as it is then. With a budget that is the level's from the start all choices
    fall together, as soon as the steps add up to 1, in long training within its first epochs.

    With p the progress of the ramp and T its length in steps, ::

        budget = k + (1 - p/``until``)³ · (all - k)      the cubic of Zhu & Gupta 2017, arXiv:1710.01878
        s      = min(1, ``pace``/T)                      while p <= ``until``; then geometrically to 1

    The learning rate plays no part, and where the choice falls does not depend on T. Only the cubic is from a
    paper; the rest is ours, with figures in ``docs/results.md``.

    Attributes:
        until: share of the ramp over which the budget falls, in (0, 1).
        pace: how often a group that is outside could vanish within the ramp, at least 1.

    Raises:
        InputError: if a number is outside its range.
    """

    until: float = 0.8
    pace: float = 5.0
    up_to_one = True

    @classmethod
    def for_ramp(cls, ramp: float) -> "GradualBudget":
        """The schedule of a ramp of so large a share of the epochs, in (0, 1).

        Where the ramp is longer than half of training, the budget falls and groups vanish as fast as in a
        ramp of half of it, while the learning rate lasts; the longer time goes to the growth to 1.

        Example:
            >>> GradualBudget.for_ramp(0.5), GradualBudget.for_ramp(0.8)
            (GradualBudget(until=0.8, pace=5.0), GradualBudget(until=0.5, pace=8.0))
        """
        longer = max(2.0 * ramp, 1.0)
        return cls(cls.until / longer, cls.pace * longer)

    def __post_init__(self):
        if not is_finite_number(self.until) or not 0 < self.until < 1:
            raise InputError(
                f"Expected `until` in (0, 1), the share of the ramp over which the budget falls. Received: "
                f"until={self.until!r}. Pass 0.8 to leave a fifth of it to the end."
            )
        if not is_finite_number(self.pace) or self.pace < 1:
            raise InputError(f"Expected `pace` to be a number of at least 1. Received: pace={self.pace!r}.")

    def step_size(self, progress, learning_rate, steps):
        """Step at ``progress`` in [0, 1] of a ramp of so many ``steps``, scalar tensors.

        Example:
            >>> schedule = GradualBudget(until=0.5, pace=10)
            >>> [round(float(schedule.step_size(p, 0.1, 1000)), 3) for p in (0.25, 0.5, 0.75, 1.0)]
            [0.01, 0.01, 0.1, 1.0]
        """
        steps = ops.maximum(ops.cast(steps, "float32"), 1.0)
        slow = ops.minimum(self.pace / steps, 1.0)
        end = ops.maximum((progress - self.until) / (1.0 - self.until), 0.0)
        return ops.exp((1.0 - end) * ops.log(slow))

    def room(self, progress):
        """Share of what is beyond the level that the budget still leaves, a scalar tensor.

        Example:
            >>> [round(float(GradualBudget(until=0.5).room(p)), 3) for p in (0.0, 0.25, 0.5, 1.0)]
            [1.0, 0.125, 0.0, 0.0]
        """
        left = ops.maximum(1.0 - progress / self.until, 0.0)
        return left * left * left


@dataclasses.dataclass(frozen=True)
class LearningRateStep:
    """The step of the textbook proximal gradient method: the learning rate, all the time, at the level."""

    up_to_one = False

    def step_size(self, progress, learning_rate, steps):
        """The learning rate of this step, a scalar tensor."""
        return learning_rate

    def room(self, progress):
        """None: the budget is the level's."""
