"""What is read off an optimizer around its step: the learning rate, the updates made, the scales."""

import keras
from keras import ops

from tf_wgsef.errors import InputError
from tf_wgsef.training._metric import check_adaptive, read_scales


class OptimizerState:
    """Reads an optimizer's variables, or values that stand for them (JAX's training state).

    Args:
        optimizer: of the compiled model. Loss scaling wraps the one that counts the updates, which is read; a
            ``MultiOptimizer`` has several.
        values: one per variable of ``optimizer``; None to read the variables themselves.
    """

    def __init__(self, optimizer, values=None):
        self._inner = getattr(optimizer, "inner_optimizer", optimizer)
        self._parts = getattr(self._inner, "optimizers", [self._inner])
        self._mapping = None if values is None else list(zip(optimizer.variables, values, strict=True))

    def progress(self):
        """The learning rate of the next update, and the number of updates made, as values of now."""

        def read():
            # Copies: a variable itself, or a sum with 0 that torch.compile leaves out, would be read after
            # the step, when it is another number.
            rate = ops.cast(ops.copy(self._parts[0].learning_rate), "float32")
            return rate, sum(ops.copy(part.iterations) for part in self._parts)

        return self._looking(read)

    @property
    def every(self) -> int:
        """After how many batches the weights are updated: more than one where gradients accumulate."""
        return max(getattr(part, "gradient_accumulation_steps", None) or 1 for part in self._parts)

    def check_one_rate(self) -> None:
        """Raises InputError if there are several optimizers, each with a learning rate of its own."""
        if len(self._parts) > 1:
            raise InputError(
                f"Expected one optimizer, whose learning rate is the penalty's step. Received: a "
                f"MultiOptimizer of {len(self._parts)}. Compile with one of them, or use penalty='wgsef' and "
                f"update='prox', which need no rate."
            )

    def scales(self, variables) -> list:
        """What each weight's step is divided by, one tensor per variable."""
        check_adaptive(self._inner)
        _, updates = self.progress()
        return self._looking(lambda: read_scales(self._inner, variables, ops.convert_to_tensor, updates))

    def _looking(self, read):
        if self._mapping is None:
            return read()
        with keras.StatelessScope(state_mapping=self._mapping):
            return read()
