"""Groups of parameters that are zeroed together: coupled, zero-invariant, as plain data."""

from ._arithmetic import group_norms as group_norms
from ._arithmetic import group_products as group_products
from ._arithmetic import scale_groups as scale_groups
from ._build import KINDS as KINDS
from ._build import build_groups as build_groups
from ._costs import REMOVED_BY_STRIP as REMOVED_BY_STRIP
from ._costs import UNITS as UNITS
from ._costs import GroupCosts as GroupCosts
from ._custom import custom_groups as custom_groups
from ._depth import BRANCHES as BRANCHES
from ._group_set import GroupSet as GroupSet
from ._keys import keys_of_variables as keys_of_variables
from ._latency_table import LatencyTable as LatencyTable
from ._latency_table import LayerLatency as LayerLatency
from ._layer_words import describe_layer as describe_layer
from ._layer_words import multiplies as multiplies
from ._member import Member as Member
from ._member import consecutive as consecutive
from ._runs import from_runs as from_runs
from ._runs import to_runs as to_runs
from ._tied import layers_of_channels as layers_of_channels
