"""The table of penalties: a new penalty adds one line here and inherits the common tests."""

import dataclasses
from collections.abc import Callable

import pytest

from tests import oracles
from tests.penalties import references
from tf_wgsef.penalties import (
    WGSEF,
    GroupL0,
    GroupL1MinusL2,
    GroupLasso,
    GroupMCP,
    GroupPenalty,
    GroupSCAD,
    GroupTransformedL1,
)

BUDGET = 3


@dataclasses.dataclass(frozen=True)
class Case:
    """A penalty, its NumPy references (of norms, s, weights and of norms, weights), and what holds for it."""

    name: str
    make: Callable[..., GroupPenalty]  # takes strength=...
    factors: Callable
    value: Callable
    convex: bool = False
    largest_step: float = 4.0  # of the tests; below 1 for the debiased, whose step is in [0, 1]
    step_per_group: bool = True  # whether each group may take a step of its own
    has_gradient: bool = True  # whether there is one for half-space steps


def _wgsef(name, debias, **holds):
    return Case(
        name,
        lambda **o: WGSEF(BUDGET, debias=debias, **o),
        lambda n, s, d: oracles.wgsef_factors(n, s, d, BUDGET, debias=debias),
        lambda n, d: oracles.wgsef_value(n, [1.0] * len(n) if d is None else d, BUDGET, debias=debias),
        **holds,
    )


def _case(name, make, reference, **holds):
    return Case(name, make, reference.factors, reference.value, **holds)


CASES = [
    _wgsef("wgsef", True, largest_step=0.99),
    _wgsef("wgsef-ridge", False, convex=True),
    _case("group-lasso", GroupLasso, references.lasso, convex=True),
    _case(
        "group-lasso-unscaled",
        lambda **o: GroupLasso(scale_by_size=False, **o),
        references.lasso_unscaled,
        convex=True,
    ),
    _case("group-l0", GroupL0, references.l0, has_gradient=False),
    # Steps on both sides of where the objective of the prox stops being convex: γ, a - 1, a + 1.
    _case("group-mcp", lambda **o: GroupMCP(gamma=1.5, **o), references.mcp(1.5)),
    _case("group-scad", lambda **o: GroupSCAD(a=2.5, **o), references.scad(2.5)),
    _case("group-transformed-l1", GroupTransformedL1, references.transformed_l1(1.0)),
    _case("group-l1-minus-l2", GroupL1MinusL2, references.L1MinusL2(1.0), step_per_group=False),
    _case(
        "group-l1-minus-half-l2",
        lambda **o: GroupL1MinusL2(alpha=0.5, **o),
        references.L1MinusL2(0.5),
        step_per_group=False,
    ),
]


def cases_with(holds=lambda case: True):
    """One test for each penalty of which ``holds``."""
    return pytest.mark.parametrize(
        "case", [case for case in CASES if holds(case)], ids=lambda case: case.name
    )


every = cases_with()
