"""NumPy and SciPy references: written from the papers' formulas, slow, and independent of the library."""

import numpy as np
from scipy.optimize import minimize


def shares(levels, offset, width, weights, k):
    """u_g = clip((α a_g - s_g)/w_g, 0, 1) with Σ d_g u_g = k, by sorting the knots; w_g > 0, one row."""
    levels, offset, width, weights = np.broadcast_arrays(
        *(np.asarray(x, dtype="float64") for x in (levels, offset, width, weights))
    )
    some = levels > 0
    if weights[some].sum() <= k:
        return some.astype("float64")
    a, s, w, d = levels[some], offset[some], width[some], weights[some]
    # F(α) = Σ d/w · ((αa - s)₊ - (αa - s - w)₊): each knot changes slope and intercept.
    knots = np.concatenate([s / a, (s + w) / a])
    slope = np.concatenate([d * a / w, -d * a / w])
    shift = np.concatenate([-d * s / w, d * (s + w) / w])
    order = np.argsort(knots, kind="stable")
    knots, slope, shift = knots[order], np.cumsum(slope[order]), np.cumsum(shift[order])
    used = knots * slope + shift  # F at each knot
    j = max(int(np.searchsorted(np.maximum.accumulate(used), k, side="right")) - 1, 0)
    alpha = (k - shift[j]) / slope[j]
    # The running sums cancel where levels differ by 1e6: once more from the groups on the ramp.
    ramp = (alpha * a - s > 0) & (alpha * a - s < w)
    if ramp.any():
        full = d[alpha * a - s >= w].sum()
        alpha = (k - full + np.sum((d * s / w)[ramp])) / np.sum((d * a / w)[ramp])
    result = np.zeros(levels.shape)
    result[some] = np.clip((alpha * a - s) / w, 0, 1)
    return result


def wgsef_shares(norms, step, weights, k, *, debias):
    norms = np.asarray(norms, dtype="float64")
    weights = np.ones_like(norms) if weights is None else np.asarray(weights, dtype="float64")
    step = np.broadcast_to(np.asarray(step, dtype="float64"), norms.shape)
    return shares(norms / np.sqrt(weights), step, 1 - step if debias else 1.0, weights, k)


def wgsef_factors(norms, step, weights, k, *, debias):
    """The factors of WGSEF's prox, with its ridge (debias=False) and without (0 <= s < 1), one row."""
    u = wgsef_shares(norms, step, weights, k, debias=debias)
    step = np.broadcast_to(np.asarray(step, dtype="float64"), u.shape)
    total = u + step * (1 - u) if debias else u + step
    return np.divide(u, total, out=np.ones_like(u), where=total > 0)


def gradual_budget(progress, steps, k, total, *, until=0.8, pace=5.0):
    """Step and budget of the debiased WGSEF at ``progress`` of a ramp of so many steps."""
    slow = min(1.0, pace / steps)
    if progress <= until:
        return slow, k + (total - k) * (1 - progress / until) ** 3
    return slow ** ((1 - progress) / (1 - until)), k


def scheduled_factors(progress, steps, k):
    """Norms of one pool → the factors of the debiased WGSEF at ``progress`` of a ramp of so many steps."""

    def factors(norms):
        step, budget = gradual_budget(progress, steps, k, len(norms))
        return wgsef_factors(norms, step, None, budget, debias=True)

    return factors


def wgsef_value(norms, weights, k, *, debias):
    """WGSEF's value, with its ridge or without, one row."""
    norms = np.asarray(norms, dtype="float64")
    u = wgsef_shares(norms, 0.0, weights, k, debias=False)
    some = norms > 0
    envelope = 0.5 * np.sum(norms[some] ** 2 / u[some])
    return envelope - 0.5 * np.sum(norms**2) if debias else envelope


def hard_factors(norms, weights, k):
    """s = 1 of §3: by falling n/√d, ties in order, as long as they fit whole."""
    norms = np.asarray(norms, dtype="float64")
    weights = np.ones_like(norms) if weights is None else np.asarray(weights, dtype="float64")
    order = np.argsort(-norms / np.sqrt(weights), kind="stable")
    result = np.zeros_like(norms)
    left = k
    for g in order:
        if norms[g] == 0 or weights[g] > left * (1 + 1e-12):
            break
        result[g], left = 1.0, left - weights[g]
    return result


def lasso_factors(norms, step, weights, *, scale_by_size=True):
    norms = np.asarray(norms, dtype="float64")
    scale = 1.0 if weights is None or not scale_by_size else np.sqrt(weights)
    threshold = np.broadcast_to(step * scale, norms.shape)
    shrunk = 1 - np.divide(threshold, norms, out=np.full_like(norms, np.inf), where=norms > 0)
    return np.where(threshold == 0, 1.0, np.maximum(0, shrunk))


def slsqp(objective, gradient, start, bounds, constraint=None):
    """The best of SciPy's SLSQP, polished by restarts; a small smooth convex problem."""
    constraints = [] if constraint is None else [constraint]
    best = np.asarray(start, dtype="float64")
    for _ in range(4):
        found = minimize(
            objective, best, jac=gradient, bounds=bounds, constraints=constraints, method="SLSQP",
            options={"ftol": 1e-16, "maxiter": 1000},
        )  # fmt: skip
        if np.all(np.isfinite(found.x)) and objective(found.x) <= objective(best) + 1e-15:
            best = found.x
    return best


def wgsef_value_slsqp(norms, weights, k):
    """W by its definition, the minimum over u in D_k."""
    norms, weights = np.asarray(norms), np.asarray(weights)
    start = np.full(len(norms), min(1.0, k / weights.sum()))
    u = slsqp(
        lambda u: 0.5 * np.sum(norms**2 / u),
        lambda u: -0.5 * norms**2 / u**2,
        start,
        [(1e-9, 1.0)] * len(norms),
        {"type": "ineq", "fun": lambda u: k - weights @ u, "jac": lambda u: -weights},
    )
    return 0.5 * np.sum(norms**2 / u)


def wgsef_cost(x, u, norms, step, *, debias):
    """The objective of the prox at (x, u): s(½Σ x²/u [- ½‖x‖²]) + ½‖x - n‖²."""
    ridge = step if debias else 0.0
    return 0.5 * np.sum(step * x**2 / u - ridge * x**2 + (x - norms) ** 2)


def wgsef_prox_slsqp(norms, step, weights, k, *, debias):
    """Returns (x, cost): over u in D_k, with x at its minimum for each u, which is smooth at u = 0."""
    norms, weights = np.asarray(norms), np.asarray(weights)
    keep = 1 - step if debias else 1.0  # x = u n / (s + keep u): the derivative in x is 0

    def objective(u):
        return 0.5 * np.sum(norms**2 * step * (1 - u if debias else 1.0) / (step + keep * u))

    def gradient(u):
        slope = -1.0 if debias else -keep
        return 0.5 * norms**2 * step * slope / (step + keep * u) ** 2

    u = slsqp(
        objective,
        gradient,
        np.full(len(norms), min(1.0, k / weights.sum())),
        [(0.0, 1.0)] * len(norms),
        {"type": "ineq", "fun": lambda u: k - weights @ u, "jac": lambda u: -weights},
    )
    return norms * u / (step + keep * u), objective(u)


def wgsef_prox_slsqp_joint(norms, step, weights, k, *, debias):
    """Returns the cost of SLSQP's best (x, u) together: the definition as it stands, less accurate."""
    norms, weights, m = np.asarray(norms), np.asarray(weights), len(norms)
    ridge = step if debias else 0.0

    def objective(z):
        return wgsef_cost(z[:m], z[m:], norms, step, debias=debias)

    def gradient(z):
        x, u = z[:m], z[m:]
        return np.concatenate([step * x / u - ridge * x + x - norms, -0.5 * step * x**2 / u**2])

    budget = np.concatenate([np.zeros(m), weights])
    start = np.concatenate([0.5 * norms, np.full(m, min(1.0, k / weights.sum()))])
    z = slsqp(
        objective,
        gradient,
        start,
        [(0.0, None)] * m + [(1e-9, 1.0)] * m,
        {"type": "ineq", "fun": lambda z: k - budget @ z, "jac": lambda z: -budget},
    )
    return objective(z)
