"""Raw operations that cut tensors and lengthen them: ``x[:, 1:]``, ``split``, ``pad``."""

import numpy as np

from tf_wgsef.rules._call import Call
from tf_wgsef.rules._registry import register_operation
from tf_wgsef.rules._rule import LIVE, LayerRule, count
from tf_wgsef.rules._ties import Ties


@register_operation("GetItem")
class GetItemRule(LayerRule):
    """Slicing. Positions may be cut in any way; a slice of the channels keeps them all."""

    def refusal(self, call: Call) -> str | None:
        if len(call.inputs) != 1 or not isinstance(self.channels(call), slice):
            return "it picks channels or positions by more than fixed slices"
        return None

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        part = self.channels(call)
        if part != slice(None):
            ties.pin(inputs[0], f"feeds {call.describe()}: its slice counts the channels")
        return [inputs[0][part]]

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return [values[0][self.channels(call)]]

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        needed = np.zeros(call.input_shapes[0][-1], bool)
        needed[self.channels(call)] = used[0]
        return [needed]

    def channels(self, call: Call):
        """What is taken of the channels: a slice, or None where that is not clear."""
        key = call.arguments[1] if len(call.arguments) > 1 else None
        entries = list(key) if isinstance(key, list | tuple) else [key]
        if key is None or not all(_is_plain(one) for one in entries):
            return None
        taken = sum(one is not None for one in entries)  # None is a new axis
        ellipsis = any(_is_ellipsis(one) for one in entries)
        if _is_ellipsis(entries[-1]) or (not ellipsis and taken < len(call.input_shapes[0])):
            return slice(None)
        return _as_slice(entries[-1])


@register_operation("Split")
class SplitRule(LayerRule):
    """``keras.ops.split``, along the channels or along positions."""

    def refusal(self, call: Call) -> str | None:
        unused = len(self.bounds(call)) + 1 - len(call.outputs)
        if self.cuts_channels(call) and unused > 1:
            return "several of its parts are not used: slice instead"
        return None

    def tie(self, call: Call, inputs: list[np.ndarray], ties: Ties) -> list[np.ndarray]:
        return self.parts(call, inputs[0])

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        return self.parts(call, values[0])

    def backward(self, call: Call, used: list[np.ndarray]) -> list[np.ndarray]:
        channels = np.arange(call.input_shapes[0][-1])
        needed = np.zeros(len(channels), bool)
        for part, use in zip(self.parts(call, channels), used, strict=True):
            needed[part] |= use
        return [needed]

    def resize(self, call: Call, config: dict, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> dict:
        if not self.cuts_channels(call):
            return config
        sizes = np.full(len(self.bounds(call)) + 1, -1)
        sizes[list(call.numbers)] = [count(keep) for keep in outputs]
        sizes[sizes < 0] = count(inputs[0]) - sum(count(keep) for keep in outputs)
        alike = len(set(sizes.tolist())) == 1
        return {
            **config,
            "indices_or_sections": len(sizes) if alike else tuple(np.cumsum(sizes)[:-1].tolist()),
        }

    def cuts_channels(self, call: Call) -> bool:
        """Whether it is the channels that are split."""
        return call.layer.axis % len(call.input_shapes[0]) == len(call.input_shapes[0]) - 1

    def bounds(self, call: Call) -> list[int]:
        """Where one part ends and the next one starts; of positions, as many numbers."""
        sections = call.layer.indices_or_sections
        if not isinstance(sections, int):
            return list(sections)
        size = call.input_shapes[0][-1] // sections
        return [number * size for number in range(1, sections)]

    def parts(self, call: Call, channels: np.ndarray) -> list[np.ndarray]:
        """Per output that is used, its share of an array over the input's channels."""
        if not self.cuts_channels(call):
            return [channels] * len(call.outputs)
        parts = np.split(channels, self.bounds(call))
        return [parts[number] for number in call.numbers]


@register_operation("Pad")
class PadRule(LayerRule):
    """``keras.ops.pad`` of positions: a channel stays constant where the padding is the same value."""

    def refusal(self, call: Call) -> str | None:
        widths = call.layer.pad_width
        if len(widths) == 1 or any(widths[-1]):
            return "it pads the channels"
        if not all(value is None or isinstance(value, int | float) for value in call.arguments):
            return "it pads with more than one number"
        return "it pads with a tensor" if len(call.inputs) > 1 else None

    def forward(self, call: Call, values: list[np.ndarray]) -> list[np.ndarray]:
        if call.layer.mode != "constant":
            copies = call.layer.mode in ("edge", "reflect", "symmetric", "wrap")
            return [values[0] if copies else np.where(values[0] == 0, 0.0, LIVE)]
        fill = next((value for value in call.arguments if value is not None), 0.0)
        return [np.where(values[0] == fill, values[0], LIVE)]


def _is_plain(entry) -> bool:
    return (
        entry is None or isinstance(entry, int) or _is_ellipsis(entry) or isinstance(_as_slice(entry), slice)
    )


def _is_ellipsis(entry) -> bool:
    return isinstance(entry, dict) and entry.get("class_name") == "__ellipsis__"


def _as_slice(entry) -> slice | None:
    """A slice from its configuration."""
    if not isinstance(entry, dict) or entry.get("class_name") != "__slice__":
        return None
    bounds = [entry["config"][name] for name in ("start", "stop", "step")]
    return slice(*bounds) if all(one is None or isinstance(one, int) for one in bounds) else None
