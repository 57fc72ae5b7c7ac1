"""What each layer type does to its channels: one class per layer family.

``tie`` (which channels are the same), ``forward`` (zero, constant or live), ``backward`` (used or not),
``parameters`` (which slices belong to which channel), ``resize`` and ``macs``. A layer without a rule is a
barrier: what it touches stays. ``register_rule`` teaches a new one.
"""

from ._activations import ActivationRule as ActivationRule
from ._activations import DropoutRule as DropoutRule
from ._activations import PReLURule as PReLURule
from ._activations import RescalingRule as RescalingRule
from ._barrier import BarrierRule as BarrierRule
from ._batch_normalization import BatchNormalizationRule as BatchNormalizationRule
from ._call import Call as Call
from ._call import ParameterAxis as ParameterAxis
from ._call import Shape as Shape
from ._call import TensorKey as TensorKey
from ._convolution import ConvRule as ConvRule
from ._convolution import ConvTransposeRule as ConvTransposeRule
from ._convolution import DenseRule as DenseRule
from ._convolution import MixingRule as MixingRule
from ._convolution import SeparableConvRule as SeparableConvRule
from ._depthwise import DepthwiseConvRule as DepthwiseConvRule
from ._embedding import EmbeddingRule as EmbeddingRule
from ._merging import AddRule as AddRule
from ._merging import AverageRule as AverageRule
from ._merging import ConcatenateRule as ConcatenateRule
from ._merging import ElementwiseMergeRule as ElementwiseMergeRule
from ._merging import MaximumRule as MaximumRule
from ._merging import MinimumRule as MinimumRule
from ._merging import MultiplyRule as MultiplyRule
from ._merging import SubtractRule as SubtractRule
from ._operations import ElementwiseOperationRule as ElementwiseOperationRule
from ._registry import register_rule as register_rule
from ._registry import rule_for as rule_for
from ._reshape import FlattenRule as FlattenRule
from ._reshape import PermuteRule as PermuteRule
from ._reshape import ReshapeRule as ReshapeRule
from ._rule import LIVE as LIVE
from ._rule import LayerRule as LayerRule
from ._spatial import PoolingRule as PoolingRule
from ._spatial import RepeatOrCropRule as RepeatOrCropRule
from ._spatial import ZeroPaddingRule as ZeroPaddingRule
from ._statistics import ChannelStatisticsRule as ChannelStatisticsRule
from ._ties import Ties as Ties
