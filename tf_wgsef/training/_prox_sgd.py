"""ProxSGD, the optimizer: a falling average of gradients, divided by their size, and a falling step."""

import keras
from keras import ops

from tf_wgsef.errors import InputError
from tf_wgsef.validation import check_non_negative, is_finite_number


@keras.saving.register_keras_serializable("tf_wgsef")
class PowerDecay(keras.optimizers.schedules.LearningRateSchedule):
    """initial / (t + 4)^power at the update number t, from 0: the step of ProxSGD.

    Args:
        initial: above 0; at t = 0 with power 0.5 the step is half of it.
        power: of the decay, at least 0; ProxSGD's convergence asks for (0.5, 1], its code takes 0.5.

    Raises:
        InputError: for a number outside its range.

    Example:
        >>> from tf_wgsef.training import PowerDecay
        >>> round(float(PowerDecay(0.06)(0)), 6)
        0.03
    """

    def __init__(self, initial: float, power: float = 0.5):
        if not is_finite_number(initial) or initial <= 0:
            raise InputError(f"Expected `initial` to be a number above 0. Received: initial={initial!r}.")
        self.initial, self.power = float(initial), check_non_negative("power", power)

    def __call__(self, step):
        """The value at update number ``step``."""
        return self.initial / ops.power(ops.cast(step, "float32") + 4.0, self.power)

    def get_config(self):
        """Returns the arguments."""
        return {"initial": self.initial, "power": self.power}


@keras.saving.register_keras_serializable("tf_wgsef")
class ProxSGD(keras.optimizers.Optimizer):
    """The update of ProxSGD (Yang et al. 2020, ICLR, openreview HygpthEtvr) before its prox.

    With the gradient g at the update number t, from 0, ::

        v ← (1 - ρ_t) v + ρ_t g        r ← β r + (1 - β) g²        τ = √(r / (1 - β^{t+1})) + δ

        x ← x - ε_t v / τ

    which is x + ε (x̂ - x) with x̂ = x - v/τ, the whole of ProxSGD where there is no penalty. With one, train
    with ``sparsify(model, penalty=…, update="mixed", metric="group")``: ``MixedProx`` makes the rest of it.

    The first author's code has v as here and δ = 1e-7; the PyTorch code of a co-author has the roles of ρ and
    1 - ρ exchanged, counts t from 1, and δ = 1e-8. The convergence in the paper asks for a ρ that falls to 0.

    Args:
        learning_rate: ε, a number or a schedule; ``PowerDecay(0.06)`` if None, as in the authors' code.
        rho: ρ, a number in (0, 1] or a schedule; ``PowerDecay(0.9)`` if None, as there.
        beta: β in [0, 1).
        epsilon: δ, above 0.
        name: of the optimizer.
        **kwargs: of ``keras.optimizers.Optimizer``.

    Raises:
        InputError: for a number outside its range.

    Example:
        >>> import keras
        >>> from tf_wgsef.training import ProxSGD
        >>> x = keras.Variable([1.0])
        >>> ProxSGD(0.1, rho=1.0).apply([keras.ops.array([5.0])], [x])
        >>> round(float(x[0]), 5)
        0.9
    """

    def __init__(
        self,
        learning_rate=None,
        *,
        rho=None,
        beta: float = 0.999,
        epsilon: float = 1e-7,
        name="prox_sgd",
        **kwargs,
    ):
        super().__init__(
            learning_rate=PowerDecay(0.06) if learning_rate is None else learning_rate, name=name, **kwargs
        )
        if isinstance(rho, dict):  # a configuration's
            rho = keras.optimizers.schedules.deserialize(rho)
        self.rho = PowerDecay(0.9) if rho is None else rho
        scheduled = isinstance(self.rho, keras.optimizers.schedules.LearningRateSchedule)
        if not scheduled and (not is_finite_number(self.rho) or not 0 < self.rho <= 1):
            raise InputError(f"Expected `rho` in (0, 1], or a schedule. Received: rho={rho!r}.")
        if not is_finite_number(beta) or not 0 <= beta < 1:
            raise InputError(f"Expected `beta` in [0, 1). Received: beta={beta!r}.")
        if not is_finite_number(epsilon) or epsilon <= 0:
            raise InputError(f"Expected `epsilon` to be a number above 0. Received: epsilon={epsilon!r}.")
        self.beta, self.epsilon = float(beta), float(epsilon)

    def build(self, variables):
        """Makes v and r for each variable."""
        if self.built:
            return
        super().build(variables)
        self._averages, self._squares = self.add_optimizer_variables(variables, ["average", "velocity"])

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable."""
        index = self._get_variable_index(variable)
        average, square = self._averages[index], self._squares[index]
        kind = variable.dtype
        gradient, step = ops.cast(gradient, kind), ops.cast(learning_rate, kind)
        rho = ops.cast(self.rho(self.iterations) if callable(self.rho) else self.rho, kind)
        new_average = ops.add(average, ops.multiply(rho, ops.subtract(gradient, average)))
        new_square = self.beta * square + (1.0 - self.beta) * ops.square(gradient)
        self.assign(average, new_average)
        self.assign(square, new_square)
        made = ops.cast(self.iterations, kind) + 1
        scale = ops.sqrt(new_square / (1.0 - ops.power(ops.cast(self.beta, kind), made))) + self.epsilon
        self.assign_sub(variable, step * new_average / scale)

    def get_config(self):
        """Returns the arguments."""
        rho = keras.optimizers.schedules.serialize(self.rho) if callable(self.rho) else self.rho
        return {**super().get_config(), "rho": rho, "beta": self.beta, "epsilon": self.epsilon}
