"""Output that never overwrites what is there, and is never half written."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator

from tf_wgsef.errors import InputError


def new_folder(path: str | os.PathLike, *, overwrite: bool = False) -> pathlib.Path:
    """Makes the folder ``path``, or returns it if it is there and may be written into.

    Args:
        path: the folder; its parent must exist.
        overwrite: whether files in an existing folder may be replaced.

    Raises:
        InputError: if the folder holds something already, is a file, or cannot be made.
    """
    check_new_folder(path, overwrite=overwrite)
    folder = pathlib.Path(path)
    folder.mkdir(exist_ok=True)
    return folder


def check_new_folder(path: str | os.PathLike, *, overwrite: bool = False) -> None:
    """Checks early, before long work, that ``new_folder`` will be able to make ``path``.

    Raises:
        InputError: as ``new_folder``.
    """
    folder = _path(path)
    if folder.is_dir():
        if any(folder.iterdir()) and not overwrite:
            raise InputError(
                f"Expected an output folder that is new or empty. Received: {str(folder)!r}, which holds "
                f"files. Pass another one, or overwrite=True or --overwrite to replace them."
            )
        _check_writable(folder)
        return
    if folder.exists():
        raise InputError(f"Expected an output folder. Received: {str(folder)!r}, which is a file.")
    _check_parent(folder)


@contextlib.contextmanager
def new_file(path: str | os.PathLike, *, overwrite: bool = False) -> Iterator[pathlib.Path]:
    """Gives a temporary file beside ``path`` to write to; it takes the name ``path`` only when all went well.

    Args:
        path: the file; its folder must exist.
        overwrite: whether an existing file may be replaced.

    Raises:
        InputError: if the file exists already, or its folder does not.
    """
    file = pathlib.Path(path)
    check_new_file(file, overwrite=overwrite)
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".tf_wgsef-") as folder:
        temporary = pathlib.Path(folder) / file.name
        try:
            yield temporary
        except OSError as error:
            if error.filename is None:  # some libraries do not tell what could not be written
                error.filename = str(file)
            raise
        check_new_file(file, overwrite=overwrite)
        if overwrite:
            temporary.replace(file)
        else:
            _move_without_replacing(temporary, file)


def check_new_file(path: str | os.PathLike, *, overwrite: bool = False) -> None:
    """Checks early, before long work, that ``new_file`` will be able to write ``path``.

    Raises:
        InputError: if the file exists already, or its folder does not.
    """
    file = _path(path)
    if file.is_dir():
        raise InputError(f"Expected an output file. Received: {str(file)!r}, which is a folder.")
    if file.exists() and not file.is_file():
        raise InputError(f"Expected an output file. Received: {str(file)!r}, which is a device or a pipe.")
    if file.exists() and not overwrite:
        raise InputError(
            f"Expected an output file that does not exist yet. Received: {str(file)!r}. "
            f"Pass another one, or overwrite=True or --overwrite to replace it."
        )
    _check_parent(file)


def _path(path) -> pathlib.Path:
    if not isinstance(path, str | os.PathLike) or not os.fspath(path):
        raise InputError(f"Expected a path to write to. Received: {path!r:.200}.")
    return pathlib.Path(path)


def _move_without_replacing(temporary: pathlib.Path, file: pathlib.Path) -> None:
    """Gives ``temporary`` its name in one step that fails if another process has taken it meanwhile."""
    try:
        os.link(temporary, file)
    except FileExistsError:
        # Another process has made it, or it is a link that leads nowhere.
        raise InputError(
            f"Expected an output file that does not exist yet. Received: {str(file)!r}, which is there now. "
            f"Pass another one, or overwrite=True or --overwrite to replace it."
        ) from None
    except OSError:  # a file system without hard links
        temporary.replace(file)


def _check_parent(path: pathlib.Path) -> None:
    parent = path.absolute().parent
    if not parent.is_dir():
        raise InputError(f"Expected an output in a folder that exists. Received: {str(path)!r}.")
    _check_writable(parent)


def _check_writable(folder: pathlib.Path) -> None:
    if not os.access(folder, os.W_OK):
        raise InputError(f"Expected an output folder that may be written to. Received: {str(folder)!r}.")
