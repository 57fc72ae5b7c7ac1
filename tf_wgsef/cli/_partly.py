"""Some of what a command was asked for is there, and some is not: show both, exit with 1."""

from tf_wgsef.errors import WGSEFError


class PartlyDoneError(WGSEFError):
    """A command failed after it had results.

    Args:
        message: why it failed.
        values: the results, for ``--json``.
    """

    def __init__(self, message: str, values: dict):
        super().__init__(message)
        self.values = values
