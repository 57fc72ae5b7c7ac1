"""NumPy references of the penalties beside WGSEF: costs as the papers write them, the best of all candidates.

``cost(x, c)`` is what a group of norm x costs, c = √d. A prox is found by its cost: of the minima of each
piece, the ends of the pieces, 0 and n itself, the cheapest wins. ℓ1 - αℓ2 couples groups and stands apart.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq


@dataclasses.dataclass(frozen=True)
class Separable:
    """A sum over groups.

    Attributes:
        cost: (x, c) -> what it costs, numbers.
        candidates: (n, s, c) -> where s · cost + ½(x - n)² may be least; 0 and n are added.
    """

    cost: Callable
    candidates: Callable

    def value(self, norms, weights):
        return sum(self.cost(x, c) for x, c in zip(norms, scales(norms, weights), strict=True))

    def factors(self, norms, step, weights):
        steps = np.broadcast_to(step, np.shape(norms))
        rows = zip(norms, steps, scales(norms, weights), strict=True)
        return np.array([self._factor(n, s, c) for n, s, c in rows])

    def _factor(self, n, s, c):
        if n == 0 or s * c == 0:
            return float(s * c == 0)
        found = np.clip([0.0, n, *self.candidates(n, s, c)], 0.0, n)
        costs = [s * self.cost(x, c) + 0.5 * (x - n) ** 2 for x in found]
        return found[int(np.argmin(costs))] / n


def scales(norms, weights):
    return np.ones(len(norms)) if weights is None else np.sqrt(weights)


lasso = Separable(lambda x, c: c * x, lambda n, s, c: [n - s * c])
lasso_unscaled = Separable(lambda x, c: (c > 0) * x, lambda n, s, c: [n - s])
l0 = Separable(lambda x, c: c**2 * (x > 0), lambda n, s, c: [])


def mcp(gamma) -> Separable:
    """Zhang (2010): λt - t²/(2γ) up to γλ, then γλ²/2."""

    def cost(x, c):
        return c * x - x**2 / (2 * gamma) if x <= gamma * c else gamma * c**2 / 2

    def candidates(n, s, c):
        inner = [] if s == gamma else [np.clip((n - s * c) / (1 - s / gamma), 0, gamma * c)]
        return [gamma * c, *inner]

    return Separable(cost, candidates)


def scad(a) -> Separable:
    """Fan & Li (2001), with the integral of their derivative written out."""

    def cost(x, c):
        if x <= c:
            return c * x
        if x <= a * c:
            return (2 * a * c * x - x**2 - c**2) / (2 * (a - 1))
        return (a + 1) * c**2 / 2

    def candidates(n, s, c):
        ends = [c, a * c, np.clip(n - s * c, 0, c)]
        bend = a - 1 - s
        return [*ends, *([] if bend == 0 else [np.clip(((a - 1) * n - s * a * c) / bend, c, a * c)])]

    return Separable(cost, candidates)


def transformed_l1(a) -> Separable:
    """Zhang & Xin: the stationary points are the roots of (x - n)(a + x)² + s c a (a + 1)."""

    def candidates(n, s, c):
        square = np.polymul([1.0, a], [1.0, a])
        cubic = np.polyadd(np.polymul([1.0, -n], square), [s * c * a * (a + 1)])
        roots = np.roots(cubic)
        return [_polished(cubic, root.real) for root in roots if abs(root.imag) < 1e-6 * (1 + abs(root))]

    return Separable(lambda x, c: c * (a + 1) * x / (a + x), candidates)


def _polished(cubic, x):
    for _ in range(3):
        slope = np.polyval(np.polyder(cubic), x)
        x = x - np.polyval(cubic, x) / slope if abs(slope) > 1e-8 else x
    return x


@dataclasses.dataclass(frozen=True)
class L1MinusL2:
    """ℓ1 - αℓ2: the radius r = ‖x‖ by bracketing, and all vectors with a single entry."""

    alpha: float

    def value(self, norms, weights):
        norms, c = np.asarray(norms, dtype="float64"), scales(norms, weights)
        some = c > 0
        least = c[some].min() if some.any() else 0.0
        return c @ norms - self.alpha * least * np.linalg.norm(norms[some])

    def factors(self, norms, step, weights):
        norms, c = np.asarray(norms, dtype="float64"), scales(norms, weights)
        found = [
            np.zeros_like(norms),
            norms.copy(),
            *self._single(norms, step, c),
            *self._spread(norms, step, c),
        ]
        for x in found:
            x[c == 0] = norms[c == 0]
        costs = [step * self.value(x, weights) + 0.5 * np.sum((x - norms) ** 2) for x in found]
        best = found[int(np.argmin(costs))]
        return np.where(step * c == 0, 1.0, np.divide(best, norms, out=np.zeros_like(norms), where=norms > 0))

    def _single(self, norms, step, c):
        give = self.alpha * step * c[c > 0].min(initial=np.inf)
        for g in np.flatnonzero(c > 0):
            x = np.zeros_like(norms)
            x[g] = np.clip(norms[g] - step * c[g] + give, 0, norms[g])
            yield x

    def _spread(self, norms, step, c):
        """x_g (1 - give/r) = (n_g - s c_g)₊, where the derivative is 0."""
        above = np.where(c > 0, np.maximum(norms - step * c, 0), 0)
        size = np.linalg.norm(above)
        if size > 0:
            give = self.alpha * step * c[c > 0].min()
            high = 2 * (give + size)
            radius = brentq(
                lambda r: np.linalg.norm(above) * r / (r - give) - r, give * (1 + 1e-12) + 1e-300, high
            )
            yield above * radius / (radius - give)
