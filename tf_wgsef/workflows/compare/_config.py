"""A comparison's configuration file."""

import os
import pathlib
import sys

from tf_wgsef.errors import InputError
from tf_wgsef.workflows.compare._settings import Settings, read_settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def load_settings(path: str | os.PathLike) -> Settings:
    """Reads settings from a TOML file, whose keys are the attributes of ``Settings``.

    Args:
        path: the file.

    Raises:
        InputError: if it cannot be read, is no TOML, or asks for what there is not.

    Example:
        A file that compares three methods at two levels::

            recipe = "lenet5-digits"
            methods = ["wgsef", "ssl", "magnitude"]
            levels = [0.75, 0.9]
            strength = { ssl = [0.003, 0.01] }
    """
    file = pathlib.Path(path)
    try:
        return read_settings(tomllib.loads(file.read_text("utf-8")))
    except InputError:
        raise
    except OSError as error:
        raise InputError(
            f"Expected a TOML file. Received: {str(file)!r} ({error.strerror or error})."
        ) from error
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, a number of 5000 digits, [[[[…
        raise InputError(
            f"Expected a TOML file. Received: {str(file)!r}, which is none ({error})."
        ) from error
