"""Silence for native code that writes to this process's output while it works."""

import contextlib
import io
import logging
import os
import sys
import tempfile
import warnings

_LOGGERS = ("absl", "tensorflow")


@contextlib.contextmanager
def quiet():
    """Keeps all that is printed inside the block, by Python or by native code, off the screen.

    TensorFlow's converter and LiteRT write to the file descriptors 1 and 2 from C++, where
    ``contextlib.redirect_stdout`` does not reach. Both are put back however the block ends. They
    belong to the whole process: what another thread prints meanwhile is swallowed as well.

    Yields:
        a function without arguments that returns what was printed so far, for error messages.

    Example:
        >>> with quiet() as printed:
        ...     print("noise")
        ...     caught = printed()
        >>> caught.strip()
        'noise'
    """
    text = io.StringIO()
    with contextlib.ExitStack() as stack:
        # Entered first, so closed last. The file has no name: nothing is left behind.
        sink = stack.enter_context(tempfile.TemporaryFile())
        for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
            _divert(stack, stream, descriptor, sink.fileno())
        stack.enter_context(contextlib.redirect_stdout(text))
        stack.enter_context(contextlib.redirect_stderr(text))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        for name in _LOGGERS:
            # Their handlers may hold a stream of their own (a notebook's), so the level is raised.
            logger = logging.getLogger(name)
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL)
        yield lambda: _read(sink) + text.getvalue()


def _divert(stack, stream, descriptor, target):
    """Points ``descriptor`` at ``target`` until ``stack`` closes; a closed one is left alone."""
    if stream is not None:
        # What was printed before belongs on the screen, not in the sink.
        stream.flush()
    try:
        saved = os.dup(descriptor)
    except OSError:
        return
    stack.callback(os.close, saved)
    stack.callback(os.dup2, saved, descriptor)
    os.dup2(target, descriptor)


def _read(sink):
    size = os.fstat(sink.fileno()).st_size
    return os.pread(sink.fileno(), size, 0).decode(errors="replace") if hasattr(os, "pread") else ""
