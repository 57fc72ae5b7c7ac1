"""Penalties: functions of a vector of group norms, with a value and a proximal operator each."""

from ._group_lasso import GroupLasso as GroupLasso
from ._group_penalty import GroupPenalty as GroupPenalty
from ._numerics import safe_norm as safe_norm
from ._numerics import safe_sqrt as safe_sqrt
from ._wgsef import WGSEF as WGSEF
