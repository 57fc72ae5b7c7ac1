"""The half-space step as pure functions of group norms and inner products: which groups it projects."""

from typing import Any, NamedTuple

from keras import ops

from tf_wgsef.groups import group_norms, group_products


class Geometry(NamedTuple):
    """The update of every group, from x to t, seen from x; each of shape (num_groups,).

    Attributes:
        before: ‖x_g‖.
        after: ‖t_g‖.
        along: ⟨t_g - x_g, x_g⟩.
        length: ‖t_g - x_g‖².
    """

    before: Any
    after: Any
    along: Any
    length: Any

    def squared_move(self, factors, past):
        """‖(factor · t_g - past · x_g) - x_g‖², without the cancellation of large terms."""
        shift = factors - past - 1.0
        square = ops.square(factors) * self.length + ops.square(shift * self.before)
        return ops.maximum(square + 2.0 * factors * shift * self.along, 0.0)


def measure(step, previous: list, values: list) -> Geometry:
    """Measures an update of every group.

    Args:
        step: the ``Solver``.
        previous: value of each member of the groups before.
        values: the same after.
    """
    members, count = step.groups.members, step.groups.num_groups
    # From the difference itself: an update is many times smaller than what it updates.
    change = [ops.subtract(new, old) for new, old in zip(values, previous, strict=True)]
    return Geometry(
        group_norms(members, previous, count),
        group_norms(members, values, count),
        group_products(members, change, previous, count),
        group_products(members, change, change, count),
    )


def pull(step, move, before):
    """What the penalty's gradient step takes off each group: step · ∇Ω(x)_g = pull_g · x_g.

    Args:
        step: the ``Solver``.
        move: the ``Move``.
        before: ‖x_g‖, shape (num_groups,).
    """
    return step.strength * ops.cast(move.step_size, before.dtype) * step.gradient(before)


def half_space(geometry: Geometry, pulls, epsilon, best, prox):
    """Takes the half-space step: y_g = t_g - pull_g · x_g, or 0 if ⟨y_g, x_g⟩ < ε‖x_g‖².

    So a group that is zero stays zero. A group that the level keeps takes the step of the prox, or the
    optimizer's update alone where that would zero it.

    Args:
        geometry: of the update.
        pulls: shape (num_groups,), see ``pull``.
        epsilon: ε in [0, 1).
        best: 1 for the groups that the level keeps, or that are in no pool, else 0.
        prox: factor of each group in the prox, 1 if it is in no pool.

    Returns:
        Two multipliers per group, a_g and b_g: the group becomes a_g t_g - b_g x_g.
    """
    square = ops.square(geometry.before)
    inner = (1.0 - pulls) * square + geometry.along
    # A trial that is exactly at the border of ε = 0 may be zero itself. NaN is not projected: it must show.
    outside = ops.logical_or(inner < epsilon * square, inner <= 0)
    one, nothing = ops.ones_like(prox), ops.zeros_like(prox)
    kept = ops.where(prox > 0, prox, one)
    factors = ops.where(best > 0, kept, ops.where(outside, nothing, one))
    return factors, ops.where(ops.logical_or(best > 0, outside), nothing, pulls)
