"""Whether a file became too slow: the question of continuous integration."""

import dataclasses
import math

from tf_wgsef.errors import InputError

from ._comparison import LatencyComparison


@dataclasses.dataclass(frozen=True)
class SlowerVerdict:
    """The answer to: is the second file slower than the first by more than ``bound``?

    Attributes:
        bound: how much slower it may be: 0.05 for 5 %.
        verdict: "failed", "passed", or "not judged" on a machine that slowed down meanwhile.
        text: the answer in one line.
    """

    bound: float
    verdict: str
    text: str


def parse_bound(text: str | float) -> float:
    """Returns how much slower a file may be, as a share.

    Args:
        text: such as "5%" or 0.05.

    Raises:
        InputError: if it is neither, or negative, or above 1 without "%": that is likely meant as percent.

    Example:
        >>> parse_bound("5%"), parse_bound("0.05"), parse_bound(" 2.5 % ")
        (0.05, 0.05, 0.025)
    """
    words = str(text).strip()
    try:
        value = float(words.removesuffix("%")) / (100 if words.endswith("%") else 1)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf or "_" in words:
        raise InputError(
            f"Expected how much slower the second file may be, as 5% or 0.05. Received: {str(text)[:80]!r}."
        )
    if value > 1 and not words.endswith("%"):
        raise InputError(
            f"Expected a share of at most 1, or percent with its sign. Received: {str(text)[:80]!r}. "
            f"Write 5% or 0.05."
        )
    return value


def judge_slower(comparison: LatencyComparison, bound: float) -> SlowerVerdict:
    """Returns whether the second file is shown to be slower than the first by more than ``bound``.

    It fails only if the whole interval lies beyond: the lower end of the interval of (time of the second) /
    (time of the first) is above 1 + ``bound``. So noise alone fails it as rarely as the confidence says,
    and a slow-down that the interval does not show passes.

    Args:
        comparison: of the two files.
        bound: as a share, at least 0.

    Example:
        ``judge_slower(compare_latency("dense.tflite", "new.tflite"), 0.05).verdict``
    """
    low, high = 1 / comparison.high - 1, 1 / comparison.low - 1
    interval = f"{low:+.1%} to {high:+.1%}, {100 * comparison.confidence:.4g} % interval"
    subject = f"{comparison.b.name} against {comparison.a.name}: {interval}"
    if comparison.throttled:
        verdict, end = "not judged", "the machine slowed down meanwhile; measure again"
    elif low > bound:
        verdict, end = "failed", f"slower by more than {bound:.4%}".replace(".0000%", "%")
    else:
        verdict, end = "passed", f"not shown to be slower by more than {bound:.4%}".replace(".0000%", "%")
    return SlowerVerdict(bound, verdict, f"{verdict}: {subject}; {end}")
