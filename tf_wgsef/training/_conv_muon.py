"""ConvMuon, the optimizer: convolution kernels turn by orthogonalised momentum, all else is SGD's."""

import math

import keras
from keras import ops

from tf_wgsef.errors import InputError
from tf_wgsef.validation import check_positive_int, is_finite_number

_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Of Jordan et al.: singular values in (0, 1] end between 0.7 and 1.2 after five steps."""


@keras.saving.register_keras_serializable("tf_wgsef")
class ConvMuon(keras.optimizers.SGD):
    """Muon for the kernels of convolutions (Jordan et al. 2024, kellerjordan.github.io/posts/muon), else SGD.

    Keras's own Muon gives convolutions to Adam. A kernel here, as a matrix W with a column per filter, ::

        M ← β M + (1 - β) G      U = orthogonal((1 - β) G + β M)      W ← ‖W‖ · unit(W/‖W‖ - r U/‖U‖)

    with the gradient G, the momentum β, r = ``kernel_rate`` · learning rate, and about the nearest matrix
    with orthonormal rows or columns, by ``ns_steps`` steps of Newton and Schulz. So r is about the angle, in
    radians, by which an update turns the kernel. Its norm stays what it is: batch norm behind it takes that
    out anyway (Jordan's airbench94_muon.py, github.com/KellerJordan/cifar10-airbench, sets it to the root of
    the number of filters), and weight decay leaves such kernels alone. Kernels of depthwise convolutions
    (of one output per channel), of one filter and of other layers, biases and batch norm are updated as by
    SGD.

    Args:
        learning_rate: a number or a schedule; of what is no kernel.
        momentum: β, in [0, 1), of all.
        nesterov: whether SGD's momentum is Nesterov's.
        kernel_rate: above 0; ours, as is the angle.
        ns_steps: at least 1.
        name: of the optimizer.
        **kwargs: of ``keras.optimizers.SGD``.

    Raises:
        InputError: for a number outside its range.

    Example:
        >>> import keras
        >>> from tf_wgsef.training import ConvMuon
        >>> kernel = keras.Variable(keras.ops.ones((1, 1, 2, 2)))
        >>> ConvMuon(0.1).apply([keras.ops.reshape(keras.ops.eye(2), (1, 1, 2, 2))], [kernel])
        >>> round(float(keras.ops.norm(keras.ops.ravel(kernel.value))), 5)
        2.0
    """

    def __init__(
        self,
        learning_rate=0.1,
        momentum: float = 0.9,
        nesterov: bool = True,
        *,
        kernel_rate: float = 0.2,
        ns_steps: int = 5,
        name="conv_muon",
        **kwargs,
    ):
        for argument, value in (("momentum", momentum), ("kernel_rate", kernel_rate)):
            if not is_finite_number(value):
                raise InputError(f"Expected `{argument}` to be a number. Received: {argument}={value!r}.")
        if not 0 <= momentum < 1:
            raise InputError(f"Expected `momentum` in [0, 1). Received: momentum={momentum!r}.")
        if kernel_rate <= 0:
            raise InputError(f"Expected `kernel_rate` above 0. Received: kernel_rate={kernel_rate!r}.")
        super().__init__(
            learning_rate=learning_rate, momentum=momentum, nesterov=nesterov, name=name, **kwargs
        )
        self.kernel_rate = float(kernel_rate)
        self.ns_steps = check_positive_int("ns_steps", ns_steps)
        self._undecayed = ([], None)  # what the caller leaves out; kernels come to it when they are known

    def build(self, variables):
        """Makes what SGD needs, M among it; no weight decay of kernels."""
        if self.built:
            return
        own, names = self._undecayed
        kernels = [one for one in variables if _is_kernel(one)]
        super().exclude_from_weight_decay(var_list=[*own, *kernels], var_names=names)
        super().build(variables)

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        """As Keras's, kernels besides."""
        super().exclude_from_weight_decay(var_list, var_names)
        self._undecayed = (list(var_list or ()), var_names)

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable."""
        if not _is_kernel(variable):
            super().update_step(gradient, variable, learning_rate)
            return
        flat = (-1, variable.shape[-1])
        kernel = ops.cast(ops.reshape(variable, flat), "float32")
        direction = ops.cast(ops.reshape(self._averaged(gradient, variable), flat), "float32")
        direction = orthogonal(direction, self.ns_steps)
        angle = self.kernel_rate * ops.cast(learning_rate, "float32")
        turned = _unit(kernel) - angle * _unit(direction)
        kernel = ops.norm(kernel) * _unit(turned)
        self.assign(variable, ops.cast(ops.reshape(kernel, variable.shape), variable.dtype))

    def _averaged(self, gradient, variable):
        """(1 - β) G + β M, with M, which SGD holds, brought up to date."""
        gradient, beta = ops.cast(gradient, variable.dtype), self.momentum
        if beta == 0:
            return gradient
        average = self.momentums[self._get_variable_index(variable)]
        new = beta * average + (1.0 - beta) * gradient
        self.assign(average, new)
        return (1.0 - beta) * gradient + beta * new

    def get_config(self):
        """Returns the arguments."""
        own = {"kernel_rate": self.kernel_rate, "ns_steps": self.ns_steps}
        return {**super().get_config(), **own}


def orthogonal(matrix, iterations: int):
    """Returns about U Vᵀ of the singular value decomposition U S Vᵀ, by Newton and Schulz, in float32.

    Rows and columns that are zero stay zero.

    Args:
        matrix: tensor of shape (rows, columns).
        iterations: five leave singular values between 0.7 and 1.2, but for those that were tiny.
    """
    a, b, c = _QUINTIC
    wide = matrix.shape[0] <= matrix.shape[1]
    x = _unit(matrix if wide else ops.transpose(matrix))
    for _ in range(iterations):
        gram = ops.matmul(x, ops.transpose(x))
        x = a * x + ops.matmul(b * gram + c * ops.matmul(gram, gram), x)
    return x if wide else ops.transpose(x)


def _unit(x):
    """``x`` of norm 1, or zeros; the largest is made 1 first, since squares of small numbers are 0."""
    x = x / ops.maximum(ops.max(ops.abs(x)), 1e-37)
    return x / ops.maximum(ops.norm(x), 1e-30)


def _is_kernel(variable) -> bool:
    """Whether it is the kernel of a convolution of images, in which every filter sees every channel."""
    return len(variable.shape) == 4 and variable.shape[-1] > 1 and math.prod(variable.shape[:-1]) > 1
