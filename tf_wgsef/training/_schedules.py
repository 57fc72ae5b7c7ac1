"""How the proximal step grows while training: strength is scheduled, never asked for."""

import dataclasses

from keras import ops


@dataclasses.dataclass(frozen=True)
class GeometricRamp:
    """The step of the debiased WGSEF: grows geometrically from ``start`` to 1, the hard projection.

    It does not depend on the learning rate: 0 is plain training, 1 keeps exactly the k best groups.

    Attributes:
        start: step at the beginning of the ramp, in (0, 1).
    """

    start: float = 1e-3
    up_to_one = True

    def step_size(self, progress, learning_rate):
        """Step at ``progress`` in [0, 1], scalar tensors.

        Example:
            >>> round(float(GeometricRamp(start=0.01).step_size(0.5, 0.1)), 3)
            0.1
        """
        return ops.exp((1.0 - progress) * ops.log(ops.cast(self.start, "float32")))


@dataclasses.dataclass(frozen=True)
class LearningRateStep:
    """The step of the textbook proximal gradient method: the learning rate, all the time."""

    up_to_one = False

    def step_size(self, progress, learning_rate):
        """The learning rate of this step, a scalar tensor."""
        return learning_rate
