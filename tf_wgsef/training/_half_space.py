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
        pull: c_g, with which the penalty's gradient step is -c_g · x_g.
    """

    before: Any
    after: Any
    along: Any
    length: Any
    pull: Any

    @property
    def inner(self):
        """⟨y_g, x_g⟩ of the trial y_g = t_g - c_g · x_g."""
        return (1.0 - self.pull) * ops.square(self.before) + self.along

    def moved(self, factors, past):
        """‖factor · t_g - past · x_g - x_g‖², without the cancellation of large terms."""
        shift = factors - past - 1.0
        square = ops.square(factors) * self.length + ops.square(shift * self.before)
        return ops.maximum(square + 2.0 * factors * shift * self.along, 0.0)


def measure(step, move) -> Geometry:
    """Measures the update of every group, and the pull of the penalty at x.

    Args:
        step: the ``Solver``.
        move: the ``Move``, with the previous values.
    """
    members, count = step.groups.members, step.groups.num_groups
    # From the difference itself: an update is many times smaller than what it updates.
    change = [ops.subtract(new, old) for new, old in zip(move.values, move.previous, strict=True)]
    before = group_norms(members, move.previous, count)
    return Geometry(
        before,
        group_norms(members, move.values, count),
        group_products(members, change, move.previous, count),
        group_products(members, change, change, count),
        step.strength * ops.cast(move.step_size, before.dtype) * step.gradient(before),
    )


def half_space(geometry: Geometry, epsilon, best, pooled):
    """Takes the half-space step: y_g = t_g - c_g x_g, or 0 if ⟨y_g, x_g⟩ < ε‖x_g‖².

    A group that is zero stays zero. A group that the level keeps is not projected: where it would be, it
    takes the optimizer's update alone.

    Args:
        geometry: of the update.
        epsilon: ε in [0, 1).
        best: 1 for the groups that the level keeps, else 0.
        pooled: whether a group is in a pool, bool of shape (num_groups,).

    Returns:
        Two multipliers per group, a_g and b_g: the group becomes a_g t_g - b_g x_g.
    """
    square, inner = ops.square(geometry.before), geometry.inner
    # A trial that is exactly at the border of ε = 0 may be zero itself. NaN is not projected: it must show.
    outside = ops.logical_or(inner < epsilon * square, inner <= 0)
    zero = ops.logical_and(ops.equal(geometry.before, 0), pooled)
    gone = ops.logical_or(zero, ops.logical_and(outside, ops.equal(best, 0)))
    nothing = ops.zeros_like(geometry.before)
    factors = ops.where(gone, nothing, ops.ones_like(nothing))
    return factors, ops.where(ops.logical_or(gone, outside), nothing, geometry.pull)
