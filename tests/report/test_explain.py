import pytest

from tf_wgsef.errors import InputError
from tf_wgsef.report import Comparison, LayerRow, explain_latency
from tf_wgsef.report._explain import stepped_macs


def layer(name, channels, macs):
    return LayerRow(
        name=name,
        kind="Conv2D",
        channels_before=channels[0],
        channels_after=channels[1],
        macs_before=macs[0],
        macs_after=macs[1],
    )


@pytest.mark.parametrize(
    ("channels", "step", "expected"),
    [(5, 16, 320), (16, 16, 100), (17, 16, 100 * 32 / 17), (5, 1, 100), (5, 8, 160), (None, 8, 100),
     (0, 8, 100)],
)  # fmt: skip
def test_stepped_macs(channels, step, expected):
    assert stepped_macs(100, channels, step) == pytest.approx(expected)


def test_channel_steps_by_hand():
    # 32 → 4 channels: MACs 32000 → 4000, 8x; in steps of 16 the 4 cost as 16: 16000, so 2x.
    rows = [layer("conv", (32, 4), (32_000, 4_000))]
    assert explain_latency(rows, before_us=20.0, after_us=10.0, channel_step=16) == (
        "MACs fell 8.0×, latency 2.0×.",
        "Counted in the runtime's steps of 16 output channels the work fell 2.0×: conv keeps 4 of "
        "32 channels but computes 16 (4 of 16 lanes used).",
    )


def test_lanes_that_were_idle_before_count_too():
    # 20 → 5 of step 16: 32 lanes before, 16 after. Work 20000*32/20 = 32000 → 5000*16/5 = 16000.
    rows = [layer("conv1", (20, 5), (20_000, 5_000))]
    sentences = explain_latency(rows, before_us=20.0, after_us=10.0, channel_step=16)
    assert "the work fell 2.0×: conv1 keeps 5 of 20 channels but computes 16" in sentences[1]


def test_a_layer_that_was_not_cut_is_not_blamed():
    rows = [layer("conv", (32, 4), (32_000, 4_000)), layer("logits", (10, 10), (8_000, 1_000))]
    sentences = explain_latency(rows, before_us=20.0, after_us=10.0, channel_step=16)
    assert "conv keeps" in sentences[1]
    assert "logits" not in sentences[1]


def test_fixed_cost_by_hand():
    # 4x fewer MACs; 1.8 of 10 µs are fixed: 18 %. Alone: 20 / (1.8 + 18.2 / 4) = 3.15x, not 2x.
    rows = [layer("conv", (64, 16), (4_000, 1_000))]
    assert explain_latency(rows, before_us=20.0, after_us=10.0, fixed_cost_us=1.8) == (
        "MACs fell 4.0×, latency 2.0×.",
        "A fixed 1.80 µs per call (18 % of the 10.0 µs that are left) does not shrink.",
        "By these figures alone latency would have fallen 3.1×; what else keeps it at 2.0× was not measured.",
    )


def test_a_fixed_cost_that_explains_all_leaves_no_rest():
    # 20 = 6.667 fixed + 13.333; a quarter of 13.333 is 3.333: together 10.
    rows = [layer("conv", (64, 16), (4_000, 1_000))]
    sentences = explain_latency(rows, before_us=20.0, after_us=10.0, fixed_cost_us=20 / 3)
    assert len(sentences) == 2


def test_a_fixed_cost_as_large_as_what_is_left():
    rows = [layer("conv", (64, 16), (4_000, 1_000))]
    sentences = explain_latency(rows, before_us=20.0, after_us=10.0, fixed_cost_us=10.5)
    assert sentences[1:] == ("What is left (10.0 µs) is within the fixed cost of a call (10.5 µs).",)


def test_steps_that_explain_nothing_are_said_to():
    rows = [layer("conv", (64, 16), (4_000, 1_000))]
    sentences = explain_latency(rows, before_us=20.0, after_us=10.0, channel_step=16)
    assert sentences[1].endswith("the work fell 4.0× too: the steps explain nothing.")


def test_without_a_step_nothing_is_said_of_steps():
    rows = [layer("conv", (32, 4), (32_000, 4_000))]
    sentences = explain_latency(rows, before_us=20.0, after_us=10.0)
    assert not any("step" in sentence for sentence in sentences)
    assert sentences[-1].startswith("By these figures alone latency would have fallen 8.0×")


def test_latency_that_fell_as_much_needs_no_reason():
    rows = [layer("conv", (32, 16), (2_000, 1_000))]
    sentences = explain_latency(rows, before_us=30.0, after_us=10.0, fixed_cost_us=1.0, channel_step=16)
    assert sentences == ("MACs fell 2.0×, latency 3.0×.",)


def test_latency_that_rose():
    rows = [layer("conv", (64, 32), (2_000, 1_000))]
    sentences = explain_latency(rows, before_us=10.0, after_us=12.5)
    assert sentences[0] == "MACs fell 2.0×, latency rose 1.25×."


def test_nothing_is_claimed_where_the_interval_contains_1():
    rows = [layer("conv", (32, 4), (32_000, 4_000))]
    pair = Comparison(a="a", b="b", ratio=2, low=0.9, high=3)
    sentences = explain_latency(
        rows, before_us=20.0, after_us=10.0, comparison=pair, channel_step=16, fixed_cost_us=1.0
    )
    assert sentences == ("MACs fell 8.0×; no difference in latency was shown.",)


def test_the_comparison_gives_the_ratio():
    rows = [layer("conv", (32, 4), (32_000, 4_000))]
    pair = Comparison(a="a", b="b", ratio=2.5, low=2.4, high=2.6)
    sentences = explain_latency(rows, before_us=20.0, after_us=10.0, comparison=pair)
    assert sentences[0] == "MACs fell 8.0×, latency 2.5×."


@pytest.mark.parametrize("times", [(None, 1.0), (1.0, None), (0.0, 1.0)])
def test_no_latency_no_sentence(times):
    rows = [layer("conv", (32, 4), (32_000, 4_000))]
    assert explain_latency(rows, before_us=times[0], after_us=times[1]) == ()


def test_no_macs_no_sentence():
    assert explain_latency([], before_us=2.0, after_us=1.0) == ()


def test_a_wrong_step_is_refused():
    rows = [layer("conv", (32, 4), (32_000, 4_000))]
    with pytest.raises(InputError, match="channel_step"):
        explain_latency(rows, before_us=20.0, after_us=10.0, channel_step=0)


def test_names_are_cleaned():
    rows = [layer("co\x1bnv", (32, 4), (32_000, 4_000))]
    sentences = explain_latency(rows, before_us=20.0, after_us=10.0, channel_step=16)
    assert "co\\x1bnv keeps" in sentences[1]
