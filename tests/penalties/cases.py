"""The table of penalties: a new penalty adds one line here and inherits every test of test_common.py."""

import dataclasses
from collections.abc import Callable

from tests import oracles
from tf_wgsef.penalties import WGSEF, GroupLasso, GroupPenalty

BUDGET = 3


@dataclasses.dataclass(frozen=True)
class Case:
    """A penalty, what holds for it, and its NumPy reference factors(norms, s, weights)."""

    name: str
    make: Callable[..., GroupPenalty]  # takes strength=...
    reference: Callable
    convex: bool
    largest_step: float = 4.0  # of the tests; below 1 for the debiased, whose step is in [0, 1]


def _wgsef(debias):
    return lambda n, s, d: oracles.wgsef_factors(n, s, d, BUDGET, debias=debias)


CASES = [
    Case("wgsef", lambda **o: WGSEF(BUDGET, **o), _wgsef(True), convex=False, largest_step=0.99),
    Case("wgsef-ridge", lambda **o: WGSEF(BUDGET, debias=False, **o), _wgsef(False), convex=True),
    Case("group-lasso", GroupLasso, oracles.lasso_factors, convex=True),
    Case(
        "group-lasso-unscaled",
        lambda **o: GroupLasso(scale_by_size=False, **o),
        lambda n, s, d: oracles.lasso_factors(n, s, d, scale_by_size=False),
        convex=True,
    ),
]
