"""A Keras model as a channel graph: what its layers cost, and which channels can go."""

from ._channel_graph import ChannelGraph as ChannelGraph
from ._channel_graph import build_channel_graph as build_channel_graph
from ._check_model import check_keras_model as check_keras_model
from ._copy_model import compile_like as compile_like
from ._copy_model import copy_model as copy_model
from ._copy_model import from_config as from_config
from ._dataflow import removable_channels as removable_channels
from ._expand import Compound as Compound
from ._in_float32 import in_float32 as in_float32
from ._plan import Plan as Plan
from ._plan import plan_removal as plan_removal
from ._profile import LayerCost as LayerCost
from ._profile import Profile as Profile
from ._profile import profile as profile
from ._read import Reading as Reading
from ._read import read_calls as read_calls
