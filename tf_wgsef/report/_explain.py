"""Why latency fell less than the MACs, said only as far as the numbers support it.

A runtime computes output channels in steps (16 for float32 on x86 with AVX512, 8 on an ARM core),
so that a layer that keeps 5 filters costs what 16 cost; input channels cost linearly. And each call
has a fixed cost that no cut reduces.
"""

from collections.abc import Sequence

from tf_wgsef.report import _format
from tf_wgsef.report._values import Comparison, LayerRow
from tf_wgsef.validation import check_positive_int

_NAMED_LAYERS = 3
# Two figures that differ by less are called the same: below what repeated measurements agree to.
_SAME = 0.05
# A layer that pays for less than this share of all idle lanes is not named.
_SMALL = 0.05


def explain_latency(
    layers: Sequence[LayerRow],
    *,
    before_us: float | None,
    after_us: float | None,
    comparison: Comparison | None = None,
    fixed_cost_us: float | None = None,
    channel_step: int | None = None,
) -> tuple[str, ...]:
    """Returns sentences that say why latency fell less than the MACs.

    Args:
        layers: channels and MACs of every layer, before and after.
        before_us: measured p50 of the dense file in microseconds, None if not measured.
        after_us: the same of the stripped file.
        comparison: of the two, dense as ``a``: its ratio is used, and where it claims no
            difference none is printed. Without it the ratio of the two p50 is used.
        fixed_cost_us: p50 of an almost empty model in microseconds, None if not measured.
        channel_step: output channels that the runtime computes at a time, None if unknown.

    Returns:
        The sentences; none if there is no latency or there are no MACs to compare.

    Raises:
        InputError: if ``channel_step`` is not a whole number of at least 1.

    Example:
        >>> rows = [LayerRow(name="conv", kind="Conv2D", channels_before=32, channels_after=4,
        ...                  macs_before=32_000, macs_after=4_000)]
        >>> explain_latency(rows, before_us=20.0, after_us=10.0, channel_step=16)[0]
        'MACs fell 8.0×, latency 2.0×.'
    """
    macs = sum(row.macs_before for row in layers), sum(row.macs_after for row in layers)
    if not before_us or not after_us or not all(macs):
        return ()
    work = macs[0] / macs[1]
    if comparison is not None and not comparison.differs:
        return (f"{_fell('MACs', work)}; no difference in latency was shown.",)
    gain = comparison.ratio if comparison is not None else before_us / after_us
    sentences = [_opening(work, gain)]
    if gain >= work:
        return tuple(sentences)
    if channel_step is not None:
        step = check_positive_int("channel_step", channel_step)
        work, sentence = _steps(layers, work, step)
        sentences.append(sentence)
    if fixed_cost_us:
        sentences.append(_fixed(fixed_cost_us, after_us))
    sentences.extend(_rest(work, gain, before_us, after_us, fixed_cost_us or 0.0))
    return tuple(sentences)


def stepped_macs(macs: int, channels: int | None, step: int) -> float:
    """Returns the MACs that are computed when output channels come in steps.

    Args:
        macs: of the layer as it is.
        channels: its output channels, None if it has none.
        step: output channels computed at a time.
    """
    if not channels:
        return macs
    return macs * _padded(channels, step) / channels


def _padded(channels: int, step: int) -> int:
    return -(-channels // step) * step


def _fell(what: str, ratio: float) -> str:
    if f"{ratio:.2f}" == "1.00":
        return f"{what} stayed the same"
    return f"{what} {'fell' if ratio > 1 else 'rose'} {_format.times(max(ratio, 1 / ratio))}"


def _opening(work: float, gain: float) -> str:
    first, second = _fell("MACs", work), _fell("latency", gain)
    if first.startswith("MACs fell") and second.startswith("latency fell"):
        second = second.replace("latency fell", "latency")
    return f"{first}, {second}."


def _steps(layers: Sequence[LayerRow], work: float, step: int) -> tuple[float, str]:
    """Returns the work's ratio counted in steps, and the sentence about it."""
    before = sum(stepped_macs(row.macs_before, row.channels_before, step) for row in layers)
    after = sum(stepped_macs(row.macs_after, row.channels_after, step) for row in layers)
    counted = before / after
    start = f"Counted in the runtime's steps of {step} output channels the work"
    if counted >= work * (1 - _SAME):
        return counted, f"{start} fell {_format.times(counted)} too: the steps explain nothing."
    return counted, f"{start} {_fell('', counted).strip()}{_idle_lanes(layers, step)}."


def _idle_lanes(layers: Sequence[LayerRow], step: int) -> str:
    """Returns the layers that pay most for lanes that they do not use."""
    paid = [(stepped_macs(row.macs_after, row.channels_after, step) - row.macs_after, row) for row in layers]
    # A layer that was not cut paid for its idle lanes before as well.
    paid = [pair for pair in paid if pair[0] > 0 and _was_cut(pair[1])]
    paid.sort(key=lambda pair: pair[0], reverse=True)
    worth_a_name = _SMALL * sum(extra for extra, _ in paid)
    paid = [pair for pair in paid if pair[0] >= worth_a_name]
    named = "; ".join(
        f"{_format.clean(row.name)} keeps {row.channels_after} of {row.channels_before} "
        f"channels but computes {_padded(row.channels_after, step)} ({row.channels_after} of "
        f"{_padded(row.channels_after, step)} lanes used)"
        for _, row in paid[:_NAMED_LAYERS]
    )
    return f": {named}" if named else ""


def _was_cut(row: LayerRow) -> bool:
    return row.channels_before is not None and row.channels_after < row.channels_before


def _fixed(fixed_us: float, after_us: float) -> str:
    cost = _format.duration(fixed_us)
    left = _format.duration(after_us)
    if fixed_us >= after_us:
        return f"What is left ({left}) is within the fixed cost of a call ({cost})."
    share = _format.percent(fixed_us / after_us, 0)
    return f"A fixed {cost} per call ({share} of the {left} that are left) does not shrink."


def _rest(work: float, gain: float, before_us: float, after_us: float, fixed_us: float) -> list[str]:
    """Returns what the counted work and the fixed cost leave unexplained, if anything."""
    if fixed_us >= after_us:
        return []
    expected = before_us / (fixed_us + (before_us - fixed_us) / work)
    if expected <= gain * (1 + _SAME):
        return []
    return [
        f"By these figures alone latency would have fallen {_format.times(expected)}; "
        f"what else keeps it at {_format.times(gain)} was not measured."
    ]
