"""The published half-space steps as NumPy loops over groups; written from the papers, not from the code."""

import numpy as np

from tests import oracles


def vectors(weights) -> dict[str, list[np.ndarray]]:
    """The groups of ``mlp`` as vectors: each hidden unit's kernel column and bias, in float64."""
    layers = {}
    for number in range(len(weights) // 2 - 1):
        kernel, bias = (np.asarray(w, dtype="float64") for w in weights[2 * number : 2 * number + 2])
        layers[f"h{number + 1}"] = [np.append(kernel[:, j], bias[j]) for j in range(len(bias))]
    return layers


def to_weights(layers: dict[str, list[np.ndarray]], weights) -> list[np.ndarray]:
    """The same put back in the place of the weights they came from."""
    result = list(weights)
    for number, groups in enumerate(layers.values()):
        result[2 * number] = np.stack([group[:-1] for group in groups], axis=1)
        result[2 * number + 1] = np.array([group[-1] for group in groups])
    return result


def wgsef_gradient(groups, k):
    """∇P = (1/u_g - 1) x_g."""
    shares = oracles.wgsef_shares([np.linalg.norm(x) for x in groups], 0.0, None, k, debias=False)
    return [(1 / u - 1) * x if u > 0 else 0 * x for u, x in zip(shares, groups, strict=True)]


def lasso_gradient(groups):
    """∇Σ‖x_g‖ = x_g / ‖x_g‖."""
    return [x / np.linalg.norm(x) if x.any() else x for x in groups]


def best(groups, k):
    """The numbers of the k largest groups."""
    return set(np.argsort([-np.linalg.norm(x) for x in groups], kind="stable")[:k].tolist())


def half_space_step(x, t, prox, gradient, step, epsilon, k):
    """Phase 2 of HSPG (arXiv:2009.12078), but for the k best groups, which take the prox."""
    alive = [t[g] if x[g].any() else 0 * t[g] for g in range(len(x))]
    kept, proxed = best(alive, k), prox(alive)
    result = []
    for g in range(len(x)):
        trial = t[g] - step * gradient[g]
        if not x[g].any():
            result.append(0 * x[g])  # zero groups are fixed
        elif g in kept:
            result.append(proxed[g] if proxed[g].any() else t[g])
        elif trial @ x[g] < epsilon * (x[g] @ x[g]):
            result.append(0 * x[g])
        else:
            result.append(trial)
    return result


def choose_roles(layers, prox, gradient_of, step, mu=1.0, reach=1.0):
    """The choice of AdaHSPG+: {layer: (groups that take half-space steps, groups that stay zero)}.

    Args:
        layers: {layer: (groups before, groups after the update that decides)}.
        prox: gives the groups after the prox from those after the update.
        gradient_of: the penalty's gradient.
        step: strength · step size.
    """
    far, zero, chi_half, chi_prox = {}, {}, 0.0, 0.0
    for name, (x, t) in layers.items():
        proxed, gradient, far[name], zero[name] = prox(t), gradient_of(x), set(), set()
        for g in range(len(x)):
            s = proxed[g] - x[g]
            trial = t[g] - step * gradient[g] - x[g]
            near = np.linalg.norm(trial) <= reach * np.linalg.norm(x[g])
            if x[g].any() and proxed[g].any() and near:
                far[name].add(g)
                chi_half += s @ s
            else:
                chi_prox += s @ s
            if not x[g].any() and not proxed[g].any():
                zero[name].add(g)
    half = np.sqrt(chi_half) > mu * np.sqrt(chi_prox)
    return {name: (far[name] if half else set(), zero[name]) for name in layers}


def adahspg_step(x, t, prox, gradient, step, epsilon, k, roles):
    """One step of AdaHSPG+ on one layer: half-space steps on the far groups, the prox on the others."""
    far, zero = roles
    fixed = {g for g in far | zero if not x[g].any()}
    alive = [0 * t[g] if g in fixed else t[g] for g in range(len(x))]
    kept, proxed = best(alive, k), prox(alive)
    result = []
    for g in range(len(x)):
        trial = t[g] - step * gradient[g]
        if g in fixed:
            result.append(0 * x[g])
        elif g not in far:
            result.append(proxed[g])
        elif g in kept:
            result.append(proxed[g] if proxed[g].any() else t[g])
        elif trial @ x[g] < epsilon * (x[g] @ x[g]):
            result.append(0 * x[g])
        else:
            result.append(trial)
    return result
