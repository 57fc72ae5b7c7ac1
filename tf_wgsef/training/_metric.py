"""The metric of adaptive optimizers: what they divide each weight's step by, and its mean per group.

Adam divides the step of each weight by √v + ε: its proximal step is the prox in the metric D = diag(√v + ε)
(Yang et al. 2020, "ProxSGD"). With one number per group, the mean of D in the group, the prox keeps its
closed form (ours; no source).
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops, optimizers

from tf_wgsef.errors import InputError
from tf_wgsef.groups import group_products
from tf_wgsef.training._prox_sgd import ProxSGD

METRICS = ("euclidean", "group")


def check_metric(metric: str) -> str:
    """Returns ``metric`` if it is one of ``METRICS``; raises InputError if not."""
    if metric not in METRICS:
        raise InputError(f"Expected `metric` to be one of {list(METRICS)}. Received: metric={metric!r}.")
    return metric


def group_metric(members, scales, num_groups: int):
    """Returns D_g, the mean of each group's scales, tensor of shape (num_groups,), above 0.

    Args:
        members: of the groups.
        scales: one tensor per member, of the variable's shape.
        num_groups: number of groups.
    """
    sums = group_products(members, scales, [ops.ones_like(scale) for scale in scales], num_groups)
    sizes = np.zeros(num_groups + 1)
    for member, scale in zip(members, scales, strict=True):
        each = np.prod([size for axis, size in enumerate(scale.shape) if axis not in member.axes])
        ids = np.where(member.ids < 0, num_groups, member.ids).reshape(-1)
        sizes += each * np.bincount(ids, minlength=num_groups + 1)
    return ops.maximum(sums / np.maximum(sizes[:-1], 1).astype("float32"), 1e-30)


def read_scales(optimizer, variables, read: Callable, updates) -> list:
    """Returns what ``optimizer`` divides the step of each weight by, one tensor per variable.

    Args:
        optimizer: a built Keras optimizer, that of ``check_adaptive``.
        variables: trained variables.
        read: gives the value of one of the optimizer's variables.
        updates: number of updates made, a scalar tensor.
    """
    slots, formula = _formula(optimizer)
    found: dict[str, list] = {}
    for one in optimizer.variables:
        found.setdefault(one.path.rpartition("/")[2], []).append(one)
    scales = []
    for variable in variables:
        name = variable.path.replace("/", "_")
        if not all(found.get(f"{name}_{slot}") for slot in slots):
            raise InputError(
                f"Expected an optimizer that updates all weights in groups, for metric='group'. Received: "
                f"{type(optimizer).__name__}, which holds nothing for {variable.path}: it is not trainable, "
                f"or the optimizer is another model's, or not built. Use metric='euclidean', or name what is "
                f"not trainable in `skip`."
            )
        values = [ops.cast(read(found[f"{name}_{slot}"].pop(0)), "float32") for slot in slots]
        scales.append(formula(optimizer, ops.cast(updates, "float32"), *values))
    return scales


def check_adaptive(optimizer) -> None:
    """Raises InputError if ``optimizer`` has no step size per weight that ``read_scales`` knows."""
    if _formula(optimizer) is None:
        known = sorted({one.__name__ for one in _FORMULAS})
        raise InputError(
            f"Expected an optimizer with a step size per weight for metric='group': {', '.join(known)}. "
            f"Received: {type(optimizer).__name__}. Compile with one of these, or pass metric='euclidean'."
        )


def _formula(optimizer):
    if isinstance(optimizer, optimizers.RMSprop) and optimizer.centered:
        return ("velocity", "average_gradient"), lambda o, t, v, m: ops.sqrt(v - ops.square(m) + o.epsilon)
    if isinstance(optimizer, optimizers.Adam) and optimizer.amsgrad:
        return ("velocity_hat",), _adam
    return next((found for kind, found in _FORMULAS.items() if isinstance(optimizer, kind)), None)


def _adam(optimizer, updates, velocity):
    unbiased = velocity / (1.0 - ops.power(ops.cast(optimizer.beta_2, "float32"), updates))
    return ops.sqrt(unbiased) + optimizer.epsilon


def _prox_sgd(optimizer, updates, squares):
    unbiased = squares / (1.0 - ops.power(ops.cast(optimizer.beta, "float32"), updates))
    return ops.sqrt(unbiased) + optimizer.epsilon


def _adadelta(optimizer, updates, squares, changes):
    return ops.sqrt((squares + optimizer.epsilon) / (changes + optimizer.epsilon))


_FORMULAS: dict[type[keras.optimizers.Optimizer], tuple] = {
    optimizers.Adam: (("velocity",), _adam),  # AdamW is an Adam
    optimizers.Nadam: (("velocity",), _adam),
    optimizers.Adamax: (("norm",), lambda o, t, u: u + o.epsilon),
    optimizers.RMSprop: (("velocity",), lambda o, t, v: ops.sqrt(v + o.epsilon)),
    optimizers.Adagrad: (("accumulator",), lambda o, t, a: ops.sqrt(a + o.epsilon)),
    ProxSGD: (("velocity",), _prox_sgd),
    optimizers.Adadelta: (("accumulated_grad", "accumulated_delta_var"), _adadelta),
}
