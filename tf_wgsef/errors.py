"""The errors that tf_wgsef raises on purpose: each says what was expected, what came and what to do."""


class WGSEFError(Exception):
    """Base of every error that the package raises on purpose; the command line prints it as one line."""


class InputError(WGSEFError, ValueError):
    """An argument, a file or a model is not what was expected."""


class StripError(WGSEFError, RuntimeError):
    """A stripped model would not compute what the model before it computes; it is not returned."""


class ConversionError(WGSEFError, RuntimeError):
    """A ``.tflite`` file could not be made, or does not compute what the Keras model computes."""


class MeasurementError(WGSEFError, RuntimeError):
    """A latency could not be measured on the target.

    Attributes:
        measured: a ``LatencyStats`` per file of what was measured before, such as before a connection was
            lost; empty if there is nothing.
    """

    measured: tuple = ()
