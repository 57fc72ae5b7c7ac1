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


def half_space_step(x, t, gradient, step, epsilon, k):
    """Phase 2 of HSPG (arXiv:2004.03639, Algorithm 1), with the k best groups exempt from the projection."""
    kept = best([t[g] if x[g].any() else 0 * t[g] for g in range(len(x))], k)
    result = []
    for g in range(len(x)):
        trial = t[g] - step * gradient[g]
        if not x[g].any():
            result.append(0 * x[g])  # zero groups are fixed
        elif trial @ x[g] < epsilon * (x[g] @ x[g]):
            result.append(t[g] if g in kept else 0 * x[g])
        else:
            result.append(trial)
    return result
