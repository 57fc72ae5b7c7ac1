"""Memory that is free goes back to the system."""

import ctypes
import gc


def release_memory() -> None:
    """Collects garbage, and lets the C library give back what is free.

    A conversion copies the weights several times. What it has freed stays with the process otherwise, and the
    next step takes more: 7.3 times the model's size instead of 5.3 for an int8 file.
    """
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # no glibc: another system, or musl
        return
