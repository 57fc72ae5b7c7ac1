"""How a budget is shared among groups: one root of a monotone function, in O(n), no sort.

Every prox and value of ``WGSEF``, with and without its ridge, needs shares u_g in [0, 1] that use up a budget
k::

    u_g = clip((α a_g - s_g) / w_g, 0, 1),        F(α) = Σ_g d_g u_g = k

with levels a_g = n_g/√d_g, offsets s_g and widths w_g (1, or 1 - s_g without the ridge). F is
continuous and does not decrease; each group adds one ramp, from α = s_g/a_g to α = (s_g + w_g)/a_g.

The search (ours; no source) keeps a bracket [lo, hi] that starts at bounds without a root and takes,
in order of preference, the root of the current linear piece (Newton: exact once no group changes
sides), the secant through the last two points, or the geometric mean of the bracket, which also
breaks any slow streak. Long vectors start from the root of a strided sample of themselves, with its
slope first and chords after that, so that the full length is read 3-6 times (median, s <= 0.9, on
normal, log-normal, Cauchy, two-scale, half-zero and sorted norms, n = 1e5 and
1e6; about 10 at s = 1, 15 to 50 with unequal weights, where only the bracket finds the jump).

Shares are the interpolation between the two ends of the bracket: both ends are the root itself as a
rule; where F is steeper than floats resolve (s = 1, ties) the groups in between share what is left,
and Σ d_g u_g = k holds all the same.
"""

from typing import Any, NamedTuple

import numpy as np
from keras import ops

# Longer vectors start from a sample; below it one pass costs less than the logic around it.
_SAMPLE_ABOVE = 8192
# Prime, so that it does not beat with channel counts; each level costs 1/17 of the one above it.
_STRIDE = 17
# A guard only: 82 steps were the most seen (float64, s = 1, log-normal weights); see above.
_MAX_STEPS = 200
_BARE_STEPS = 4
# Newton may stop on its own rounding only while dF / d log α is below this many budgets.
_STEEP = 64.0


class Ramps(NamedTuple):
    """The n ramps of each row; every tensor broadcasts against ``levels``.

    Attributes:
        levels: a_g >= 0, shape ``(..., n)``; 0 means that the group never enters.
        offset: s_g >= 0, scalar or shape ``(..., n)``.
        width: w_g >= 0, like ``offset``; 0 is a jump.
        weights: d_g >= 0, ``None`` for ones.
    """

    levels: Any
    offset: Any
    width: Any
    weights: Any

    def shares(self, alpha):
        """Returns u_g = clip((α a_g - s_g) / w_g, 0, 1), shape ``(..., n)``."""
        return ops.clip((alpha * self.levels - self.offset) * self.rate, 0.0, 1.0)

    def use(self, alpha):
        """Returns F(α) and α F'(α), each of shape ``(..., 1)``."""
        scaled = alpha * self.levels
        line = (scaled - self.offset) * self.rate
        shares = ops.clip(line, 0.0, 1.0)
        slope = ops.where(ops.equal(line, shares), scaled * self.rate, ops.zeros_like(scaled))
        return self.total(shares), self.total(slope)

    def total(self, x):
        """Returns Σ_g d_g x_g, shape ``(..., 1)``."""
        return ops.sum(x if self.weights is None else self.weights * x, axis=-1, keepdims=True)

    @property
    def rate(self):
        """1 / w_g, with the width of a jump set below what floats resolve near α a_g = 1."""
        return 1.0 / ops.maximum(self.width, _eps(self.levels) / 8)

    def sample(self, stride: int) -> "Ramps":
        """Returns every ``stride``-th ramp."""
        n = self.levels.shape[-1]

        def pick(x):
            long = x is not None and len(x.shape) > 0 and x.shape[-1] == n
            return x[..., ::stride] if long else x

        return Ramps(*(pick(x) for x in self))


class Filling(NamedTuple):
    """Where the search ended; every tensor has shape ``(..., 1)``.

    Attributes:
        ramps: the problem.
        budget: k.
        lo: an α with F(α) <= k.
        hi: an α with F(α) >= k, equal to ``lo`` as a rule.
        mix: the share of ``hi`` that makes Σ d_g u_g = k.
        poison: 1, or NaN for a row with a NaN or infinite level.
    """

    ramps: Ramps
    budget: Any
    lo: Any
    hi: Any
    mix: Any
    poison: Any

    def shares(self):
        """Returns the shares u_g, shape ``(..., n)``; a group of weight 0 is free and gets 1."""
        low, high = self.ramps.shares(self.lo), self.ramps.shares(self.hi)
        shares = (low + self.mix * (high - low)) * self.poison
        if self.ramps.weights is None:
            return shares
        return ops.where(self.ramps.weights > 0, shares, self.poison)


def fill(ramps: Ramps, budget) -> Filling:
    """Finds α with Σ_g d_g clip((α a_g - s_g)/w_g, 0, 1) = k in every row at once.

    Rows whose non-zero groups fit in the budget get u_g = 1 for all of these. A row with a NaN or
    infinite level ends at once and gets NaN shares.

    Args:
        ramps: the groups, levels of shape ``(..., n)``, float32 or float64.
        budget: k >= 0, scalar or shape ``(...,)``, in the unit of the weights.

    Returns:
        The filling; ``filling.shares()`` are the u_g.

    Example:
        >>> ramps = Ramps(ops.array([3.0, 1.0, 1.0]), ops.array(0.0), ops.array(1.0), None)
        >>> ops.convert_to_numpy(fill(ramps, ops.array(2.0)).shares()).tolist()
        [1.0, 0.5, 0.5]
    """
    bounds = _bounds(ramps)
    budget = budget[..., None] if len(budget.shape) else budget
    budget = budget + ops.zeros_like(bounds.full)
    end = _search(ramps, budget, bounds)
    lo, hi, r_lo, r_hi = end.lo, end.hi, end.r_lo, end.r_hi
    gap = r_lo - r_hi
    mix = ops.where(gap > 0, r_lo / ops.where(gap > 0, gap, ops.ones_like(gap)), 0.0)
    poison = ops.where(ops.isfinite(bounds.full), ops.ones_like(lo), ops.full_like(lo, float("nan")))
    return Filling(ramps, budget, lo, hi, mix, poison)


class _Bounds(NamedTuple):
    full: Any  # what the non-zero groups weigh together; NaN or infinite if a level is
    lo: Any  # α below which nothing can use up the whole budget, per unit of budget / full
    hi: Any  # α at which the non-zero groups are all saturated


class _State(NamedTuple):
    step: Any
    alpha: Any
    lo: Any
    hi: Any
    r_lo: Any  # k - F(lo) >= 0
    r_hi: Any  # k - F(hi) <= 0
    last: Any  # the α before this one, and its residual
    r_last: Any
    slope: Any  # α F'(α) near here
    todo: Any


def _eps(x) -> float:
    return float(np.finfo(np.dtype(ops.dtype(x))).eps)


def _largest(x):
    return ops.max(x, axis=-1, keepdims=True) if len(x.shape) else x


def _bounds(ramps: Ramps) -> _Bounds:
    levels, eps = ramps.levels, _eps(ramps.levels)
    most = float(np.finfo(np.dtype(ops.dtype(levels))).max)
    huge = most / 16
    ordinary = (levels > 0) & (levels <= most)
    full = ramps.total(ops.where(ordinary, ops.ones_like(levels), levels))
    if _is_long(levels):
        # The sample gives the start; reading all levels twice more for a tight bracket does not pay.
        return _Bounds(full, ops.full_like(full, 1 / huge), ops.full_like(full, huge))
    # u_g <= α a_g / (s_g + w_g) and s_g + w_g >= 1, so that F(α) <= α · top · full.
    top = ops.max(levels, axis=-1, keepdims=True)
    low = ops.min(ops.where(levels > 0, levels, huge), axis=-1, keepdims=True)
    end = _largest(ramps.offset + ramps.width) * (1 + 8 * eps)
    return _Bounds(full, 1.0 / _positive(top), ops.minimum(end / low, huge))


def _is_long(levels) -> bool:
    n = levels.shape[-1]
    return n is not None and n > _SAMPLE_ABOVE


def _search(ramps: Ramps, budget, bounds: _Bounds):
    """Returns the last state; lo = hi where F(lo) = k to rounding."""
    zero = ops.zeros_like(budget)
    # Counts are exact; a budget that was added up from weights may differ by roundings.
    slack = 1.0 if ramps.weights is None else 1.0 - 4 * _eps(budget)
    todo = (budget < slack * bounds.full) & (budget > 0) & ops.isfinite(bounds.full)
    lo = ops.where(todo, budget / _positive(bounds.full) * bounds.lo, zero)
    hi = ops.where(budget > 0, bounds.hi, zero)
    start, slope = _start(ramps, budget, bounds)
    alpha = ops.where(todo, ops.clip(start, lo, hi), hi)
    eps = _eps(budget)
    # The first secant runs through (0, k), since F(0) = 0.
    first = _State(
        ops.zeros((), dtype="int32"), alpha, ops.where(todo, lo, hi), hi,
        budget, budget - bounds.full, zero, budget, slope, todo,
    )  # fmt: skip
    return _State(
        *ops.while_loop(
            lambda *state: ops.any(state[-1]),
            lambda *state: tuple(_step(ramps, budget, eps, _State(*state))),
            tuple(first),
            maximum_iterations=_MAX_STEPS,
        )
    )


def _step(ramps: Ramps, budget, eps: float, at: _State) -> _State:
    if _is_long(ramps.levels):
        # Half the work of a pass: the slope of the sample first, then that of the last chord.
        rest = budget - ramps.total(ramps.shares(at.alpha))
        chord = at.alpha * (at.r_last - rest) / (at.alpha - at.last)
        slope = ops.where((at.step > 0) & (chord > 0), chord, at.slope)
    else:
        used, slope = ramps.use(at.alpha)
        rest = budget - used
    rounding = 4 * budget + 4 * ops.where(slope <= _STEEP * budget, slope, 0.0)
    exact = at.todo & (ops.abs(rest) <= eps * rounding)
    below, above = at.todo & (rest > 0), at.todo & (rest < 0)
    lo = ops.where(below | exact, at.alpha, at.lo)
    hi = ops.where(above | exact, at.alpha, at.hi)
    r_lo = ops.where(below, rest, at.r_lo)
    r_hi = ops.where(above, rest, at.r_hi)
    todo = at.todo & (hi - lo > 2 * eps * lo)
    alpha = ops.where(todo, _next(at, lo, hi, rest, slope, budget), at.alpha)
    return _State(at.step + 1, alpha, lo, hi, r_lo, r_hi, at.alpha, rest, slope, todo)


def _next(at: _State, lo, hi, rest, slope, budget):
    """Newton, else the secant (two steps of three), else the middle; always inside [lo, hi]."""
    newton = at.alpha + at.alpha * rest / slope
    secant = at.alpha + (at.alpha - at.last) * rest / (at.r_last - rest)
    before = ops.abs(at.r_last)
    shrinking = (2 * ops.abs(rest) <= before) | (before >= budget)
    # NaN and infinity (a zero slope) fail the comparisons and fall through.
    use_newton = shrinking & (newton > lo) & (newton < hi)
    use_secant = (at.step % 3 < 2) & (secant > lo) & (secant < hi)
    # An end that was never evaluated may be hundreds of octaves away: walk there, faster each step.
    reach = ops.power(ops.full_like(at.alpha, 4.0), ops.cast(at.step + 1, ops.dtype(at.alpha)))
    near, far = ops.maximum(lo, at.alpha / reach), ops.minimum(hi, at.alpha * reach)
    middle = ops.sqrt(near) * ops.sqrt(far)
    middle = ops.where((middle > lo) & (middle < hi), middle, lo + (hi - lo) / 2)
    return ops.where(use_newton, newton, ops.where(use_secant, secant, middle))


def _start(ramps: Ramps, budget, bounds: _Bounds):
    """Returns a first α and α F': of a strided sample's root, or as if no group were clipped."""
    if _is_long(ramps.levels):
        sample = ramps.sample(_STRIDE)
        inner = _bounds(sample)
        share = inner.full / _positive(bounds.full)
        end = _search(sample, budget * share, inner)
        return end.lo, end.slope / _positive(share)
    mean = ramps.total(ramps.levels * bounds.lo) / _positive(bounds.full)
    need = budget / _positive(bounds.full) * _largest(ramps.width) + _largest(ramps.offset)
    alpha = _polish(ramps, budget, bounds, need / _positive(mean) * bounds.lo)
    return alpha, ops.zeros_like(budget)


def _polish(ramps: Ramps, budget, bounds: _Bounds, alpha):
    """Takes a few bare Newton steps, each a tenth of the operations of a guarded one.

    In the midst of training, when little is left but the best groups, Newton walks to α from one side in
    about seven steps; the guarded search then has one or two left.
    """
    for _ in range(_BARE_STEPS):
        used, slope = ramps.use(alpha)
        flat = ops.equal(slope, 0)
        step = (budget - used) / ops.where(flat, ops.ones_like(slope), slope)
        alpha = ops.where(flat, alpha, ops.minimum(alpha * (1.0 + ops.maximum(step, -0.9)), bounds.hi))
    return alpha


def _positive(x):
    return ops.where(x > 0, x, ops.ones_like(x))
