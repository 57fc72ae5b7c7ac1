"""keras.Model -> ``.tflite`` bytes: quantization, and a proof that the file is right."""

from tf_wgsef.callable_module import make_callable

from ._convert import convert as convert
from ._parity import Parity as Parity
from ._parity import parity as parity
from ._runtime import accuracy as accuracy
from ._runtime import predict as predict

make_callable(__name__)
