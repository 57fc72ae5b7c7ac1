"""What a job cannot do, layer by layer."""


class Refusal(Exception):
    """Layers that Keras 2 or the library cannot take.

    Args:
        what: what they cannot be: "rebuilt in Keras 2", "quantized".
        problems: (class, name, reason) of each.
    """

    def __init__(self, what: str, problems):
        super().__init__(what)
        self.what = what
        self.problems = [tuple(problem) for problem in problems]


def first_line(error: BaseException) -> str:
    r"""Returns the line of an error that says most, at most 200 characters.

    Example:
        >>> first_line(ValueError("Error when deserializing\n\nException encountered: no such activation"))
        'no such activation'
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    marks = ("Exception encountered: ", "error: ")
    said = [line.partition(mark)[2] for mark in marks for line in lines if mark in line]
    return (said or lines)[0][:200]
