"""A Keras model as a channel graph, and what its layers cost."""

from ._channel_graph import ChannelGraph as ChannelGraph
from ._channel_graph import build_channel_graph as build_channel_graph
from ._check_model import check_keras_model as check_keras_model
from ._expand import Compound as Compound
from ._profile import LayerCost as LayerCost
from ._profile import Profile as Profile
from ._profile import profile as profile
from ._read import Reading as Reading
from ._read import read_calls as read_calls
