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
    """Returns the first line of what an error says, at most 200 characters."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]
