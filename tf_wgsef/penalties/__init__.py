"""Penalties: functions of a vector of group norms, with a value and a proximal operator each."""

from ._group_l0 import GroupL0 as GroupL0
from ._group_l1_minus_l2 import GroupL1MinusL2 as GroupL1MinusL2
from ._group_lasso import GroupLasso as GroupLasso
from ._group_mcp import GroupMCP as GroupMCP
from ._group_penalty import GroupPenalty as GroupPenalty
from ._group_scad import GroupSCAD as GroupSCAD
from ._group_transformed_l1 import GroupTransformedL1 as GroupTransformedL1
from ._numerics import safe_norm as safe_norm
from ._numerics import safe_sqrt as safe_sqrt
from ._wgsef import WGSEF as WGSEF
