"""keras.Model -> ``.tflite`` bytes: quantization, and a proof that the file is right."""

from tf_wgsef.callable_module import make_callable

from ._c_array import c_array as c_array
from ._contents import FileContents as FileContents
from ._contents import Port as Port
from ._contents import Weights as Weights
from ._contents import read_contents as read_contents
from ._convert import convert as convert
from ._metadata import read_metadata as read_metadata
from ._metadata import weights_hash as weights_hash
from ._parity import Parity as Parity
from ._parity import parity as parity
from ._record import ConversionRecord as ConversionRecord
from ._record import TFLiteFile as TFLiteFile
from ._runtime import accuracy as accuracy
from ._runtime import predict as predict
from ._samples import random_samples as random_samples
from ._signature import input_specs as input_specs
from ._sparse import SparseLayer as SparseLayer
from ._sparse import sparse_layers as sparse_layers

make_callable(__name__)
