"""The prox in a training loop of one's own."""

import contextlib
import dataclasses
import numbers

import keras
from absl import logging
from keras import ops

from tf_wgsef.errors import InputError
from tf_wgsef.validation import is_finite_number


class CustomLoop:
    """What a loop without ``fit`` needs of a ``ProximalModel``, beside ``begin_ramp`` and ``begin_epoch``.

    ``docs/training.md`` has a loop for each backend.
    """

    _begun = _warned = False

    @contextlib.contextmanager
    def proximal_step(self, optimizer):
        """Follows the update that is made inside the ``with`` block by the prox.

        The learning rate is read before the update, as the prox belongs to the step just taken, and a step
        that updates nothing (gradient accumulation, a loss scale that overflowed) gets no prox. If the block
        raises, there is none either.

        Call ``begin_ramp(epochs)`` before the loop, ``begin_epoch(epoch, steps)`` at the start of each
        epoch, outside of compiled functions, and ``freeze()`` at the end: it makes the final choice if the
        loop was too short for it, and otherwise changes nothing.

        Args:
            optimizer: the ``keras.optimizers.Optimizer`` that makes the update; or, if another kind does
                (``torch.optim``), the learning rate of this update.

        Raises:
            InputError: if ``optimizer`` is neither, or no epoch was begun.

        Example:
            >>> import keras, numpy as np, tensorflow as tf, tf_wgsef
            >>> hidden = keras.layers.Dense(8, activation="relu", name="hidden")
            >>> model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(1)])
            >>> sparse, optimizer = tf_wgsef.sparsify(model, k=2), keras.optimizers.SGD(0.1)
            >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
            >>> sparse.begin_ramp(4)
            2
            >>> for epoch in range(4):
            ...     sparse.begin_epoch(epoch, 1)
            ...     with tf.GradientTape() as tape:
            ...         loss = tf.reduce_mean((sparse(x, training=True) - x[:, :1]) ** 2)
            ...     gradients = tape.gradient(loss, sparse.trainable_variables)
            ...     with sparse.proximal_step(optimizer):
            ...         optimizer.apply(gradients, sparse.trainable_variables)
            >>> sparse.freeze()
            >>> sparse.live_groups()
            {'hidden': 2}
        """
        self._check_begun()
        if isinstance(optimizer, keras.optimizers.Optimizer):
            with self._followed_by_prox(optimizer):
                yield
            return
        if self.metric == "group":
            raise InputError(
                f"Expected a keras.optimizers.Optimizer for metric='group', which reads its variables. "
                f"Received: {optimizer!r}. Use one, or metric='euclidean'."
            )
        learning_rate, previous = _learning_rate(optimizer), self._previous()
        yield
        self._apply_prox(learning_rate, True, previous)

    def stateless_proximal_step(self, optimizer, gradients, state):
        """The same as a pure function, for a step that ``jax.jit`` compiles: the update, then the prox.

        The state holds where the ramp stands: read it after ``begin_epoch``, and write it back to the
        variables before the next one (``docs/training.md``).

        Args:
            optimizer: a ``keras.optimizers.Optimizer`` that was built:
                ``optimizer.build(sparse.trainable_variables)``.
            gradients: one for each of ``sparse.trainable_variables``.
            state: values of ``sparse.trainable_variables``, ``sparse.non_trainable_variables`` and
                ``optimizer.variables``, three lists.

        Returns:
            The new state, a tuple of three lists.

        Raises:
            InputError: if ``optimizer`` is no optimizer of Keras, or no epoch was begun.
        """
        if not isinstance(optimizer, keras.optimizers.Optimizer):
            raise InputError(
                f"Expected a keras.optimizers.Optimizer, whose update can be made here. Received: "
                f"optimizer={optimizer!r}. Pass keras.optimizers.SGD(0.1), say."
            )
        variables = (self.trainable_variables, self.non_trainable_variables, optimizer.variables)
        try:
            mapping = [
                pair
                for known, values in zip(variables, state, strict=True)
                for pair in zip(known, values, strict=True)
            ]
        except (TypeError, ValueError) as error:
            raise InputError(
                f"Expected `state` to be the values of sparse.trainable_variables, "
                f"sparse.non_trainable_variables and optimizer.variables, three lists of "
                f"{', '.join(str(len(known)) for known in variables)}. Received: something else ({error}). "
                f"Build the optimizer with optimizer.build(sparse.trainable_variables) first."
            ) from error
        with keras.StatelessScope(state_mapping=mapping) as scope, self.proximal_step(optimizer):
            optimizer.apply(gradients, self.trainable_variables)
        return tuple([scope.get_current_value(variable) for variable in known] for known in variables)

    @contextlib.contextmanager
    def _followed_by_prox(self, optimizer):
        # The learning rate is read before the update: a schedule moves on inside it.
        learning_rate, before = self._optimizer_state(optimizer).progress()
        previous = self._previous()
        yield
        state = self._optimizer_state(optimizer)
        _, after = state.progress()
        scales = state.scales(self._targets) if self.metric == "group" else None
        self._apply_prox(learning_rate, after > before, previous, scales, state.every)

    def _previous(self) -> list | None:
        """Copies of the values before the update, if the rule needs them."""
        if not self.update.needs_previous:
            return None
        return [ops.copy(ops.stop_gradient(variable)) for variable in self._targets]

    def _apply_prox(self, learning_rate, updated, previous=None, scales=None, every=1) -> None:
        """Applies the prox to the variables as they are now."""
        values = [ops.stop_gradient(variable) for variable in self._targets]
        state = self._state.read()
        values, state = self._step(values, state, learning_rate, updated, previous, scales, every)
        # The count waits for the data: TensorFlow would make it while the iterator finds there is no more.
        waits = ops.cast(ops.reshape(values[0], (-1,))[0] > 0, "float32") * 0.0
        state = dataclasses.replace(state, batch=state.batch + waits)
        for variable, value in zip(self._targets, values, strict=True):
            variable.assign(value)
        for variable, value in self._state.after_step(state):
            variable.assign(value)

    def _warn_unless_begun(self) -> None:
        if not (self._begun or self._warned):
            self._warned = True
            logging.warning(
                "A training step without begin_ramp(epochs) and begin_epoch(epoch, steps): until the "
                "survivors are chosen, the ramp stands still and no group goes. fit calls them; loops must."
            )

    def _check_begun(self) -> None:
        if not self._begun:
            raise InputError(
                "Expected begin_epoch(epoch, steps) at the start of each epoch, after begin_ramp(epochs). "
                "Received: proximal_step without it. The ramp would stand still, and no group would go."
            )


def _learning_rate(value):
    """The learning rate of an optimizer of another kind, a scalar tensor."""
    if isinstance(value, numbers.Real) and not (is_finite_number(value) and value >= 0):
        raise _not_a_rate(value)
    try:
        rate = ops.convert_to_tensor(value, dtype="float32")
    except (TypeError, ValueError) as error:
        raise _not_a_rate(value) from error
    if len(rate.shape):
        raise _not_a_rate(value)
    return rate


def _not_a_rate(value) -> InputError:
    return InputError(
        f"Expected a keras.optimizers.Optimizer, or a number of at least 0: the learning rate of an update "
        f"made in another way. Received: {value!r}. Of torch.optim pass optimizer.param_groups[0]['lr']."
    )
