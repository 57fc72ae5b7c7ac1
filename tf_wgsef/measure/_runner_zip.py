"""This folder as one file that Python runs: what measures on a board is the code that measures here."""

import importlib.resources
import io
import zipfile

# Read by any Python 3, so that an old one gets a sentence instead of a syntax error.
_MAIN = """\
import json
import sys

def fail(text):
    print("tf_wgsef " + json.dumps({"kind": "error", "type": "MeasurementError", "text": text}))
    sys.exit(1)

if sys.version_info < (3, 10):
    fail("Expected Python 3.10 or newer on the board. Received: Python %d.%d. Install one, for instance with "
         "uv or conda, and pass its path as python=..." % sys.version_info[:2])
try:
    import numpy
except ImportError:
    fail("Expected NumPy for %s on the board. Received: it cannot be imported. Run there "
         "`python3 -m pip install numpy ai-edge-litert`, in a venv if it asks for one, and pass the venv's "
         "python=..." % sys.executable)
from tf_wgsef.measure._on_device import main
sys.exit(main())
"""
_PARTS = ("__init__.py", "callable_module.py", "errors.py", "tflite_arrays.py", "validation.py")


def runner_zip() -> bytes:
    """Returns the archive; ``python3 runner.zip`` runs it.

    Example:
        >>> runner_zip()[:2]
        b'PK'
    """
    package = importlib.resources.files("tf_wgsef")
    parts = {f"tf_wgsef/{name}": package / name for name in _PARTS}
    for file in (package / "measure").iterdir():
        if file.name.endswith(".py"):
            parts[f"tf_wgsef/measure/{file.name}"] = file
    contents = {"__main__.py": _MAIN.encode(), **{name: file.read_bytes() for name, file in parts.items()}}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in sorted(contents.items()):
            # With a date of its own, the same code is the same archive at any time.
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
