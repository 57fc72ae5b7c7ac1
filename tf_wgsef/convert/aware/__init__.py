"""Training in Keras 2, in a process of its own: quantization-aware, clustered weights, 2:4 sparsity."""

from ._aware_file import check_training as check_training
from ._aware_file import convert_aware as convert_aware
from ._progress import AwareProgress as AwareProgress
from ._train_quantized import QuantizedTraining as QuantizedTraining
from ._train_quantized import train_quantized as train_quantized
from ._train_weights import TrainedWeights as TrainedWeights
from ._train_weights import cluster_weights as cluster_weights
from ._train_weights import sparse_2_to_4 as sparse_2_to_4
