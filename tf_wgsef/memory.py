"""Memory of this process, as the C library and TensorFlow handle it."""

import ctypes
import gc
import os
import sys

_M_MMAP_THRESHOLD = -3  # malloc.h
_BLOCK = 1 << 20


def give_back_memory() -> None:
    """Frees what nothing refers to any more, and has the C library return it to the system.

    What TensorFlow has loaded hangs together in circles, which Python frees when it gets to it; glibc then
    keeps blocks of up to 32 MB.
    """
    gc.collect()
    _glibc("malloc_trim", 0)


def use_little_memory() -> None:
    """Makes this process hold less; for one that does nothing but convert, before TensorFlow is loaded.

    TensorFlow's allocator for oneDNN keeps all that it ever had, in a conversion the variables of the model:
    the system's takes its place, and that is told to return all blocks of a megabyte or more. Training would
    pay for both in time. Where TensorFlow is loaded already, the process is somebody else's and stays as it
    is.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")
        _glibc("mallopt", _M_MMAP_THRESHOLD, _BLOCK)


def _glibc(name: str, *arguments: int) -> None:
    """Calls a function of the GNU C library, where there is one: musl, macOS and Windows have none."""
    function = getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
    if function is not None:
        function(*arguments)
