"""What each layer type does to its channels: one class per layer family.

``tie`` (which channels are the same), ``forward`` (zero, constant or live), ``backward`` (used or not),
``parameters`` (which slices belong to which channel), ``resize`` and ``macs``. A layer without a rule is a
barrier: what it touches stays. ``register_rule`` teaches a new one.
"""

from ._activations import ActivationRule as ActivationRule
from ._activations import DropoutRule as DropoutRule
from ._barrier import BarrierRule as BarrierRule
from ._batch_normalization import BatchNormalizationRule as BatchNormalizationRule
from ._call import Call as Call
from ._call import ParameterAxis as ParameterAxis
from ._call import Shape as Shape
from ._call import TensorKey as TensorKey
from ._convolution import Conv2DRule as Conv2DRule
from ._convolution import DenseRule as DenseRule
from ._depthwise import DepthwiseConv2DRule as DepthwiseConv2DRule
from ._flatten import FlattenRule as FlattenRule
from ._merging import AddRule as AddRule
from ._merging import ConcatenateRule as ConcatenateRule
from ._pooling import PoolingRule as PoolingRule
from ._registry import register_rule as register_rule
from ._registry import rule_for as rule_for
from ._rule import LIVE as LIVE
from ._rule import LayerRule as LayerRule
from ._ties import Ties as Ties
