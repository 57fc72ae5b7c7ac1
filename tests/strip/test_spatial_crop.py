"""Crops of kernels against real Keras layers and against a loop.

All values are small whole numbers, so float32 sums are exact in any order: equal means equal.
"""

import itertools

import keras
import numpy as np
import pytest
from keras import layers

from tf_wgsef.strip._spatial_crop import plan_spatial_crop, pre_layers

STEPS = [(1, 1), (2, 1), (3, 1), (1, 2), (1, 3)]  # (stride, dilation)
SIZES = (1, 2, 3, 4, 5, 6, 9, 12, 13)


# --- a loop in one dimension -------------------------------------------------------------------------------


def convolve(x, kernel, stride, dilation, padding):
    """A convolution of numbers as its definition reads, or None where it has no outputs."""
    n, reach = len(x), dilation * (len(kernel) - 1)
    if padding == "same":
        count = -(-n // stride)
        missing = (count - 1) * stride + reach + 1 - n
        start = -(max(missing, 0) // 2)
    else:
        start = -reach if padding == "causal" else 0
        count = len(range(start, n - reach, stride))
    positions = [[start + o * stride + j * dilation for j in range(len(kernel))] for o in range(count)]
    read = [[x[i] if 0 <= i < n else 0 for i in row] for row in positions]
    return [sum(a * b for a, b in zip(row, kernel, strict=True)) for row in read] or None


def convolve_cropped(x, kernel, plan, stride, dilation):
    for kind, config in pre_layers(plan, 1, "x"):
        if kind == "Cropping1D":
            low, high = config["cropping"]
            x = x[low : len(x) - high] if low + high < len(x) else []
        else:
            low, high = config["padding"]
            x = [0] * low + x + [0] * high
    return convolve(x, kernel[plan.kernel_slices[0]], stride, dilation, plan.padding)


def kernels_1d(longest=7):
    """Every way to have zeros at both ends of a kernel, the all-zero kernel too, one with a hole."""
    for taps in range(1, longest + 1):
        values = [3, -5, 7, 11, -13, 17, 19][:taps]
        for low, high in itertools.product(range(taps + 1), repeat=2):
            if low + high < taps or (low, high) == (taps, 0):
                yield [v if low <= j < taps - high else 0 for j, v in enumerate(values)]
    yield [0, 2, 0, 0, 5, 0, 0]


def plan_1d(kernel, size, stride, dilation, padding):
    return plan_spatial_crop(np.array(kernel) != 0, (size,), (stride,), (dilation,), padding)


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize(("stride", "dilation"), STEPS)
def test_every_1d_case_equals_the_loop(padding, stride, dilation):
    cropped = 0
    for size, kernel in itertools.product(SIZES, kernels_1d()):
        x = [1000 + 17 * i * i for i in range(size)]
        before = convolve(x, kernel, stride, dilation, padding)
        plan = plan_1d(kernel, size, stride, dilation, padding)
        if plan is None:
            continue
        cropped += 1
        assert convolve_cropped(x, kernel, plan, stride, dilation) == before, (size, kernel, plan)
        assert 1 <= plan.kernel_size[0] < len(kernel)
    assert cropped > 60


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize(("stride", "dilation"), STEPS)
def test_every_1d_case_of_unknown_size_equals_the_loop_at_each_size(padding, stride, dilation):
    plans = [(kernel, plan_1d(kernel, None, stride, dilation, padding)) for kernel in kernels_1d()]
    for size, (kernel, plan) in itertools.product(SIZES, plans):
        if plan is not None:
            x = [1000 + 17 * i * i for i in range(size)]
            before = convolve(x, kernel, stride, dilation, padding)
            assert convolve_cropped(x, kernel, plan, stride, dilation) == before, (size, kernel, plan)
    if padding == "same" and stride > 1:
        assert not any(plan for _, plan in plans)
    else:
        assert any(plan for _, plan in plans)


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize(("stride", "dilation"), STEPS)
def test_the_crop_is_the_largest_and_free_where_it_can_be(padding, stride, dilation):
    for size, kernel in itertools.product((10, 12, 13), kernels_1d(4)):
        taps = len(kernel)
        used = np.flatnonzero(kernel)
        x = [1000 + 17 * i * i for i in range(size)]
        before = convolve(x, kernel, stride, dilation, padding)
        if not used.size or before is None:
            continue
        free = [
            high - low
            for low, high in itertools.combinations(range(taps + 1), 2)
            if low <= used[0]
            and high > used[-1]
            and convolve(x, kernel[low:high], stride, dilation, padding) == before
        ]
        plan = plan_1d(kernel, size, stride, dilation, padding)
        left, extra = (plan.kernel_size[0], plan.needs_layers) if plan else (taps, False)
        assert left == used[-1] - used[0] + 1  # with explicit pads all zeros at the ends can go
        assert extra == (min(free) > left)


# --- real layers -------------------------------------------------------------------------------------------

KINDS = {
    "Conv1D": 1,
    "Conv2D": 2,
    "Conv3D": 3,
    "DepthwiseConv1D": 1,
    "DepthwiseConv2D": 2,
    "SeparableConv1D": 1,
    "SeparableConv2D": 2,
}
CASES = [
    (kind, padding, stride, dilation)
    for kind in KINDS
    for padding in ("valid", "same", "causal")
    for stride, dilation in STEPS
    if padding != "causal" or kind == "Conv1D"
]


def random_window(generator, rank, dilation, size):
    """Where the kernel may be other than zero: zeros at the ends of each axis, now and then everywhere."""
    while True:
        taps = generator.integers(1, 8 if rank < 3 else 5, rank)
        if (dilation * (taps - 1) < size).all():
            break
    window = np.zeros(taps, bool)
    low = [generator.integers(0, count) for count in taps]
    window[tuple(slice(a, generator.integers(a + 1, n + 1)) for a, n in zip(low, taps, strict=True))] = True
    return window if generator.random() < 0.9 else np.zeros_like(window)


def whole_numbers(generator, shape):
    return generator.integers(-4, 5, shape).astype("float32")


def make(kind, kernel_size, **options):
    options = {"kernel_size": kernel_size, **options}
    return getattr(layers, kind)(**options if kind.startswith("Depthwise") else {"filters": 3, **options})


def run_both(kind, window, size, padding, strides, dilation, generator, data_format="channels_last"):
    """Outputs of the layer before, of what replaces it, and the plan."""
    options = {"strides": strides, "dilation_rate": dilation, "data_format": data_format}
    layer = make(kind, window.shape, padding=padding, **options)
    shape = (2, *size, 2) if data_format == "channels_last" else (2, 2, *size)
    x = whole_numbers(generator, shape)
    layer.build(shape)
    weights = [whole_numbers(generator, w.shape) for w in layer.weights]
    weights[0] *= window[..., None, None]
    layer.set_weights(weights)

    seen = (weights[0] != 0).any((-1, -2))
    plan = plan_spatial_crop(seen, size, layer.strides, layer.dilation_rate, padding)
    if plan is None:
        return None
    smaller = make(kind, plan.kernel_size, padding=plan.padding, **options)
    before = pre_layers(plan, window.ndim, "conv", data_format)
    model = keras.Sequential([keras.Input(shape[1:])])
    for name, config in before:
        model.add(getattr(layers, name).from_config(config))
    model.add(smaller)
    smaller.set_weights([weights[0][plan.kernel_slices], *weights[1:]])
    return np.array(layer(x)), np.array(model(x)), plan


@pytest.mark.parametrize(("kind", "padding", "stride", "dilation"), CASES)
def test_layers_with_cropped_kernels_give_equal_outputs(kind, padding, stride, dilation):
    generator = np.random.default_rng([CASES.index((kind, padding, stride, dilation))])
    rank, cropped = KINDS[kind], 0
    while cropped < (3 if rank == 3 else 5):
        size = tuple(generator.integers(5, 14 if rank < 3 else 9, rank).tolist())
        window = random_window(generator, rank, dilation, size)
        result = run_both(kind, window, size, padding, stride, dilation, generator)
        if result is not None:
            np.testing.assert_array_equal(result[0], result[1], err_msg=str(result[2]))
            assert np.prod(result[2].kernel_size) < window.size
            cropped += 1


def test_axes_with_different_strides_sizes_and_zeros():
    window = np.zeros((5, 7), bool)
    window[2:5, 0:3] = True
    generator = np.random.default_rng(0)
    for size in itertools.product((6, 7), (8, 9, 10)):
        before, after, plan = run_both("Conv2D", window, size, "same", (1, 3), (1, 1), generator)
        np.testing.assert_array_equal(before, after)
        assert plan.kernel_size == (3, 3)
        assert plan.needs_layers


def test_stride_together_with_dilation_on_a_depthwise_layer():
    """Keras allows both here, although not on a Conv."""
    window = np.zeros((5, 5), bool)
    window[1:4, 2:5] = True
    generator = np.random.default_rng(0)
    for size, padding in itertools.product([(9, 10), (11, 12)], ["same", "valid"]):
        before, after, plan = run_both("DepthwiseConv2D", window, size, padding, (2, 2), (2, 2), generator)
        np.testing.assert_array_equal(before, after)
        assert plan.kernel_size == (3, 3)


def test_channels_first():
    window = np.zeros((5, 5), bool)
    window[3:5, 0:2] = True
    generator = np.random.default_rng(0)
    before, after, plan = run_both(
        "DepthwiseConv2D", window, (7, 9), "same", (1, 1), (1, 1), generator, "channels_first"
    )
    np.testing.assert_array_equal(before, after)
    assert plan.pads == ((-1, 2), (2, -1))


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_one_plan_for_all_sizes_of_a_layer_without_a_size(padding):
    generator = np.random.default_rng(0)
    kernel = whole_numbers(generator, (5, 5, 2, 3))
    kernel[:, :1] = kernel[3:] = 0
    plan = plan_spatial_crop((kernel != 0).any((-1, -2)), (None, None), (1, 1), (1, 1), padding)
    assert plan.kernel_size == (3, 4)
    old = layers.Conv2D(3, 5, padding=padding, use_bias=False)
    new = layers.Conv2D(3, plan.kernel_size, padding=plan.padding, use_bias=False)
    before = [getattr(layers, name).from_config(config) for name, config in pre_layers(plan, 2, "conv")]
    a = keras.Sequential([keras.Input((None, None, 2)), old])
    b = keras.Sequential([keras.Input((None, None, 2)), *before, new])
    a.set_weights([kernel])
    b.set_weights([kernel[plan.kernel_slices]])
    for size in [(5, 6), (8, 7)] + [(1, 2), (3, 1)] * (padding == "same"):
        x = whole_numbers(generator, (2, *size, 2))
        np.testing.assert_array_equal(np.array(a(x)), np.array(b(x)))


# --- single plans ------------------------------------------------------------------------------------------

RING = np.pad(np.ones((3, 3), bool), 1)


def test_a_ring_of_zeros_goes_without_layers():
    for size in [(28, 28), (None, None)]:
        plan = plan_spatial_crop(RING, size, (1, 1), (1, 1), "same")
        assert plan.kernel_size == (3, 3)
        assert plan.padding == "same"
        assert plan.kernel_slices == (slice(1, 4), slice(1, 4))
        assert not plan.needs_layers
        assert pre_layers(plan, 2, "conv") == []


def test_a_stride_of_two_with_a_zero_at_one_end_needs_a_pad():
    # Ten positions, five outputs: 'same' pads one before and two after. Without the first of the five taps
    # nothing is to be padded before, but the four taps' own 'same' pads one.
    plan = plan_1d([0, 1, 1, 1, 1], 10, 2, 1, "same")
    assert (plan.padding, plan.kernel_size, plan.pads) == ("valid", (4,), ((0, 2),))
    assert pre_layers(plan, 1, "conv") == [
        ("ZeroPadding1D", {"name": "conv_pad", "padding": (0, 2), "data_format": "channels_last"})
    ]
    assert plan_1d([0, 1, 1, 1, 1], None, 2, 1, "same") is None


def test_valid_needs_the_input_cropped():
    plan = plan_spatial_crop(RING, (9, None), (1, 1), (2, 3), "valid")
    assert (plan.padding, plan.kernel_size, plan.pads) == ("valid", (3, 3), ((-2, -2), (-3, -3)))
    assert pre_layers(plan, 2, "conv") == [
        (
            "Cropping2D",
            {"name": "conv_crop", "cropping": ((2, 2), (3, 3)), "data_format": "channels_last"},
        )
    ]


def test_valid_with_a_stride_that_steps_over_the_end_is_free():
    for kernel, size, stride, pads in [
        ([1, 1, 0], 9, 2, (0, 0)),  # four outputs either way
        ([1, 1, 0], 10, 2, (0, -1)),  # four outputs; two taps would make a fifth
        ([1, 1, 0], 10, 3, (0, 0)),
        ([1, 0, 0], 8, 3, (0, -2)),
        ([0, 1, 1], 9, 2, (-1, 0)),
    ]:
        plan = plan_1d(kernel, size, stride, 1, "valid")
        assert (plan.kernel_size, plan.padding, plan.pads) == ((sum(kernel),), "valid", (pads,))


def test_causal_is_free_at_the_beginning_only():
    plan = plan_1d([0, 0, 1, 1], None, 1, 2, "causal")
    assert (plan.padding, plan.kernel_size, plan.needs_layers) == ("causal", (2,), False)
    plan = plan_1d([1, 1, 0], 8, 1, 2, "causal")
    assert (plan.padding, plan.pads) == ("valid", ((4, -2),))
    assert [kind for kind, _ in pre_layers(plan, 1, "conv")] == ["Cropping1D", "ZeroPadding1D"]
    # A crop and a pad would change the length of an input shorter than the crop.
    assert plan_1d([1, 1, 0], None, 1, 2, "causal") is None


def test_no_crop_where_the_stride_steps_over_the_end():
    assert plan_1d([1, 1, 0], 8, 2, 1, "causal").pads == ((2, -1),)
    assert plan_1d([1, 1, 0], 9, 2, 1, "causal").pads == ((2, 0),)


def test_of_equal_crops_the_one_with_the_smallest_pads():
    plan = plan_1d([0, 0, 0, 0], 9, 1, 2, "same")  # any of the four taps may stay, none without a layer
    assert (plan.kernel_size, plan.pads) == ((1,), ((1, -1),))


def test_explicit_pads_only_when_they_remove_more():
    plan = plan_1d([0, 1, 1, 1, 0], 8, 1, 1, "same")
    assert (plan.kernel_size, plan.padding) == ((3,), "same")
    plan = plan_1d([0, 0, 1, 1, 0], 8, 1, 1, "same")
    # own 'same' of two taps pads nothing before, as wanted
    assert (plan.kernel_size, plan.padding, plan.needs_layers) == ((2,), "same", False)
    plan = plan_1d([0, 1, 1, 0, 0], 8, 1, 1, "same")
    assert (plan.kernel_size, plan.padding, plan.pads) == ((2,), "valid", ((1, 0),))


def test_one_axis_of_unknown_size_and_stride_keeps_the_other_from_explicit_pads():
    window = np.zeros((5, 5), bool)
    window[1:3, 1:4] = True
    plan = plan_spatial_crop(window, (None, 9), (2, 1), (1, 1), "same")
    assert (plan.kernel_size, plan.padding) == ((5, 3), "same")
    known = plan_spatial_crop(window, (9, 9), (2, 1), (1, 1), "same")
    assert known.kernel_size == (2, 3)


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
def test_a_kernel_of_zeros_keeps_one_tap(padding):
    plan = plan_1d([0] * 5, 9, 1, 1, padding)
    assert plan.kernel_size == (1,)
    assert plan.needs_layers == (padding == "valid")


def test_a_zero_row_in_the_middle_stays():
    window = np.ones((5, 3), bool)
    window[2] = False
    assert plan_spatial_crop(window, (9, 9), (1, 1), (1, 1), "same") is None
    window[0] = False
    plan = plan_spatial_crop(window, (9, 9), (1, 1), (1, 1), "valid")
    assert plan.kernel_slices == (slice(1, 5), slice(0, 3))


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
def test_nothing_to_crop(padding):
    assert plan_1d([1, 0, 1], 9, 1, 1, padding) is None
    assert plan_1d([0], 9, 1, 1, padding) is None


def test_no_plan_for_a_layer_without_outputs_nor_for_a_crop_of_all_the_input():
    assert plan_1d([0, 1, 1, 1, 0], 4, 1, 1, "valid") is None
    # Only the last of seven taps is not zero, three positions after the centre: of three positions none is
    # left when three are cropped. So less is cut.
    plan = plan_1d([0, 0, 0, 0, 0, 0, 1], 3, 1, 1, "same")
    assert plan.pads[0][0] > -3


def test_an_unknown_padding_is_refused():
    with pytest.raises(ValueError, match="full"):
        plan_1d([0, 1], 4, 1, 1, "full")


def test_a_crop_of_channels_first_in_one_dimension_is_refused():
    plan = plan_1d([0, 1], 4, 1, 1, "valid")
    with pytest.raises(ValueError, match="conv"):
        pre_layers(plan, 1, "conv", "channels_first")
