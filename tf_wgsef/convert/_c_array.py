"""A file as a C header, for microcontrollers without a file system."""

import re
from collections.abc import Iterator

from tf_wgsef.errors import InputError
from tf_wgsef.validation import read_tflite

_PER_LINE = 16
_KEYWORDS = set(
    "auto break case char const continue default do double else enum extern float for goto if inline int "
    "long register restrict return short signed sizeof static struct switch typedef union unsigned void "
    "volatile while".split()
)


def c_array(tflite, name: str = "model") -> Iterator[str]:
    """Yields the lines of a C and C++ header that holds a file as an array, aligned to 16 bytes.

    Args:
        tflite: the file: its bytes, or its path.
        name: of the array; its length is ``<name>_len``.

    Raises:
        InputError: if it is no ``.tflite`` file, or ``name`` no identifier of C.

    Example:
        >>> list(c_array(tflite, "digits"))[8]
        'TF_WGSEF_ALIGNED static const unsigned char digits[] = {'
    """
    data = read_tflite(tflite)
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) or name in _KEYWORDS:
        raise InputError(
            f"Expected a name of an array in C: letters, digits and underscores. Received: {name!r}."
        )
    return _lines(data, name)


def _lines(data: bytes, name: str) -> Iterator[str]:
    guard = f"TF_WGSEF_{name.upper()}_H"
    yield f"// {len(data)} bytes of a .tflite file, made by tf_wgsef."
    yield f"#ifndef {guard}"
    yield f"#define {guard}"
    yield "#ifdef __cplusplus"
    yield "#define TF_WGSEF_ALIGNED alignas(16)"
    yield "#else"
    yield "#define TF_WGSEF_ALIGNED _Alignas(16)"
    yield "#endif"
    yield f"TF_WGSEF_ALIGNED static const unsigned char {name}[] = {{"
    for start in range(0, len(data), _PER_LINE):
        yield "  " + " ".join(f"0x{byte:02x}," for byte in data[start : start + _PER_LINE])
    yield "};"
    yield "#undef TF_WGSEF_ALIGNED"
    yield f"static const unsigned int {name}_len = {len(data)};"
    yield f"#endif  // {guard}"
