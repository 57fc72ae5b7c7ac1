"""Which process makes a run: several may work on one comparison, and none does what another one does."""

import contextlib
import pathlib
from collections.abc import Iterator

import filelock


class TakenElsewhere(Exception):  # noqa: N818 (no error: it is being made)
    """Another process makes this run."""


@contextlib.contextmanager
def claimed(folder: pathlib.Path, name: str) -> Iterator[None]:
    """Holds the claim on a run; it ends with the process, however that ends.

    Args:
        folder: of all unfinished runs.
        name: of the run, another one for another run.

    Raises:
        TakenElsewhere: if another process holds it.
        OSError: if there can be no such file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.lock"
    lock = filelock.FileLock(file)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        raise TakenElsewhere from None
    try:
        yield
        with contextlib.suppress(OSError):  # Windows removes no open file
            file.unlink()
    finally:
        lock.release()
