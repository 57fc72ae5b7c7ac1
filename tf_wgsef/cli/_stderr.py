"""Standard error for people: what native libraries log on their own is dropped."""

import contextlib
import faulthandler
import os
import sys
from collections.abc import Iterator

from absl import logging


@contextlib.contextmanager
def native_messages_dropped() -> Iterator[None]:
    """Keeps ``sys.stderr`` where it is, and sends what native code writes to descriptor 2 nowhere.

    TensorFlow and LiteRT report about GPUs and delegates there, whatever log level is set, in the middle
    of progress bars. A crash of native code still prints Python's trace.
    """
    sys.stderr.flush()
    descriptor = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    before = sys.stderr
    handler = logging.get_absl_handler().python_handler
    stream = os.fdopen(
        os.dup(descriptor), "w", buffering=1, encoding=before.encoding, errors="backslashreplace"
    )
    try:
        os.dup2(nowhere, 2)
        sys.stderr = stream
        handler.setStream(stream)
        faulthandler.enable(stream)
        yield
    finally:
        faulthandler.disable()
        handler.setStream(before)
        sys.stderr = before
        os.dup2(descriptor, 2)
        stream.close()
        os.close(nowhere)
        os.close(descriptor)
