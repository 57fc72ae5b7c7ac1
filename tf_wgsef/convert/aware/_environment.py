"""How the other process starts: its command and its environment."""

import json
import os
import pathlib
import sys

# The caller's Keras must not choose that of the other process, and its settings file must not reach it.
_DROPPED = (
    "KERAS_BACKEND",
    "KERAS_HOME",
    "TF_USE_LEGACY_KERAS",
    "TF_KERAS",
    "PYTHONINSPECT",
    "PYTHONSTARTUP",
)
# With the caller's own module path, so that both find the same packages, wherever the caller's script lies.
_START = (
    "import json, runpy, sys; sys.path[:] = json.loads(sys.argv.pop()); runpy.run_module('tf_wgsef.keras2', "
    "run_name='__main__')"
)


def command() -> list[str]:
    """Returns the argument list that starts the other process."""
    path = [str(pathlib.Path(entry).absolute()) for entry in sys.path]
    return [sys.executable, "-c", _START, json.dumps(path)]


def environment(folder: pathlib.Path) -> dict[str, str]:
    """Returns the variables of the other process: the caller's, but for those that choose a Keras.

    Args:
        folder: its private folder, where Keras 2 may keep its settings file.

    Example:
        >>> import pathlib
        >>> from tf_wgsef.convert.aware._environment import environment
        >>> environment(pathlib.Path("job"))["TF_USE_LEGACY_KERAS"]
        '1'
    """
    kept = {name: value for name, value in os.environ.items() if name not in _DROPPED}
    kept.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # The caller's TensorFlow may hold most of a GPU's memory already: take no more than is needed.
    kept.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    # With this, TensorFlow loads Keras 2 in place of Keras 3.
    return {**kept, "TF_USE_LEGACY_KERAS": "1", "KERAS_HOME": str(folder / "keras")}
