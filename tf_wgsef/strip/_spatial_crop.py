"""Which rows and columns of a convolution kernel can be cut off without a change of output.

A tap that is zero in all channels reads its input for nothing. At the border of the kernel such taps can go:
5×5 with a ring of zeros is 3×3. What remains must read the same positions of the input as before, so the
padding must fit: often the smaller kernel's own padding does, else the input is padded or cropped explicitly.
Only plans are made here, from sizes: no Keras, no weights.

Taps and positions are counts along one spatial axis. ``low`` is the beginning of an axis, ``high`` its end.
"""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class AxisCrop:
    """What happens along one spatial axis.

    Attributes:
        low: taps cut at the beginning.
        high: taps cut at the end.
        pad: input positions to add (positive) or to crop (negative), (before, after). (0, 0) where the
            layer's own padding does it.
    """

    low: int
    high: int
    pad: tuple[int, int] = (0, 0)


@dataclasses.dataclass(frozen=True)
class SpatialCrop:
    """What happens to one layer.

    Attributes:
        axes: one per spatial axis.
        padding: the layer's new padding: the old one where that is still right, else "valid" with explicit
            pads.
        kernel_size: the new kernel size in taps, one per spatial axis.
    """

    axes: tuple[AxisCrop, ...]
    padding: str
    kernel_size: tuple[int, ...]

    @property
    def kernel_slices(self) -> tuple[slice, ...]:
        """What stays of the old kernel: ``kernel[crop.kernel_slices]``, channels untouched."""
        taps = zip(self.axes, self.kernel_size, strict=True)
        return tuple(slice(axis.low, axis.low + size) for axis, size in taps)

    @property
    def pads(self) -> tuple[tuple[int, int], ...]:
        """Explicit pads of the input in positions, (before, after) per spatial axis; negative crops."""
        return tuple(axis.pad for axis in self.axes)

    @property
    def needs_layers(self) -> bool:
        """Whether the input must be padded or cropped by layers before this one."""
        return any(map(any, self.pads))


def plan_spatial_crop(
    kernel_window: np.ndarray,
    input_size: tuple[int | None, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: str,
) -> SpatialCrop | None:
    """Plans the largest crop of a kernel that leaves all outputs the same.

    A crop that needs no extra layer is preferred to one that does, unless the latter leaves fewer taps in
    the kernel. With unknown input sizes only what is right for each size is planned.

    Args:
        kernel_window: True where any channel has a tap that is not zero, bool of shape kernel_size.
        input_size: positions per spatial axis, None where unknown.
        strides: positions per spatial axis.
        dilation: positions between neighbouring taps per spatial axis.
        padding: "valid", "same" or "causal", as in Keras.

    Returns:
        The plan, or None where nothing can be cut.

    Example:
        >>> window = np.pad(np.ones((3, 3), bool), 1)  # 5×5 with a ring of zeros
        >>> plan = plan_spatial_crop(window, (28, 28), (1, 1), (1, 1), "same")
        >>> plan.kernel_size, plan.padding, plan.kernel_slices
        ((3, 3), 'same', (slice(1, 4, None), slice(1, 4, None)))
        >>> plan_spatial_crop(window, (28, 28), (1, 1), (1, 1), "valid").pads
        ((-1, -1), (-1, -1))
    """
    if padding not in ("valid", "same", "causal"):
        raise ValueError(f"padding is 'valid', 'same' or 'causal', not {padding!r}.")
    window = np.asarray(kernel_window, bool)
    sizes = zip(window.shape, _zero_borders(window), input_size, strides, dilation, strict=True)
    axes = [_Axis(*size, padding) for size in sizes]
    if any(axis.size is not None and axis.outputs(axis.taps, axis.own_pad(axis.taps)) < 1 for axis in axes):
        return None  # no output to keep: Keras refuses such a layer
    free = tuple(axis.free() for axis in axes)
    explicit = tuple(axis.explicit() for axis in axes)
    chosen, new_padding = free, padding
    if None not in explicit and _taps_left(axes, explicit) < _taps_left(axes, free):
        chosen, new_padding = explicit, "valid"
    kernel_size = tuple(axis.taps - cut.low - cut.high for axis, cut in zip(axes, chosen, strict=True))
    return SpatialCrop(chosen, new_padding, kernel_size) if kernel_size != window.shape else None


def pre_layers(
    crop: SpatialCrop, rank: int, name: str, data_format: str = "channels_last"
) -> list[tuple[str, dict]]:
    """The layers that must stand before the layer with the smaller kernel: first a crop, then a pad.

    Args:
        crop: the plan.
        rank: number of spatial axes, 1 to 3.
        name: the layer's name; the new layers are called ``{name}_crop`` and ``{name}_pad``.
        data_format: the layer's own, as in Keras.

    Returns:
        (class name in ``keras.layers``, config) each, empty where the layer's own padding does it.

    Example:
        >>> pre_layers(plan_spatial_crop([1, 1, 0], (None,), (1,), (2,), "valid"), 1, "conv")
        [('Cropping1D', {'name': 'conv_crop', 'cropping': (0, 2)})]
    """
    cropped = tuple((max(-low, 0), max(-high, 0)) for low, high in crop.pads)
    padded = tuple((max(low, 0), max(high, 0)) for low, high in crop.pads)
    layers = []
    if any(map(any, cropped)):
        config = {"name": f"{name}_crop", "cropping": cropped if rank > 1 else cropped[0]}
        if rank > 1:
            config["data_format"] = data_format
        elif data_format != "channels_last":  # Keras' Cropping1D knows no other
            raise ValueError(f"Keras cannot crop the input of {name!r}: Cropping1D is for channels_last.")
        layers.append((f"Cropping{rank}D", config))
    if any(map(any, padded)):
        config = {"name": f"{name}_pad", "padding": padded if rank > 1 else padded[0]}
        layers.append((f"ZeroPadding{rank}D", {**config, "data_format": data_format}))
    return layers


@dataclasses.dataclass(frozen=True)
class _Axis:
    """One spatial axis of a layer; ``zeros``: taps that may go at its beginning and end."""

    taps: int
    zeros: tuple[int, int]
    size: int | None
    stride: int
    dilation: int
    padding: str

    def own_pad(self, taps: int) -> tuple[int, int] | None:
        """What Keras pads for a kernel of ``taps``, (before, after); None where the size must be known."""
        reach = (taps - 1) * self.dilation
        if self.padding == "valid":
            return 0, 0
        if self.padding == "causal":
            return reach, 0
        if self.stride == 1:
            return reach // 2, reach - reach // 2
        if self.size is None:
            return None
        outputs = math.ceil(self.size / self.stride)
        total = max((outputs - 1) * self.stride + reach + 1 - self.size, 0)
        return total // 2, total - total // 2

    def outputs(self, taps: int, pad: tuple[int, int]) -> int:
        """How many positions a 'valid' convolution makes of the padded input; the size is known."""
        return (self.size + sum(pad) - (taps - 1) * self.dilation - 1) // self.stride + 1

    def cuts(self) -> list[tuple[int, int]]:
        """All (low, high) that cut zeros only and leave a tap."""
        low, high = self.zeros
        pairs = ((i, j) for i in range(low + 1) for j in range(high + 1))
        return [pair for pair in pairs if sum(pair) < self.taps]

    def free(self) -> AxisCrop:
        """The largest crop for which the smaller kernel's own padding is right."""
        return AxisCrop(*max(filter(self._is_free, self.cuts()), key=sum))

    def explicit(self) -> AxisCrop | None:
        """The largest crop with the input padded explicitly, of these the one with the smallest pads."""
        crops = [crop for crop in (self._explicit(low, high) for low, high in self.cuts()) if crop]
        return max(crops, key=lambda crop: (crop.low + crop.high, -sum(map(abs, crop.pad))), default=None)

    def _is_free(self, cut: tuple[int, int]) -> bool:
        low, high = cut
        taps = self.taps - low - high
        old, new = self.own_pad(self.taps), self.own_pad(taps)
        if old is None or new is None:
            return low == high == 0
        if new[0] != old[0] - low * self.dilation:  # the first tap would read another position
            return False
        if self.size is None:
            return sum(new) == sum(old) - (low + high) * self.dilation
        return self.outputs(taps, new) == self.outputs(self.taps, old)

    def _explicit(self, low: int, high: int) -> AxisCrop | None:
        """The crop with its pads; None where they need the size or would crop all of the input."""
        old = self.own_pad(self.taps)
        if old is None:
            return None
        pad = old[0] - low * self.dilation, old[1] - high * self.dilation
        taps = self.taps - low - high
        if self.size is None:  # a crop and a pad together change the size of an input smaller than the crop
            return AxisCrop(low, high, pad) if min(pad) >= 0 or max(pad) <= 0 else None
        if self.outputs(taps, (pad[0], 0)) == self.outputs(self.taps, old):
            pad = pad[0], 0  # the stride steps over what would be added or cropped at the end
        return AxisCrop(low, high, pad) if sum(max(-one, 0) for one in pad) < self.size else None


def _zero_borders(window: np.ndarray) -> list[tuple[int, int]]:
    """Per axis, how many taps at the beginning and at the end are zero on all other axes."""
    borders = []
    for axis, taps in enumerate(window.shape):
        used = window.any(axis=tuple(other for other in range(window.ndim) if other != axis)).nonzero()[0]
        borders.append((int(used[0]), int(taps - 1 - used[-1])) if used.size else (taps, taps))
    return borders


def _taps_left(axes: list[_Axis], crops: tuple[AxisCrop, ...]) -> int:
    return math.prod(axis.taps - crop.low - crop.high for axis, crop in zip(axes, crops, strict=True))
