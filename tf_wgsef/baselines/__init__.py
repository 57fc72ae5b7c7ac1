"""Rivals that need a layer, a loss or a callback of their own, to be compared on the same data and seeds.

Each docstring says which paper it follows, and what of it no source at hand confirms.
"""

from ._connections_rule import SparseConnectionsRule as SparseConnectionsRule
from ._feature_flow import FeatureFlow as FeatureFlow
from ._feature_flow import with_feature_flow as with_feature_flow
from ._feature_layers import feature_layers as feature_layers
from ._implicit_sparsity import ImplicitSparsity as ImplicitSparsity
from ._implicit_sparsity import InactiveFilters as InactiveFilters
from ._implicit_sparsity import inactive_filters as inactive_filters
from ._plain_convolutions import plain_convolutions as plain_convolutions
from ._slimming import GammaL1 as GammaL1
from ._slimming import largest_gammas as largest_gammas
from ._slimming import remove_slimming as remove_slimming
from ._slimming import select_by_gamma as select_by_gamma
from ._slimming import slimming as slimming
from ._sparse_connections import SparseConnections2D as SparseConnections2D
from ._with_sparse_connections import with_sparse_connections as with_sparse_connections
